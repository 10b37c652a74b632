#pragma once

#include <sys/types.h>

#include <map>
#include <string>

namespace fdchain::test {

/// The value of a line `NAME: 123 kB`, or `NAME: 123`, of a file in /proc. Throws when it has none.
long proc_value(const std::string& file, const std::string& name);

/// What a process takes of memory: its own pages, and its share of those that others have too.
long pss_kb(pid_t process);

/// How much of a program's own code is in the memory of a process, whoever else has it too. `program`: the
/// end of its path.
long resident_code_kb(pid_t process, const std::string& program);

/// What every process below this one, together by their names (as in `ps -o comm`), takes.
std::map<std::string, long> pss_kb_by_name();

}  // namespace fdchain::test
