#include "launcher/run.h"

#include <unistd.h>

#include "fdchain/model/failure.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/program/announcement.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/system/exec_image.h"
#include "fdchain/system/files.h"
#include "fdchain/system/notify.h"
#include "fdchain/system/spawn.h"
#include "launcher/hand_over.h"
#include "launcher/monitor_link.h"

namespace fdchain {
namespace {

// E2BIG is about the payload's arguments: ours are a few words.
int status_of(const ExecFailure& failure) {
  return failure.error == E2BIG ? exit_status::cannot_invoke : exit_status::hop_failed;
}

// Double-forks the monitor and connects the link to it; returns its pid.
pid_t start_monitor(const RunOptions& options, Arrival& arrival, Sockets& sockets, MonitorLink& link) {
  SocketPair sync = make_socket_pair();
  SocketPair start = make_socket_pair();
  ExecImage image(hand_over_to_monitor(options, arrival, sockets, sync, start), link.mask_before());
  const Spawned monitor = spawn_detached(image);
  if (monitor.failure) throw Failure(image.describe(*monitor.failure), status_of(*monitor.failure));
  log::debug("monitor runs with pid {}", monitor.pid);
  checkpoint(arrival.environment, Hop::launcher, Moment::after_fork);
  link.connect(std::move(sync.ours), std::move(start.ours), monitor.pid);
  // The chain has copies of its own now; a socket held here would outlive the payload's.
  arrival.window.close();
  for (Opened& opened : sockets.opened) opened.fd.close();
  return monitor.pid;
}

// What podman tells systemd: the monitor is the service's main process.
void notify_systemd(const RunOptions& options, const Arrival& arrival, pid_t monitor) {
  const auto socket = arrival.environment.get("NOTIFY_SOCKET");
  if (!socket || options.sdnotify == SdNotify::ignore) return;
  std::string message = "MAINPID=" + std::to_string(monitor);
  if (options.sdnotify == SdNotify::conmon) message += "\nREADY=1";
  try {
    notify(std::string(*socket), message);
  } catch (const std::exception& error) {
    log::warn("{}", error.what());
  }
}

// Says the payload's pid; only then may the launcher leave.
int detach(const Arrival& arrival, Sockets& sockets, MonitorLink& link, pid_t payload) {
  if (!arrival.stdio_open[STDOUT_FILENO])
    throw Failure("stdout is closed; the payload's pid has nowhere to go");
  write_all(STDOUT_FILENO, std::to_string(payload) + '\n', "stdout");
  link.leave();
  for (Opened& opened : sockets.opened) {
    if (opened.made) opened.made->release();
  }
  return 0;
}

int attend(const RunOptions& options, MonitorLink& link, pid_t payload) {
  const SyncMessage end = link.wait_for_end();
  const std::string who =
      (options.name.empty() ? "" : options.name + ": ") + "payload (pid " + std::to_string(payload) + ") ";
  if (end.data < 0)
    throw Failure(end.message.value_or("the monitor failed without a word"),
                  end.status.value_or(exit_status::hop_failed));
  if (end.timed_out)
    print_error(Hop::launcher, who + "was killed: --timeout " + std::to_string(options.timeout) + " is over");
  else if (end.signal && !link.has_relayed(*end.signal))
    print_error(Hop::launcher, who + WaitStatus::for_signal(*end.signal).describe());
  return end.data;
}

}  // namespace

int run_chain(const RunOptions& options, Arrival arrival) {
  Sockets sockets{accept_announcement(arrival, options.preserve_fds), {}};
  MonitorLink link;
  for (const ListenSpec& spec : options.listen) sockets.opened.push_back(open_listening(spec));
  const pid_t monitor = start_monitor(options, arrival, sockets, link);
  const pid_t payload = link.start_payload();
  try {
    notify_systemd(options, arrival, monitor);
    if (!options.pidfile.empty()) write_file_atomically(options.pidfile, std::to_string(payload));
    checkpoint(arrival.environment, Hop::launcher, Moment::running);
    if (options.detach) return detach(arrival, sockets, link, payload);
  } catch (...) {
    link.end_payload();
    throw;
  }
  const int status = attend(options, link, payload);
  checkpoint(arrival.environment, Hop::launcher, Moment::after_exit);
  return status;
}

}  // namespace fdchain
