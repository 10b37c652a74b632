#include "fdchain/system/proc/payload.h"

#include <sys/wait.h>

#include <csignal>
#include <utility>

#include "fdchain/system/fd/sys.h"

namespace fdchain {

Payload::Payload(pid_t pid, Send send) : pid_(pid), send_(std::move(send)) {
  if (!send_) send_ = [pid](int number) { ::kill(pid, number); };
}

Payload Payload::process_1(pid_t pid, Send send) {
  Payload payload(pid, std::move(send));
  payload.careful_.emplace(pid, payload.send_);
  return payload;
}

void Payload::signal(int number) {
  if (ended_) return;
  if (careful_)
    careful_->signal(number);
  else
    send_(number);
}

Deadline Payload::next_look() const { return careful_ && !ended_ ? careful_->next_look() : no_deadline; }

void Payload::look_again() {
  if (careful_ && !ended_) careful_->look_again();
}

bool Payload::try_reap() {
  if (ended_) return true;
  int raw = 0;
  if (check(retry([&] { return ::waitpid(pid_, &raw, WNOHANG); }), "waitpid") == pid_)
    ended_ = WaitStatus(raw);
  return has_ended();
}

WaitStatus Payload::status() const {
  const int fatal = careful_ ? careful_->fatal() : 0;
  return ended_->signal() == SIGKILL && fatal != 0 ? WaitStatus::for_signal(fatal) : *ended_;
}

}  // namespace fdchain
