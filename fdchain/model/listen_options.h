// The options of a socket, in the words of --listen and in those of systemd.socket(5): one table for both.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "fdchain/model/listen_spec.h"

namespace fdchain {

/// How an option's value is read and written.
struct OptionValue {
  /// Takes the value; returns what a value of this option is when this is none, and nothing otherwise.
  std::string_view (*set)(ListenSpec& spec, std::string_view value);
  /// The value in the same words; empty where it is the default.
  std::string (*get)(const ListenSpec& spec);
  bool is_flag = false;  ///< the bare word means `yes`
  bool is_list = false;  ///< may be there more than once
};

struct ListenOption {
  std::string_view word;      ///< of --listen: `rcvbuf`
  std::string_view key;       ///< of a .socket unit: `ReceiveBuffer`
  unsigned kinds = 0;         ///< a bit for each kind of socket for which it means something
  std::string_view what_for;  ///< those kinds, for people
  OptionValue value;
};

std::span<const ListenOption> listen_options();

/// Nothing when there is no such word, or key.
const ListenOption* find_option_by_word(std::string_view word);
const ListenOption* find_option_by_key(std::string_view key);

/// Whether the option means anything for this very socket: `mode` does nothing for an abstract name.
bool applies(const ListenOption& option, const ListenSpec& spec);

/// The words that mean something for a kind: `name, backlog and v6only`.
std::string option_words(ListenSpec::Kind kind);

/// A boolean as systemd reads it: yes, true, on, 1, …
std::optional<bool> parse_boolean(std::string_view text);

}  // namespace fdchain
