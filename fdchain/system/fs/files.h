#pragma once

#include <sys/types.h>

#include <limits>
#include <string>
#include <string_view>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// Writes all of `bytes`, however many writes that takes. Throws std::system_error naming `subject`.
void write_all(int fd, std::string_view bytes, std::string_view subject);

/// The same on a descriptor that somebody else may have made non-blocking, or on a FIFO: waits for room.
void write_all_patiently(int fd, std::string_view bytes, std::string_view subject);

/// Reads an open file from where it is to its end, waiting for the writers of a pipe. Throws
/// std::system_error, or Failure for more than `most` bytes, naming `subject`.
std::string read_all(int fd, std::string_view subject,
                     std::size_t most = std::numeric_limits<std::size_t>::max());

/// Throws Failure, naming `option`, when write_file_atomically() could not put a file at `path`, or would put
/// one in the place of something that is no regular file: a device, a FIFO, a symbolic link.
void check_replaceable(std::string_view option, const std::string& path);

/// A new file beside `path`, and its name, which nobody can guess: neither a writer that was killed nor
/// anybody else who may write there can have taken it. Close-on-exec. Throws std::system_error naming
/// `option`.
struct FileBeside {
  OwnedFd file;
  std::string name;
};
FileBeside create_beside(const std::string& path, int flags, mode_t mode, std::string_view option);

/// Whether a file of this name, without its directory, is one that a killed writer may have left.
bool is_name_beside(std::string_view name);

/// Whether a file shall survive a power cut. That costs two fsync(2), so it is for what nobody can write
/// again.
enum class Durable { no, yes };

/// Writes a file so that a reader sees all of it or none. A writer that is killed leaves nothing, where the
/// file system knows files without a name and `path` is new. Throws std::system_error or Failure, naming
/// `option`, by which the path was given.
void write_file_atomically(const std::string& path, std::string_view content,
                           std::string_view option = "write", Durable durable = Durable::no);

/// All that a file holds; empty when it cannot be read.
std::string read_file(const std::string& path);

/// A new descriptor on /dev/null, close-on-exec.
OwnedFd open_dev_null();

/// The path of a program that belongs to us: where it is installed, seen from this executable
/// (../libexec/fdchain unless the build says otherwise), or beside it. Among the programs of a bin directory
/// another `monitor` could be meant.
std::string find_own_program(std::string_view name);

}  // namespace fdchain
