// One input of the chain, and what each hop made of it: for the comparison of ours with the real one.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace fdchain::test {

/// What a chain is started with.
struct Input {
  std::string name;  ///< of a row: `two sockets, LISTEN_PID of another`
  int sockets = 2;
  bool named = true;
  std::string listen_pid = "self";  ///< `self`, `none`, or a text
  std::string listen_fds = {};      ///< instead of the number of sockets
  int preserve_fds = 0;
  std::vector<int> strays = {};  ///< numbers at which the caller has left files open
  std::vector<int> closed = {};  ///< of 0, 1 and 2
  bool detach = false;
  bool host_pid = false;
  bool wrapped = false;  ///< the payload behind a shell that forks
  bool later = false;    ///< podman 4.8, which gives its environment to conmon
};

/// The inputs, each for crun and for runc.
std::vector<Input> all_inputs();

/// What was seen: for each of `monitor`, `runtime-shim`, `payload` and `status` a text that says which object
/// was at which number, and what LISTEN_* said; and under `judge` what the judge finds, and whose doing it
/// is.
using Cells = std::map<std::string, std::string>;

/// The real chain: podman 4.3, conmon and `runtime` (crun or runc), followed by `launcher trace`.
Cells run_real(const Input& input, const std::string& runtime);

/// Ours, with the profile of that version.
Cells run_ours(const Input& input, const std::string& runtime);

}  // namespace fdchain::test
