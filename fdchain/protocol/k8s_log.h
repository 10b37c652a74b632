// The k8s-file log as conmon writes it and podman, kubelet and crictl read it:
//
//   2026-01-31T12:00:00.123456789+01:00 stdout F a whole line
//   2026-01-31T12:00:00.123456789+01:00 stderr P a line that goes on in the next entry
#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace fdchain {

/// conmon reads its payload's output in pieces of this size; a longer line is written as partial entries.
inline constexpr std::size_t k8s_read_size = 8192;

/// The entries for one read of a payload's output: a stamp for the whole read, as conmon does, an `F` entry
/// per line, and a `P` entry for what is left without a newline.
std::string k8s_entries(std::string_view stamp, std::string_view stream, std::string_view bytes);

/// RFC 3339 with nanoseconds, in local time.
std::string k8s_stamp(const std::timespec& time);

}  // namespace fdchain
