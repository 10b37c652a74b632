#include "fdchain/system/fs/host_facts.h"

#include <sys/utsname.h>

#include <fstream>

namespace fdchain {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::map<std::string, std::string> os_release() {
  std::map<std::string, std::string> values;
  std::ifstream file("/etc/os-release");
  for (std::string line; std::getline(file, line);) {
    const std::size_t equals = line.find('=');
    if (equals != std::string::npos) values[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return values;
}

}  // namespace

HostFacts host_facts() {
  utsname host{};
  ::uname(&host);
  HostFacts facts{host.nodename,
                  host.release,
                  host.machine,
                  first_line("/etc/machine-id"),
                  first_line("/proc/sys/kernel/random/boot_id"),
                  os_release()};
  std::erase(facts.boot_id, '-');
  return facts;
}

}  // namespace fdchain
