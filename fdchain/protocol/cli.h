// The grammar that the command lines of conmon and of the OCI runtimes have in common: a table of options,
// and one way to read words by it. What a program says of a word that it cannot read is its own.
#pragma once

#include <algorithm>
#include <climits>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace fdchain::cli {

inline constexpr unsigned anywhere = ~0U;

/// An option whose value is a member of `Values`: a flag is a bool, a list may be given more than once, and
/// what is optional is empty unless it was given.
template <typename Values>
struct Option {
  using Member =
      std::variant<bool Values::*, int Values::*, std::string Values::*, std::vector<std::string> Values::*,
                   std::optional<std::string> Values::*, std::optional<std::int64_t> Values::*>;

  std::string_view name;  ///< as typed behind `--`
  char letter;            ///< as typed behind `-`; 0 for none
  Member member;
  std::string_view help;
  std::string_view value = {};  ///< what its value is called in the help
  unsigned where = anywhere;    ///< the places on a command line at which it may stand, as bits
  std::int64_t least = INT_MIN;
  std::int64_t most = INT_MAX;

  [[nodiscard]] constexpr bool is_flag() const { return std::holds_alternative<bool Values::*>(member); }
};

/// Whether a word is an option, and not an operand, `-` or `--`.
constexpr bool is_option(std::string_view word) { return word.size() > 1 && word[0] == '-' && word != "--"; }

/// The option that is typed `--name`; null for none at that place.
template <typename Values>
const Option<Values>* find_long(std::span<const Option<Values>> table, std::string_view name,
                                unsigned where = anywhere) {
  const auto found = std::ranges::find_if(table, [&](const Option<Values>& option) {
    return option.name == name && (option.where & where) != 0;
  });
  return found == table.end() ? nullptr : &*found;
}

/// The option that is typed `-letter`; null for none at that place.
template <typename Values>
const Option<Values>* find_letter(std::span<const Option<Values>> table, char letter,
                                  unsigned where = anywhere) {
  const auto found = std::ranges::find_if(table, [&](const Option<Values>& option) {
    return letter != 0 && option.letter == letter && (option.where & where) != 0;
  });
  return found == table.end() ? nullptr : &*found;
}

/// The name in `--name` or `--name=value`.
constexpr std::string_view name_in(std::string_view word) { return word.substr(2, word.find('=') - 2); }

/// A command line, word by word.
class Words {
 public:
  explicit Words(const std::vector<std::string>& words) : words_(words) {}

  [[nodiscard]] bool at_end() const { return next_ == words_.size(); }
  const std::string& take() { return words_[next_++]; }
  [[nodiscard]] std::vector<std::string> rest() const {
    return {words_.begin() + static_cast<std::ptrdiff_t>(next_), words_.end()};
  }

 private:
  const std::vector<std::string>& words_;
  std::size_t next_ = 0;
};

enum class Trouble { unknown_option, missing_value, second_value };

/// How a program reads options.
struct Manner {
  bool letter_has_value_in_word;  ///< `-bDIR` is `-b DIR`, as for getopt(3); GOption takes the next word
  bool flag_has_value;            ///< `--detach=false` says no; GOption does not look
};

/// Reads the option that is `word`, and the value behind it if it has one.
///
/// `taker.take(option, value, typed)` is told each option with its value, `true` for a flag, and how it was
/// typed; false ends the word there. `taker.refuse(trouble, word, typed)` does not return.
template <typename Values, typename Taker>
class OptionReader {
 public:
  using Row = Option<Values>;

  OptionReader(std::span<const Row> table, Manner manner, Words& words, Taker& taker)
      : table_(table), manner_(manner), words_(words), taker_(taker) {}

  void read(const std::string& word, unsigned where = anywhere) {
    if (word.starts_with("--"))
      read_long(word, where);
    else
      read_letters(word, where);
  }

 private:
  void read_long(const std::string& word, unsigned where) {
    const Row* const option = find_long(table_, name_in(word), where);
    if (option == nullptr) taker_.refuse(Trouble::unknown_option, word, word);
    const std::string typed = "--" + std::string(option->name);
    const std::size_t equals = word.find('=');
    const bool has_value = equals != std::string::npos && (!option->is_flag() || manner_.flag_has_value);
    taker_.take(*option, has_value ? word.substr(equals + 1) : value_behind(*option, word, typed), typed);
  }

  void read_letters(const std::string& word, unsigned where) {
    bool value_taken = false;
    for (std::size_t i = 1; i < word.size(); ++i) {
      const std::string typed = std::string("-") + word[i];
      const Row* const option = find_letter(table_, word[i], where);
      if (option == nullptr) taker_.refuse(Trouble::unknown_option, word, typed);
      if (!option->is_flag() && value_taken) taker_.refuse(Trouble::second_value, word, typed);
      value_taken = value_taken || !option->is_flag();
      const bool in_word = !option->is_flag() && manner_.letter_has_value_in_word && i + 1 < word.size();
      const std::string value = in_word ? word.substr(i + 1) : value_behind(*option, word, typed);
      if (!taker_.take(*option, value, typed) || in_word) return;
    }
  }

  std::string value_behind(const Row& option, const std::string& word, const std::string& typed) {
    if (option.is_flag()) return "true";
    if (words_.at_end()) taker_.refuse(Trouble::missing_value, word, typed);
    return words_.take();
  }

  std::span<const Row> table_;
  Manner manner_;
  Words& words_;
  Taker& taker_;
};

/// Adds the words that are read as `values`, in the table's order, without what is as in `defaults`. Of
/// several names of one thing the first is written.
template <typename Values>
void write_options(std::span<const Option<Values>> table, const Values& values, const Values& defaults,
                   unsigned where, std::vector<std::string>& words) {
  for (std::size_t row = 0; row < table.size(); ++row) {
    const Option<Values>& option = table[row];
    const bool again = std::ranges::any_of(table.first(row), [&](const Option<Values>& before) {
      return before.member == option.member && (before.where & where) != 0;
    });
    if (again || (option.where & where) == 0) continue;
    const std::string name = "--" + std::string(option.name);
    const auto add = [&](const std::string& value) { words.insert(words.end(), {name, value}); };
    const auto write = [&](auto member) {
      using Type = std::remove_cvref_t<decltype(values.*member)>;
      const Type& value = values.*member;
      if (value == defaults.*member) return;
      if constexpr (std::is_same_v<Type, bool>)
        words.push_back(name);
      else if constexpr (std::is_same_v<Type, int>)
        add(std::to_string(value));
      else if constexpr (std::is_same_v<Type, std::string>)
        add(value);
      else if constexpr (std::is_same_v<Type, std::vector<std::string>>)
        std::ranges::for_each(value, add);
      else if constexpr (std::is_same_v<Type, std::optional<std::string>>)
        add(*value);
      else
        add(std::to_string(*value));
    };
    std::visit(write, option.member);
  }
}

}  // namespace fdchain::cli
