// An OCI runtime for conmon that makes a container at once: a process that waits, or with INSTANT_EXIT set one that
// ends. What is then measured is conmon alone.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
  const char* pid_file = NULL;
  for (int i = 1; i + 1 < argc; ++i) {
    if (strcmp(argv[i], "--pid-file") == 0) pid_file = argv[i + 1];
  }
  if (pid_file == NULL) return 0;
  const pid_t container = fork();
  if (container == 0) {
    if (getenv("INSTANT_EXIT") == NULL) pause();
    _exit(0);
  }
  char pid[16];
  const int length = snprintf(pid, sizeof pid, "%d", container);
  const int file = open(pid_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  return file < 0 || write(file, pid, (size_t)length) != length;
}
