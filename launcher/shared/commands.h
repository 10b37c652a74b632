#pragma once

#include <string>
#include <vector>

#include "fdchain/model/environment.h"

namespace fdchain {

/// Whether `launcher WORD` is a command; any other word is a payload.
bool is_command(const std::string& word);

/// The command that somebody who has typed `word` may have meant; empty when none is like it.
std::string command_like(const std::string& word);

/// Throws Failure 127 when the first of `words` is a name that is neither a command nor found in PATH, and
/// says which command may have been meant.
void check_first_word(const std::vector<std::string>& words, const Environment& environment);

}  // namespace fdchain
