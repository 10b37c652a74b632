// What an OCI runtime writes to its --log with --log-format=json, a JSON object a line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fdchain {

/// The words of a line that tells of an error; nothing of any other line.
std::optional<std::string> decode_runtime_error(std::string_view line);

}  // namespace fdchain
