// A .socket unit of systemd.socket(5), read as systemd reads it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/listen_spec.h"

namespace fdchain {

/// A unit file or one of its drop-ins.
struct UnitText {
  std::string file;  ///< for messages
  std::string text;
  bool is_drop_in = false;
};

/// What the letters behind `%` stand for in systemd.unit(5), as far as it is not in the unit's name.
using Specifiers = std::map<char, std::string>;

/// What a unit asks for.
struct SocketUnit {
  std::vector<ListenSpec> listen;
  std::vector<std::string> notes;  ///< on what is not done: `echo.socket:7: ExecStartPost= is not run`
};

/// Reads the unit `name` (`echo.socket`, `echo@one.socket`) from its file and its drop-ins, in their order.
/// `file` is how it was asked for.
///
/// What systemd would ignore with a line in its log is ignored with a note. Throws Failure where systemd
/// would not start the unit, and where it would open what cannot be opened here.
SocketUnit parse_socket_unit(const std::string& name, const std::string& file,
                             const std::vector<UnitText>& texts, const Specifiers& specifiers);

/// Whether a name is one that a .socket unit can have; a template without an instance is none.
bool is_socket_unit_name(std::string_view name);

/// Whether it is `NAME@.socket`.
bool is_socket_template(std::string_view name);

}  // namespace fdchain
