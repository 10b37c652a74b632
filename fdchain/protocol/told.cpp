#include "fdchain/protocol/told.h"

#include <algorithm>
#include <array>
#include <climits>

#include "fdchain/model/number.h"

namespace fdchain {
namespace {

constexpr std::string_view option = "--preserve-fds";
constexpr std::string_view for_runtime = "--runtime-opt";

// `--runtime-opt=WORD` is `WORD` for the runtime, and so is the word after `--runtime-opt`.
std::string_view bare(std::string_view word) {
  const bool joined = word.starts_with(for_runtime) && word.substr(for_runtime.size()).starts_with('=');
  return joined ? word.substr(for_runtime.size() + 1) : word;
}

// `NAME`, or `NAME=…`.
bool has_option(std::span<const std::string_view> words, std::string_view name) {
  const auto end = std::ranges::find(words, "--");
  return std::any_of(words.begin(), end, [&](std::string_view word) {
    return word.starts_with(name) && (word.size() == name.size() || word[name.size()] == '=');
  });
}

std::optional<int> parse(std::string_view text) {
  const auto number = parse_decimal(text, INT_MAX);
  return number ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

}  // namespace

std::optional<int> told_to_preserve(std::span<const std::string_view> words) {
  bool value_is_next = false;
  for (const std::string_view word : words) {
    if (word == "--") break;
    if (word == for_runtime) continue;
    const std::string_view text = bare(word);
    if (value_is_next) return parse(text);
    if (text.starts_with(option) && text.substr(option.size()).starts_with('='))
      return parse(text.substr(option.size() + 1));
    value_is_next = text == option;
  }
  return std::nullopt;
}

bool told_to_count_sockets(std::span<const std::string_view> words) {
  return !has_option(words, "--runtime-sync-fd") && !has_option(words, "--sync-fd");
}

bool told_to_relay_notifications(std::span<const std::string_view> words) {
  return has_option(words, "--sdnotify-socket");
}

bool told_to_keep_sockets(std::span<const std::string_view> words) {
  static constexpr std::array passing_on{"run", "start", "create", "exec", "restart", "play", "kube"};
  static constexpr std::array<std::string_view, 2> serving{"system", "service"};
  const auto verb = std::search(words.begin(), words.end(), serving.begin(), serving.end());
  const auto passes_on = [](std::string_view word) {
    return std::ranges::find(passing_on, word) != passing_on.end();
  };
  return verb != words.end() && std::none_of(words.begin(), verb, passes_on);
}

bool told_to_replace_listen_pid(std::span<const std::string_view> words) {
  const auto end = std::ranges::find(words, "--");
  return std::find(words.begin(), end, "--replace-listen-pid") != end;
}

}  // namespace fdchain
