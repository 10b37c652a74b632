#include "runtime-shim/oci/handed_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain::oci {
namespace {

// The names in these directories mean something else to each process.
bool names_a_descriptor(const std::string& path) {
  return path.starts_with("/dev/") || path.starts_with("/proc/");
}

// A pipe is waited for until it ends; a terminal, too.
std::string read_to_end(const std::string& path) {
  const OwnedFd file(check(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY), "open", path));
  std::string content;
  std::array<char, 65536> buffer;
  while (const ssize_t got =
             check(retry([&] { return ::read(file.get(), buffer.data(), buffer.size()); }), "read", path)) {
    content.append(buffer.data(), static_cast<std::size_t>(got));
    if (content.size() > config_max)
      throw Failure(printable(path) + ": more than the " + std::to_string(config_max) +
                    " bytes that are read");
  }
  return content;
}

}  // namespace

OwnedFd take_handed_file(Command& command) {
  std::string& path = command.verb == Verb::exec ? command.process_file : command.config_file;
  if (!names_a_descriptor(path)) return {};
  const std::string content = read_to_end(path);
  // What is wrong with it is told by the name that the caller knows.
  if (command.verb == Verb::exec) {
    (void)decode_process(content, path);
  } else {
    (void)decode_config(content, path);
  }
  OwnedFd file(check(::memfd_create("handed", MFD_CLOEXEC), "memfd_create"));
  write_all(file.get(), content, path);
  path = "/proc/self/fd/" + std::to_string(file.get());
  return file;
}

}  // namespace fdchain::oci
