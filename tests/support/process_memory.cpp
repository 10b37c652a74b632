#include "tests/support/process_memory.h"

#include <fstream>
#include <stdexcept>
#include <vector>

#include "fdchain/system/proc/processes.h"

namespace fdchain::test {

long proc_value(const std::string& file, const std::string& name) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + ':')) return std::stol(line.substr(name.size() + 1));
  }
  throw std::runtime_error(file + " has no " + name);
}

long pss_kb(pid_t process) { return proc_value("/proc/" + std::to_string(process) + "/smaps_rollup", "Pss"); }

long resident_code_kb(pid_t process, const std::string& program) {
  std::ifstream lines("/proc/" + std::to_string(process) + "/smaps");
  long sum = 0;
  bool code = false;
  for (std::string line; std::getline(lines, line);) {
    // A mapping's first line has its addresses, with a dash, before any colon.
    if (line.find(':') > line.find('-')) code = line.find(" r-xp ") != line.npos && line.ends_with(program);
    if (code && line.starts_with("Rss:")) sum += std::stol(line.substr(4));
  }
  return sum;
}

std::map<std::string, long> pss_kb_by_name() {
  std::map<std::string, long> memory;
  std::vector<pid_t> processes = children_of_this_process();
  while (!processes.empty()) {
    const std::string number = std::to_string(processes.back());
    std::ifstream comm("/proc/" + number + "/comm");
    std::string name;
    std::getline(comm, name);
    memory[name] += pss_kb(processes.back());
    processes.pop_back();
    std::ifstream children("/proc/" + number + "/task/" + number + "/children");
    for (pid_t child = 0; children >> child;) processes.push_back(child);
  }
  return memory;
}

}  // namespace fdchain::test
