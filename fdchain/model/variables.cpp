#include "fdchain/model/variables.h"

#include <algorithm>

#include "fdchain/model/number.h"

namespace fdchain {

bool is_chain_variable(std::string_view name) {
  return name.starts_with("LISTEN_") || name.starts_with("_OCI_") || name == notify_socket_name ||
         name == watchdog_usec_name || std::ranges::find(pid_variables, name) != pid_variables.end();
}

bool names_process(std::string_view value, pid_t pid) {
  const auto number = parse_unsigned_as_systemd(value);
  return number.error == 0 && number.value == static_cast<unsigned long>(pid);
}

std::vector<std::string_view> pid_variables_naming(const Environment& environment, pid_t pid) {
  std::vector<std::string_view> names;
  for (const std::string_view name : pid_variables) {
    const auto value = environment.get(name);
    if (value && names_process(*value, pid)) names.push_back(name);
  }
  return names;
}

}  // namespace fdchain
