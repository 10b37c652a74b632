#include "runtime-shim/oci/handed_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

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

}  // namespace

OwnedFd take_handed_file(Command& command) {
  std::string& path = command.verb == Verb::exec ? command.process_file : command.config_file;
  if (!names_a_descriptor(path)) return {};
  // A pipe is waited for until it ends; a terminal, too.
  const OwnedFd handed(check(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY), "open", path));
  const std::string content = read_all(handed.get(), path, config_max);
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
