// Opens a socket itself, on 127.0.0.1 at the port that is its first argument, and goes on as the program that is the
// rest: a service with no activator, on the host.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char** argv) {
  char pid[16];
  if (argc < 3) return 2;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
      bind(fd, (const struct sockaddr*)&address, sizeof address) < 0 || listen(fd, SOMAXCONN) < 0 || dup2(fd, 3) < 0) {
    perror("opens_itself");
    return 1;
  }
  // Like any service, and like the payload of a chain: who shares a session shares its part of the processor
  // (sched_autogroup).
  setsid();
  snprintf(pid, sizeof pid, "%d", getpid());
  setenv("LISTEN_PID", pid, 1);
  setenv("LISTEN_FDS", "1", 1);
  execv(argv[2], argv + 2);
  perror(argv[2]);
  return 127;
}
