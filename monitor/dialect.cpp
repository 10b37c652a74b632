#include "monitor/dialect.h"

#include <string_view>

#include "fdchain/model/monitor_options.h"
#include "fdchain/protocol/conmon_cli.h"

namespace fdchain {

bool is_conmon_command_line(const std::vector<std::string>& words) {
  // podman asks for the version, and what conmon says to no words at all its callers look for.
  if (words.empty() || (words.size() == 1 && words.front() == "--version")) return true;
  // After a word that no dialect knows the native one has failed anyway: whatever follows may be conmon's.
  bool native = true;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--") return false;
    const bool is_option = word.size() > 1 && word.front() == '-';
    if (!is_option) {
      if (native) return false;
      continue;
    }
    const MonitorOptionName* const option = find_monitor_option(word);
    const bool own = option != nullptr || word == "-h";
    if (!own && is_conmon_option(word)) return true;
    native = native && own;
    if (option != nullptr && takes_next_word(*option, word)) ++i;
  }
  return false;
}

}  // namespace fdchain
