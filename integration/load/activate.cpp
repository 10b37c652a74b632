#include "integration/load/activate.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "fdchain/model/listen_env.h"
#include "fdchain/plan/hand_over.h"
#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "integration/harness/program.h"

namespace fdchain::load {

Activator::Activator(const std::vector<std::string>& addresses, std::string directory)
    : directory_(std::move(directory)) {
  for (const std::string& address : addresses) sockets_.push_back(open_listening(parse_listen_spec(address)));
}

pid_t Activator::activate(const std::vector<std::string>& arguments, int out) const {
  HandOver next;
  next.from = Hop::activator;
  next.program = test::bin("launcher");
  next.argv = arguments;
  next.argv.insert(next.argv.begin(), next.program);
  next.environment = Environment({"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + directory_});
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    const int target = listen_fds_start + static_cast<int>(i);
    next.passed.push_back({sockets_[i].fd.get(), target, 1, false, "socket"});
  }
  if (out >= 0) next.passed.push_back({out, STDOUT_FILENO, 1, false, "stdout"});
  announce(next.environment, static_cast<int>(sockets_.size()), std::nullopt);
  next.name_pid = true;
  next.place.directory = directory_;
  ExecImage image(next, current_signal_mask());
  const Spawned spawned = spawn(image);
  if (spawned.failure) throw std::runtime_error(image.describe(*spawned.failure));
  return spawned.pid;
}

bool Activator::has_work() const {
  std::vector<pollfd> polled;
  for (const Opened& socket : sockets_) polled.push_back({socket.fd.get(), POLLIN, 0});
  return check(retry([&] { return ::poll(polled.data(), polled.size(), 0); }), "poll") > 0;
}

}  // namespace fdchain::load
