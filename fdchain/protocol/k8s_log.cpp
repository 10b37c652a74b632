#include "fdchain/protocol/k8s_log.h"

#include <fmt/core.h>

#include <cstdlib>

namespace fdchain {

std::string k8s_entries(std::string_view stamp, std::string_view stream, std::string_view bytes) {
  std::string entries;
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const bool whole = newline != std::string_view::npos;
    const std::string_view line = bytes.substr(0, newline);
    fmt::format_to(std::back_inserter(entries), "{} {} {} {}\n", stamp, stream, whole ? 'F' : 'P', line);
    bytes.remove_prefix(whole ? newline + 1 : bytes.size());
  }
  return entries;
}

std::string k8s_stamp(const std::timespec& time) {
  std::tm local{};
  ::localtime_r(&time.tv_sec, &local);
  const long minutes = std::labs(local.tm_gmtoff) / 60;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}{}{:02}:{:02}", local.tm_year + 1900,
                     local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, time.tv_nsec,
                     local.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

}  // namespace fdchain
