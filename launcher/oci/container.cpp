#include "launcher/oci/container.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/departure.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/protocol/conmon_sync.h"
#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/fs/rootfs.h"
#include "fdchain/system/proc/payload.h"
#include "fdchain/system/proc/processes.h"
#include "launcher/oci/clean_up.h"
#include "launcher/oci/command.h"
#include "launcher/oci/directory.h"
#include "launcher/oci/exit_file.h"
#include "launcher/oci/observer.h"
#include "launcher/oci/patience.h"
#include "launcher/oci/plan.h"
#include "launcher/oci/runtime.h"
#include "launcher/oci/terminal_relay.h"
#include "launcher/shared/caretaker.h"
#include "launcher/shared/sockets.h"
#include "launcher/shared/systemd_notice.h"
#include "launcher/shared/temporary.h"

namespace fdchain {
namespace {

namespace fs = std::filesystem;

// A runtime that takes longer than this for a word has failed; podman waits as long for a container.
constexpr auto runtime_patience = std::chrono::seconds(240);
constexpr auto now_and_then = std::chrono::milliseconds(100);

using Clock = std::chrono::steady_clock;

void send_signal(const OwnedFd& pidfd, int signal) { (void)signal_pidfd(pidfd.get(), signal); }

/// One container, from its bundle to its end.
class Container {
 public:
  Container(const RunOptions& options, Arrival& arrival, const AcceptedFds& accepted, Sockets& sockets,
            Witness& witness)
      : options_(options),
        arrival_(arrival),
        accepted_(accepted),
        sockets_(sockets),
        witness_(witness),
        relay_(options.log.kind == LogTarget::Kind::passthrough),
        run_{options, arrival.environment, accepted.sockets, accepted.kept_end, {}, {}, {}, {}} {}

  int run();

 private:
  void prepare();
  void write_bundle();
  void make_place();
  void start_monitor();
  void let_go_of_passed(const Conduct& conduct);
  void find_monitor();
  void create();
  void start();
  int detach();
  int attend();
  int conclude();
  void clean_up();
  void write_rest();
  void relay(int signal);
  void kill_payload(int signal);
  bool wait(const OwnedFd& what, Deadline end);
  Outcome runtime(const std::vector<std::string>& words, std::chrono::milliseconds limit,
                  const std::function<bool()>& given_up = {}) const;
  WaitStatus await_foreground(pid_t foreground);
  bool is_given_up();
  [[noreturn]] void give_up();
  void look_at_payload();
  [[nodiscard]] std::string monitor() const { return "monitor (pid " + std::to_string(monitor_pid_) + ')'; }

