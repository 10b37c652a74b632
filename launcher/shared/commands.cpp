#include "launcher/shared/commands.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "fdchain/model/failure.h"
#include "fdchain/model/likeness.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/exec/find_program.h"

namespace fdchain {
namespace {

constexpr std::array commands{"run",    "dry-run",  "trace",    "diagnose",          "report",
                              "faults", "profiles", "generate", "clean-up-container"};
constexpr std::size_t for_people = commands.size() - 1;

}  // namespace

bool is_command(const std::string& word) { return std::ranges::find(commands, word) != commands.end(); }

std::string command_like(const std::string& word) {
  const auto* const end = commands.begin() + for_people;
  const auto* const found =
      std::find_if(commands.begin(), end, [&](const char* command) { return is_like(word, command); });
  return found == end ? "" : *found;
}

void check_first_word(const std::vector<std::string>& words, const Environment& environment) {
  if (words.empty() || words.front() == "payload") return;
  const std::string& word = words.front();
  const bool is_name = !word.empty() && !word.starts_with('-') && word.find('/') == std::string::npos;
  if (!is_name) return;
  try {
    find_program(word, environment.get("PATH").value_or(standard_path));
  } catch (const Failure& failure) {
    if (failure.status() != exit_status::not_found) return;  // the runtime says it
    std::string all;
    for (std::size_t i = 0; i < for_people; ++i) all.append(i == 0 ? "" : ", ").append(commands[i]);
    const std::string like = command_like(word);
    throw Failure(
        printable(word) + ": not found in PATH" +
            (like.empty() ? ", and none of the commands " + all : "; did you mean `launcher " + like + "`?"),
        exit_status::not_found);
  }
}

}  // namespace fdchain
