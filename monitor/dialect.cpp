#include "monitor/dialect.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "fdchain/protocol/conmon_cli.h"

namespace fdchain {
namespace {

// The native options, but for those that both dialects have (--timeout, --log-level, --replace-listen-pid,
// --help and --version).
constexpr std::array<std::string_view, 7> only_native{
    "log", "exit-file", "preserve-fds", "no-stdin", "runtime-sync-fd", "remove-path", "remove-queue"};
constexpr std::array<std::string_view, 2> with_value_in_both{"timeout", "log-level"};
constexpr std::array<std::string_view, 4> flags{"no-stdin", "replace-listen-pid", "help", "version"};

bool is_one_of(const auto& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

bool is_conmon_command_line(const std::vector<std::string>& words) {
  if (words.size() == 1 && words.front() == "--version") return true;
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
    const std::string_view name = word.starts_with("--") ? word.substr(2, word.find('=') - 2) : "";
    const bool own = word == "-h" || is_one_of(only_native, name) || is_one_of(with_value_in_both, name) ||
                     is_one_of(flags, name);
    if (!own && is_conmon_option(word)) return true;
    native = native && own;
    const bool takes_next =
        own && word != "-h" && !is_one_of(flags, name) && word.find('=') == std::string_view::npos;
    if (takes_next) ++i;
  }
  return false;
}

}  // namespace fdchain