  const RunOptions& options_;
  Arrival& arrival_;
  const AcceptedFds& accepted_;
  Sockets& sockets_;
  Witness& witness_;
  TerminalRelay relay_;
  ContainerRun run_;
  OwnedFd lock_;
  sigset_t mask_before_{};
  OwnedFd signals_;
  ExitFile exit_file_;
  OwnedFd sync_pipe_;
  OwnedFd monitor_end_;  ///< a pidfd
  OwnedFd payload_end_;  ///< a pidfd
  pid_t monitor_pid_ = 0;
  std::optional<Payload> payload_;
  bool running_ = false;
  std::vector<int> waiting_signals_;
  Patience patience_{options_.timeout, Clock::now()};
  std::vector<pid_t> came_with_;
  std::vector<std::string> heard_;
  std::optional<Caretaker> caretaker_;  ///< until the container has been started
  ContainerObserver observer_{witness_, options_.follow_payload};
};

int Container::run() {
  prepare();
  try {
    start_monitor();
    create();
    start();
    if (options_.detach) return detach();
    return attend();
  } catch (...) {
    clean_up();
    throw;
  }
}

void Container::prepare() {
  if (!options_.isolation.rootfs.empty()) check_rootfs(options_.isolation.rootfs);
  if (!options_.pidfile.empty()) check_replaceable("--pidfile", options_.pidfile);
  if (!options_.exit_file.empty()) check_replaceable("--exit-file", options_.exit_file);
  const std::string search(arrival_.environment.get("PATH").value_or(standard_path));
  run_.monitor = fs::absolute(find_hop(options_.monitor, search));
  run_.runtime = fs::absolute(find_hop(options_.runtime, search));
  run_.place = {temporary_path("fdchain-")};
  run_.id = fs::path(run_.place.path).filename();
  caretaker_.emplace([words = clean_up_words(run_, sockets_), monitor = run_.monitor](
                         const Caretaker::Notes& notes) { clean_up_unstarted(words, monitor, notes); });
  open_sockets(options_, sockets_, &*caretaker_);
  if (witness_.trace().on()) {
    witness_.saw_arrival(make_contract(options_, arrival_, sockets_));
    observer_.know_sockets();
  }
  SignalFd signals = receive_signals(signals_to_relay());
  mask_before_ = signals.mask_before;
  signals_ = std::move(signals.fd);
  if (has_children()) came_with_ = children_of_this_process();
  observer_.follow();
  check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl PR_SET_CHILD_SUBREAPER");
  make_place();
}

void Container::make_place() try {
  make(run_.place);
  lock_ = hold(run_.place);
  exit_file_.watch(run_.place, run_.id);
  const bool has_own_root = !options_.isolation.rootfs.empty();
  if (!has_own_root || runs_crun(run_)) enter_own_mounts();
  if (!has_own_root) show_host_root(run_.place.root());
  if (runs_crun(run_)) show_cgroup2_alone();
} catch (...) {
  remove(run_.place);
  throw;
}

Outcome Container::runtime(const std::vector<std::string>& words, std::chrono::milliseconds limit,
                           const std::function<bool()>& given_up) const {
  return call_runtime(run_, words, mask_before_, limit, given_up);
}

void Container::start_monitor() {
  SocketPair sync = make_socket_pair();
  SocketPair start = make_socket_pair();
  Handles handles{{}, {}, sync.theirs.get(), start.theirs.get(), static_cast<int>(accepted_.free.size())};
  for (const Opened& opened : sockets_.opened) handles.own_sockets.push_back(opened.fd.get());
  run_.environment = environment_to_pass(options_, arrival_.environment, witness_.trace());
  std::vector<std::string> exit_command = clean_up_words(run_, sockets_);
  exit_command.insert(exit_command.begin(), "clean-up-container");
  HopPlan plan = plan_conmon(run_, handles, std::move(exit_command));
  for (FdPass& passed : relay_.passed()) plan.next.passed.push_back(std::move(passed));
  edit_plan(plan, arrival_, asked_edits(options_, arrival_.environment), accepted_,
            {static_cast<int>(sockets_.opened.size())});
  write_bundle();
  const Spawned foreground = depart(plan.next, mask_before_, witness_.trace());
  sync.theirs.close();
  start.theirs.close();
  relay_.close_theirs();
  sync_pipe_ = std::move(sync.ours);
  checkpoint(arrival_.environment, Hop::launcher, Moment::after_fork);
  let_go_of_passed(plan.conduct);
  // As podman does it: one byte, and then the foreground process makes way for the one that stays.
  (void)!send_message(start.ours, std::string(1, '\0'));
  const WaitStatus status = await_foreground(foreground.pid);
  if (status != WaitStatus::for_exit_code(0))
    throw Failure("monitor (" + printable(run_.monitor) + ") " + status.describe());
  find_monitor();
}

void Container::let_go_of_passed(const Conduct& conduct) {
  OwnedRange(sockets_.inherited.end(), accepted_.preserved).close();
  // The foreground process is reaped when it has made way.
  if (std::ranges::find(conduct.after_fork, AfterFork::drop_sockets) == conduct.after_fork.end()) return;
  arrival_.window.close();
  for (Opened& opened : sockets_.opened) opened.fd.close();
}

void Container::find_monitor() {
  std::ifstream(run_.place.monitor_pidfile()) >> monitor_pid_;
  if (monitor_pid_ <= 0) return;
  OwnedFd monitor(open_pidfd(monitor_pid_));
  // What is not below this subreaper is no monitor of its own: nothing to wait for, and above all not to end.
  if (is_descendant(monitor_pid_)) monitor_end_ = std::move(monitor);
}

WaitStatus Container::await_foreground(pid_t foreground) {
  const OwnedFd end(check(open_pidfd(foreground), "pidfd_open"));
  while (!wait(end, after(now_and_then))) {
    if (!is_given_up()) continue;
    send_signal(end, SIGKILL);
    reap(foreground);
    give_up();
  }
  return reap(foreground);
}

void Container::write_bundle() {
  if (notify_socket_of(run_)) fs::create_directory(run_.place.notify());
  write_file_atomically(run_.place.bundle() + "/config.json", oci::encode(config_of(run_)));
}

bool Container::is_given_up() {
  while (const int number = read_signal(signals_.get())) relay(number);
  return Clock::now() >= patience_.for_container();
}

void Container::give_up() {
  if (monitor_end_) send_signal(monitor_end_, SIGKILL);
  throw patience_.no_container();
}

void Container::look_at_payload() {
  if (patience_.waits_for_payload() && is_readable(payload_end_.get()))
    patience_.saw_end_of_payload(Clock::now());
}

// Waits for the monitor's word, and takes signals meanwhile: they are for a payload that is to come.
void Container::create() {
  std::array<char, conmon_message_max + 1> buffer{};
  ssize_t got = -1;
  while (got < 0) {
    if (is_given_up()) give_up();
    if (!wait(sync_pipe_, after(now_and_then))) continue;
    got = check(retry([&] { return ::read(sync_pipe_.get(), buffer.data(), buffer.size()); }), "read",
                "sync pipe");
  }
  const std::string said(buffer.data(), static_cast<std::size_t>(got));
  if (got > 0) heard_.push_back(said);
  const auto message = decode_conmon_message(said);
  if (message && message->data > 0) {
    const auto send = [this](int signal) { kill_payload(signal); };
    payload_end_ = OwnedFd(open_pidfd(message->data));
    payload_ =
        options_.isolation.pid ? Payload::process_1(message->data, send) : Payload(message->data, send);
    return;
  }
  // conmon says what it has read of the runtime's stderr, which is ours where that is passed through.
  const std::string heard = message ? message->message.value_or("") : "";
  const std::string text = last_error_in(run_.place.runtime_log()).value_or(heard);
  if (text.empty())
    throw Failure("monitor (" + printable(run_.monitor) + ") has not said why the payload never ran");
  throw Failure("runtime: " + one_line(text), status_of_refusal(text));
}

void Container::start() {
  observer_.see_monitor(monitor_pid_, payload_->pid());
  const Outcome outcome = runtime({"start", run_.id}, runtime_patience, [this] { return is_given_up(); });
  if (is_given_up() && outcome.status.signal() == SIGKILL) give_up();
  if (outcome.status != WaitStatus::for_exit_code(0))
    throw Failure("runtime: " + why_not(outcome), status_of_refusal(outcome.said));
  caretaker_.reset();  // the monitor's exit command cleans up from now on
  observer_.see_payload(payload_->pid());
  running_ = true;
  if (!options_.pidfile.empty())
    write_file_atomically(options_.pidfile, std::to_string(payload_->pid()), "--pidfile");
  notify_systemd(options_, arrival_, monitor_pid_);
  for (const int number : std::exchange(waiting_signals_, {})) relay(number);
  checkpoint(arrival_.environment, Hop::launcher, Moment::running);
}

int Container::detach() {
  if (!arrival_.stdio_open[STDOUT_FILENO])
    throw Failure("stdout is closed; the payload's pid has nowhere to go");
  write_all_patiently(STDOUT_FILENO, std::to_string(payload_->pid()) + '\n', "stdout");
  for (Opened& opened : sockets_.opened) {
    for (MadeName& made : opened.made) made.release();
  }
  lock_.close();
  return 0;
}

// Until the exit file is there, or nobody is left to write it.
int Container::attend() {
  bool monitor_lives = monitor_end_.operator bool();
  while (monitor_lives && !exit_file_.status()) {
    look_at_payload();
    const Deadline end = patience_.for_end();
    if (Clock::now() >= end) {
      send_signal(monitor_end_, SIGKILL);
      throw patience_.no_end(monitor());
    }
    monitor_lives = !wait(monitor_end_, end);
  }
  return conclude();
}

// Until something happens; whether it is that `what` can be read. Signals are relayed, and a terminal served,
// meanwhile.
bool Container::wait(const OwnedFd& what, Deadline end) {
  std::vector<pollfd> waiting{
      {what.get(), POLLIN, 0}, {exit_file_.changes().get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
  waiting.push_back({patience_.waits_for_payload() ? payload_end_.get() : -1, POLLIN, 0});
  relay_.add_to(waiting);
  (void)poll_until(waiting, payload_ ? std::min(end, payload_->next_look()) : end);
  if (payload_) payload_->look_again();
  const bool happened = waiting.front().revents != 0;
  exit_file_.forget_changes();
  while (const int number = read_signal(signals_.get())) relay(number);
  relay_.move();
  return happened;
}

int Container::conclude() {
  checkpoint(arrival_.environment, Hop::launcher, Moment::after_exit);
  const auto status = exit_file_.status();
  if (!status) throw Failure(monitor() + " died before it could tell the payload's exit status");
  const bool timed_out = exit_file_.says_timed_out();
  heard_.push_back("exit file: " + std::to_string(*status));
  // It waits for the lock with its clean-up, and so it can still be seen.
  observer_.see_monitor_end(monitor_pid_, heard_, WaitStatus::for_exit_code(*status));
  if (!options_.exit_file.empty())
    write_file_atomically(options_.exit_file, std::to_string(*status), "--exit-file", Durable::yes);
  clean_up();
  const std::string who = (options_.name.empty() ? "" : options_.name + ": ") + "payload (pid " +
                          std::to_string(payload_->pid()) + ") ";
  if (timed_out)
    print_error(Hop::launcher,
                who + "was killed: --timeout " + std::to_string(options_.timeout) + " is over");
  witness_.saw_end(heard_, came_with_);
  // conmon says the two in one number.
  payload_->set_ended(*status == exit_status::by_signal + SIGKILL ? WaitStatus::for_signal(SIGKILL)
                                                                  : WaitStatus::for_exit_code(*status));
  return payload_->status().exit_status();
}

// Lets the monitor end with its own clean-up, if it still can, and ends what it has left; a dead one's
// clean-up is done here.
void Container::clean_up() {
  observer_.stop();
  if (payload_ && !exit_file_.status()) {
    if (monitor_end_) runtime({"kill", run_.id, "KILL"}, Patience::grace);
    // Where nobody can tell the runtime, or it does not answer. What a dead monitor leaves is this
    // subreaper's; any other number it may have told wrongly.
    if (is_descendant(payload_->pid())) send_signal(payload_end_, SIGKILL);
  }
  lock_.close();
  const auto begin = Clock::now();
  while (monitor_end_ && !wait(monitor_end_, after(now_and_then))) {
    const auto most = patience_.is_limited() ? Patience::grace : runtime_patience;
    if (Clock::now() - begin >= most) send_signal(monitor_end_, SIGKILL);
  }
  const bool is_left = fs::exists(run_.place.path);
  try {
    if (is_left) runtime({"delete", "--force", run_.id}, clean_up_patience);
  } catch (const Failure& failure) {
    log::debug("delete: {}", failure.what());  // it made nothing either
  }
  std::vector<pid_t> spared = came_with_;
  end_all_children(spared);
  if (is_left) remove(run_.place);
  write_rest();
}

// A terminal that has been stopped is waited for until somebody asks for the end.
void Container::write_rest() {
  relay_.take_rest();
  const auto end = Clock::now() + std::chrono::seconds(1);  // for one that is only slow
  while (!relay_.is_done() && (patience_.asked() == 0 || Clock::now() < end))
    wait(OwnedFd(), patience_.asked() == 0 ? no_deadline : after(now_and_then));
}

void Container::relay(int signal) {
  patience_.saw_request(signal, Clock::now());
  if (!running_) return waiting_signals_.push_back(signal);
  if (exit_file_.status()) return;
  log::debug("relaying {}", signal);
  payload_->signal(signal);
}

void Container::kill_payload(int signal) {
  const Outcome outcome = runtime({"kill", run_.id, std::to_string(signal)}, Patience::grace);
  if (outcome.status != WaitStatus::for_exit_code(0)) log::debug("kill: {}", why_not(outcome));
}

}  // namespace

int run_container(const RunOptions& options, Arrival& arrival, const AcceptedFds& accepted, Sockets& sockets,
                  Witness& witness) {
  try {
    sockets.inherited = accepted.sockets;
    return Container(options, arrival, accepted, sockets, witness).run();
  } catch (...) {
    witness.saw_end({}, {});
    throw;
  }
}

}  // namespace fdchain
