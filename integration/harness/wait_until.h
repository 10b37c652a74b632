#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace fdchain::test {

/// Looks again and again until `holds` is true, for what no event tells of. Throws, naming `what` it waited
/// for, when the usual patience is over.
void wait_until(const std::string& what, const std::function<bool()>& holds,
                std::chrono::milliseconds between_looks = std::chrono::milliseconds(5));

/// Until there is something at `path`.
void wait_for_file(const std::string& path);

/// Until the file at `path` has `text` in it.
void wait_for_text(const std::string& path, const std::string& text);

}  // namespace fdchain::test
