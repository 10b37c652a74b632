#include "integration/real/cells/cells.h"

namespace fdchain::test {

std::vector<Input> all_inputs() {
  return {
      {.name = "no sockets", .sockets = 0},
      {.name = "one socket", .sockets = 1},
      {.name = "two sockets"},
      {.name = "three sockets", .sockets = 3},
      {.name = "twenty sockets", .sockets = 20},
      {.name = "two sockets without names", .named = false},
      {.name = "LISTEN_PID of another", .listen_pid = "1"},
      {.name = "no LISTEN_PID", .listen_pid = "none"},
      {.name = "LISTEN_PID that is no number", .listen_pid = "x"},
      {.name = "LISTEN_FDS smaller than what is there", .listen_fds = "1"},
      {.name = "LISTEN_FDS that is no number", .listen_fds = "x"},
      {.name = "--preserve-fds beyond what is open", .preserve_fds = 5},
      {.name = "--preserve-fds smaller than LISTEN_FDS", .preserve_fds = 1},
      {.name = "--preserve-fds as large as LISTEN_FDS", .preserve_fds = 2},
      {.name = "--preserve-fds larger than LISTEN_FDS", .preserve_fds = 3, .strays = {5}},
      {.name = "a stray behind the sockets", .strays = {9}},
      {.name = "strays where the handshake will be", .strays = {5, 6, 7, 8}},
      {.name = "no sockets, strays from 3 on", .sockets = 0, .strays = {3, 4, 5}},
      {.name = "stdin closed", .closed = {0}},
      {.name = "stdout closed", .closed = {1}},
      {.name = "stderr closed", .closed = {2}},
      {.name = "detached", .detach = true},
      {.name = "the host's pids", .host_pid = true},
      {.name = "a shell that forks", .wrapped = true},
      {.name = "4.8: one socket", .sockets = 1, .later = true},
      {.name = "4.8: two sockets", .later = true},
      {.name = "4.8: two sockets without names", .named = false, .later = true},
      {.name = "4.8: four sockets and strays", .sockets = 4, .strays = {9, 10, 11}, .later = true},
      {.name = "4.8: detached", .detach = true, .later = true},
  };
}

}  // namespace fdchain::test
