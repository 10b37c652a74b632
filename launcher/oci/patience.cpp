#include "launcher/oci/patience.h"

#include "fdchain/system/fd/signals.h"

namespace fdchain {

void Patience::saw_request(int signal, Deadline now) {
  if (asked_ != 0 || !asks_for_end(signal)) return;
  asked_ = signal;
  asked_at_ = now;
}

Deadline Patience::for_container() const {
  const Deadline timeout = timeout_ > 0 ? begin_ + std::chrono::seconds(timeout_) : no_deadline;
  return asked_ != 0 ? std::min(timeout, asked_at_ + grace) : timeout;
}

Failure Patience::no_container() const {
  const std::string why = "the container was not there: neither monitor nor runtime has said anything";
  if (asked_ == 0)
    return Failure("--timeout " + std::to_string(timeout_) + " is over, and " + why, exit_status::timed_out);
  return Failure("signal " + std::to_string(asked_) + " came, and 10 seconds later " + why,
                 exit_status::by_signal + asked_);
}

Deadline Patience::for_end() const {
  const Deadline timeout = timeout_ > 0 ? begin_ + std::chrono::seconds(timeout_) + grace : no_deadline;
  return is_due() ? std::min(timeout, std::max(asked_at_, payload_ended_at_) + grace) : timeout;
}

Failure Patience::no_end(const std::string& monitor) const {
  const std::string late = ", and 10 seconds later " + monitor + " had not told the payload's end; killed";
  if (is_due())
    return Failure("signal " + std::to_string(asked_) + " came, the payload has ended" + late,
                   exit_status::by_signal + asked_);
  return Failure("--timeout " + std::to_string(timeout_) + " is over" + late, exit_status::timed_out);
}

}  // namespace fdchain
