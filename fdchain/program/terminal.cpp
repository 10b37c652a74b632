#include "fdchain/program/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

constexpr std::size_t fewest_columns = 40;
constexpr std::size_t most_columns = 1000;

std::string_view variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_set(const char* name) { return !variable(name).empty(); }

bool forces(const char* name) { return is_set(name) && variable(name) != "0"; }

}  // namespace

ColourChoice parse_colour_choice(std::string_view text) {
  if (text == "auto") return ColourChoice::automatic;
  if (text == "always") return ColourChoice::always;
  if (text == "never") return ColourChoice::never;
  throw Failure("--color " + printable(text) + ": not one of auto, always, never");
}

bool wants_colour(int fd, ColourChoice choice) {
  if (choice != ColourChoice::automatic) return choice == ColourChoice::always;
  if (is_set("NO_COLOR")) return false;
  if (forces("FORCE_COLOR") || forces("CLICOLOR_FORCE")) return true;
  return ::isatty(fd) == 1 && variable("TERM") != "dumb";
}

std::size_t columns_of(int fd, std::size_t unknown) {
  std::size_t columns = unknown;
  winsize size{};
  if (const auto stated = parse_decimal(variable("COLUMNS"), UINT32_MAX); stated && *stated > 0)
    columns = static_cast<std::size_t>(*stated);
  else if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    columns = size.ws_col;
  return std::clamp(columns, fewest_columns, most_columns);
}

}  // namespace fdchain
