#include "fdchain/system/proc/parse.h"

#include <charconv>
#include <limits>

namespace fdchain::proc {
namespace {

constexpr std::string_view blanks = " \t";

std::string_view trim(std::string_view text) {
  const std::size_t start = text.find_first_not_of(blanks);
  return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

// Takes the first word off a text; empty when there is none.
std::string_view take_word(std::string_view& text) {
  text = trim(text);
  const std::string_view word = text.substr(0, text.find_first_of(" \t\n"));
  text.remove_prefix(word.size());
  return word;
}

template <typename Integer>
bool read(std::string_view word, Integer& value, int base = 10) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, base);
  return error == std::errc() && end == word.data() + word.size();
}

template <typename Integer>
bool read_value(std::string_view text, std::string_view key, Integer& value, int base = 10) {
  std::string_view line = value_of(text, key).value_or("");
  return read(take_word(line), value, base);
}

// One number for each pid namespace, the process's own last.
bool read_innermost(std::string_view text, std::string_view key, pid_t& value) {
  std::string_view line = value_of(text, key).value_or("");
  std::string_view last;
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) last = word;
  return read(last, value);
}

// `unlimited` is more than any number.
bool read_limit(std::string_view word, std::uint64_t& value) {
  if (word != "unlimited") return read(word, value);
  value = std::numeric_limits<std::uint64_t>::max();
  return true;
}

}  // namespace

std::optional<std::string_view> value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.starts_with(key)) return trim(line.substr(key.size()));
    text.remove_prefix(line.size() + (line.size() < text.size() ? 1 : 0));
  }
  return std::nullopt;
}

std::vector<std::string_view> split_strings(std::string_view text) {
  std::vector<std::string_view> strings;
  while (!text.empty()) {
    const std::string_view string = text.substr(0, text.find('\0'));
    strings.push_back(string);
    text.remove_prefix(string.size() + (string.size() < text.size() ? 1 : 0));
  }
  return strings;
}

std::optional<Status> parse_status(std::string_view text) {
  Status status;
  const bool complete = read_value(text, "PPid:", status.parent) &&
                        (read_innermost(text, "NSpid:", status.pid_in_namespace) ||
                         read_value(text, "Pid:", status.pid_in_namespace)) &&
                        read_value(text, "SigBlk:", status.masks.blocked, 16) &&
                        read_value(text, "SigIgn:", status.masks.ignored, 16) &&
                        read_value(text, "SigCgt:", status.masks.caught, 16);
  return complete ? std::optional(status) : std::nullopt;
}

std::optional<Stat> parse_stat(std::string_view text) {
  // Behind the name there are numbers and one letter: the last parenthesis is the name's, whatever it holds.
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  Stat stat;
  stat.command = text.substr(open + 1, close - open - 1);
  std::string_view rest = text.substr(close + 1);
  const std::string_view state = take_word(rest);
  if (state.size() != 1 || !read(take_word(rest), stat.parent)) return std::nullopt;
  stat.state = state.front();
  constexpr std::uint64_t forked_no_exec = 0x40;  // PF_FORKNOEXEC of the kernel's include/linux/sched.h
  // Counted as in proc(5), where the pid is 1 and the parent 4.
  for (int field = 5; field <= 51; ++field) {
    const std::string_view word = take_word(rest);
    std::uint64_t value = 0;
    const bool wanted = field == 9 || field == 22 || field >= 50;
    if (word.empty() || (wanted && !read(word, value))) return std::nullopt;
    if (field == 9) stat.has_executed = (value & forked_no_exec) == 0;
    if (field == 22) stat.start_time = value;
    if (field == 50) stat.environment_start = value;
    if (field == 51) stat.environment_end = value;
  }
  return stat;
}

std::optional<Nofile> parse_nofile(std::string_view limits) {
  std::string_view line = value_of(limits, "Max open files").value_or("");
  Nofile nofile;
  const bool complete = read_limit(take_word(line), nofile.soft) && read_limit(take_word(line), nofile.hard);
  return complete ? std::optional(nofile) : std::nullopt;
}

}  // namespace fdchain::proc
