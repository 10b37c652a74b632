#pragma once

#include <string>
#include <string_view>

#include "fdchain/system/owned_fd.h"

namespace fdchain {

/// Writes all of `bytes`, however many writes that takes. Throws std::system_error naming `subject`.
void write_all(int fd, std::string_view bytes, std::string_view subject);

/// Throws Failure, naming `option`, when write_file_atomically() could not put a file at `path`, or would put
/// one in the place of something that is no regular file: a device, a FIFO, a symbolic link.
void check_replaceable(std::string_view option, const std::string& path);

/// Writes a file under a temporary name and renames it, so that a reader sees all of it or none. Throws
/// std::system_error or Failure, naming `option`, by which the path was given.
void write_file_atomically(const std::string& path, std::string_view content,
                           std::string_view option = "write");

/// A new descriptor on /dev/null, close-on-exec.
OwnedFd open_dev_null();

/// The path of a program that belongs to us: where it is installed, seen from this executable
/// (../libexec/fdchain unless the build says otherwise), or beside it. Among the programs of a bin directory
/// another `monitor` could be meant.
std::string find_own_program(std::string_view name);

}  // namespace fdchain
