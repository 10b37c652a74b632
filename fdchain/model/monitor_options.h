// The words of the native monitor's command line, for whoever has to find its end: `monitor [OPTIONS] [--]
// RUNTIME`.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace fdchain {

/// Its options, named as they are typed behind `--`.
struct MonitorOptionName {
  std::string_view name;
  bool takes_value;
};

inline constexpr std::array monitor_option_names{
    MonitorOptionName{"log", true},
    MonitorOptionName{"timeout", true},
    MonitorOptionName{"exit-file", true},
    MonitorOptionName{"preserve-fds", true},
    MonitorOptionName{"runtime-sync-fd", true},
    MonitorOptionName{"replace-listen-pid", false},
    MonitorOptionName{"no-stdin", false},
    MonitorOptionName{"remove-path", true},
    MonitorOptionName{"remove-queue", true},
    MonitorOptionName{"log-level", true},
    MonitorOptionName{"version", false},
    MonitorOptionName{"help", false},
};

/// The option that `word` is, `--name` or `--name=value`; null for none of the native dialect.
constexpr const MonitorOptionName* find_monitor_option(std::string_view word) {
  if (!word.starts_with("--")) return nullptr;
  const auto* const found =
      std::ranges::find(monitor_option_names, word.substr(2, word.find('=') - 2), &MonitorOptionName::name);
  return found == monitor_option_names.end() ? nullptr : found;
}

/// Whether the word behind `word` is its value.
constexpr bool takes_next_word(const MonitorOptionName& option, std::string_view word) {
  return option.takes_value && word.find('=') == std::string_view::npos;
}

}  // namespace fdchain
