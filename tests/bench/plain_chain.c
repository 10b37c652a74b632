// The same topology in plain C and nothing else: launcher, intermediate, monitor, shim, payload. The yardstick for
// what a fork, an exec and a status pipe cost on the machine at hand.
//
//   plain_chain PAYLOAD [ARG...]
//
// Sockets at 3 and above are inherited as they are; LISTEN_PID is rewritten where there is one.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void name_pid(void) {
  char pid[16];
  if (getenv("LISTEN_PID") == NULL) return;
  snprintf(pid, sizeof pid, "%d", getpid());
  setenv("LISTEN_PID", pid, 1);
}

static void exec_self(char* role, char* argument, char** payload) {
  char* argv[64] = {"plain_chain", role, argument};
  int i = 0;
  for (; payload[i] != NULL && i < 60; ++i) argv[3 + i] = payload[i];
  name_pid();
  execv("/proc/self/exe", argv);
  _exit(127);
}

static int shim(char** payload) {
  name_pid();
  execv(payload[0], payload);
  return 127;
}

static int monitor(char* status_fd, char** payload) {
  int status = 0;
  const int fd = atoi(status_fd);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t child = fork();
  if (child == 0) exec_self("shim", "-", payload);
  if (waitpid(child, &status, 0) < 0 || write(fd, &status, sizeof status) < 0) return 125;
  return 0;
}

static int launcher(char** payload) {
  int ends[2];
  int status = 0;
  if (pipe(ends) < 0) return 125;
  const pid_t intermediate = fork();
  if (intermediate == 0) {
    if (fork() != 0) _exit(0);
    char fd[16];
    snprintf(fd, sizeof fd, "%d", ends[1]);
    close(ends[0]);
    setsid();
    exec_self("monitor", fd, payload);
  }
  close(ends[1]);
  waitpid(intermediate, NULL, 0);
  if (read(ends[0], &status, sizeof status) != sizeof status) return 125;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char** argv) {
  if (argc > 3 && strcmp(argv[1], "monitor") == 0) return monitor(argv[2], argv + 3);
  if (argc > 3 && strcmp(argv[1], "shim") == 0) return shim(argv + 3);
  return argc > 1 ? launcher(argv + 1) : 2;
}
