#pragma once

#include <string>
#include <string_view>

#include "fdchain/system/owned_fd.h"

namespace fdchain {

/// Writes all of `bytes`, however many writes that takes. Throws std::system_error naming `subject`.
void write_all(int fd, std::string_view bytes, std::string_view subject);

/// Writes a file under a temporary name and renames it, so that a reader sees all of it or none.
void write_file_atomically(const std::string& path, std::string_view content);

/// A new descriptor on /dev/null, close-on-exec.
OwnedFd open_dev_null();

/// The path of a program that belongs to us: beside this executable, or in ../libexec/fdchain as installed.
std::string find_own_program(std::string_view name);

}  // namespace fdchain
