#pragma once

#include <string>

namespace fdchain::oci {

enum class Precision { seconds, microseconds };

/// This moment in UTC as RFC 3339 has it: 2026-01-31T23:59:59Z.
std::string utc_now(Precision precision = Precision::seconds);

}  // namespace fdchain::oci
