#include "launcher/oci/container.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/departure.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/program/observed.h"
#include "fdchain/protocol/conmon_cli.h"
#include "fdchain/protocol/conmon_sync.h"
#include "fdchain/protocol/oci_config.h"
#include "fdchain/protocol/runtime_log.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/fs/rootfs.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/observe_process.h"
#include "fdchain/system/proc/process_1.h"
#include "fdchain/system/proc/processes.h"
#include "launcher/oci/clean_up.h"
#include "launcher/oci/command.h"
#include "launcher/oci/dialect.h"
#include "launcher/oci/directory.h"
#include "launcher/oci/plan.h"
#include "launcher/oci/terminal_relay.h"
#include "launcher/shared/caretaker.h"
#include "launcher/shared/follow/watcher.h"
#include "launcher/shared/sockets.h"
#include "launcher/shared/systemd_notice.h"
#include "launcher/shared/temporary.h"

namespace fdchain {
namespace {

namespace fs = std::filesystem;

// A runtime that takes longer than this for a word has failed; podman waits as long for a container.
constexpr auto runtime_patience = std::chrono::seconds(240);
constexpr auto now_and_then = std::chrono::milliseconds(100);
constexpr auto grace = std::chrono::seconds(10);  // from SIGTERM to SIGKILL, as everywhere

using Clock = std::chrono::steady_clock;

void send_signal(const OwnedFd& pidfd, int signal) { (void)signal_pidfd(pidfd.get(), signal); }

bool has_ended(const OwnedFd& pidfd) {
  pollfd end{pidfd.get(), POLLIN, 0};
  return pidfd && ::poll(&end, 1, 0) == 1;
}

// podman's reading of what a runtime says.
int status_of_refusal(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char letter) { return std::tolower(letter); });
  const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
  if (says("permission denied")) return exit_status::cannot_invoke;
  if (says("not found") || says("no such file")) return exit_status::not_found;
  return exit_status::hop_failed;
}

std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return printable(text, 1000);
}

// What it has said, or what has become of it: it may have been killed.
std::string why_not(const Outcome& outcome) {
  const std::string said = one_line(outcome.said);
  return said.empty() ? outcome.status.describe() + " without a word" : said;
}

/// One container, from its bundle to its end.
class Container {
 public:
  Container(const RunOptions& options, Arrival& arrival, const Accepted& accepted, Sockets& sockets,
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
  void start_monitor();
  void create();
  void start();
  void follow();
  void observe_payload();
  void observe_monitor(Moment moment);
  int detach();
  int attend();
  int conclude();
  void clean_up();
  void write_rest();
  void relay(int signal);
  void kill_payload(int signal);
  bool wait(const OwnedFd& what, std::chrono::milliseconds limit);
  std::optional<int> published_status() const;
  std::optional<std::string> said_by_runtime() const;
  Outcome runtime(std::vector<std::string> words, std::chrono::milliseconds limit,
                  const std::function<bool()>& given_up = {}) const;
  WaitStatus await_foreground(pid_t foreground);
  bool is_given_up();
  [[noreturn]] void give_up();
  Clock::time_point end_of_patience();
  [[noreturn]] void give_up_monitor();
  std::vector<std::string> clean_up_words() const;
  Environment plain_environment() const;

  const RunOptions& options_;
  Arrival& arrival_;
  const Accepted& accepted_;
  Sockets& sockets_;
  Witness& witness_;
  TerminalRelay relay_;
  ContainerRun run_;
  OwnedFd lock_;
  sigset_t mask_before_{};
  OwnedFd signals_;
  OwnedFd exits_;  ///< inotify: the exit file appears
  OwnedFd sync_pipe_;
  OwnedFd monitor_end_;  ///< a pidfd
  OwnedFd payload_end_;  ///< a pidfd
  pid_t monitor_pid_ = 0;
  pid_t payload_ = 0;
  bool running_ = false;
  std::optional<Process1> process_1_;  ///< the payload, in a pid namespace of its own
  std::vector<int> waiting_signals_;
  int asked_ = 0;  ///< the first signal that asked for the end
  Clock::time_point asked_at_ = Clock::time_point::max();
  Clock::time_point payload_ended_at_ = Clock::time_point::max();
  Clock::time_point begin_ = Clock::now();
  std::vector<pid_t> came_with_;
  std::vector<std::string> heard_;
  std::optional<Caretaker> caretaker_;  ///< until the container has been started
  std::optional<Watcher> watcher_;      ///< of a traced run
  FdTable known_;  ///< of a traced run: the sockets as they were before they were passed on
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
  caretaker_.emplace([words = clean_up_words(), monitor = run_.monitor](const Caretaker::Told& told) {
    clean_up_unstarted(words, monitor, told);
  });
  open_sockets(options_, sockets_, &*caretaker_);
  if (witness_.trace().on()) {
    witness_.saw_arrival(make_contract(options_, arrival_, sockets_));
    known_ = observe_fds();
  }
  SignalFd signals = receive_signals(signals_to_relay());
  mask_before_ = signals.mask_before;
  signals_ = std::move(signals.fd);
  if (has_children()) came_with_ = children_of_this_process();
  follow();
  check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl PR_SET_CHILD_SUBREAPER");
  try {
    make(run_.place);
    lock_ = hold(run_.place);
    exits_ = OwnedFd(check(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1"));
    check(::inotify_add_watch(exits_.get(), run_.place.exits().c_str(), IN_MOVED_TO | IN_CLOSE_WRITE),
          "inotify_add_watch", run_.place.exits());
    if (options_.isolation.rootfs.empty() || runs_crun(run_)) enter_own_mounts();
    if (options_.isolation.rootfs.empty()) show_host_root(run_.place.root());
    if (runs_crun(run_)) show_cgroup2_alone();
  } catch (...) {
    remove(run_.place);
    throw;
  }
}

// Of the run itself nobody is to hear who has no part in it.
Environment Container::plain_environment() const {
  Environment environment = arrival_.environment;
  unset_listen_env(environment);
  for (const auto name : {trace_name, fault_name, profile_name, notify_socket_name}) environment.unset(name);
  return environment;
}

Outcome Container::runtime(std::vector<std::string> words, std::chrono::milliseconds limit,
                           const std::function<bool()>& given_up) const {
  std::vector<std::string> command{run_.runtime};
  for (std::string& word : runtime_words(run_)) command.push_back(std::move(word));
  command.insert(command.end(), std::make_move_iterator(words.begin()), std::make_move_iterator(words.end()));
  return run_command(command, plain_environment(), mask_before_, limit, given_up);
}

std::vector<std::string> Container::clean_up_words() const {
  std::vector<std::string> words{"--directory", run_.place.path, "--id", run_.id};
  const auto add = [&](const char* option, const std::string& value) {
    words.insert(words.end(), {option, value});
  };
  add("--runtime-word", run_.runtime);
  for (const std::string& word : runtime_words(run_)) add("--runtime-word", word);
  if (!options_.exit_file.empty()) add("--exit-file", fs::absolute(options_.exit_file));
  for (const Opened& opened : sockets_.opened) {
    for (const MadeName& made : opened.made)
      add(made.kind() == MadeName::Kind::path ? "--remove-path" : "--remove-queue", made.to_words());
  }
  return words;
}

void Container::start_monitor() {
  SocketPair sync = make_socket_pair();
  SocketPair start = make_socket_pair();
  Environment environment = arrival_.environment;
  if (witness_.trace().on()) environment.set(trace_name, witness_.trace().variable());
  if (!options_.profiles.is_ideal()) environment.set(profile_name, to_string(options_.profiles));
  if (!options_.faults.empty()) environment.set(fault_name, to_string(options_.faults));
  arrival_.environment = environment;
  Handles handles{{}, {}, sync.theirs.get(), start.theirs.get(), static_cast<int>(accepted_.free.size())};
  for (const Opened& opened : sockets_.opened) handles.own_sockets.push_back(opened.fd.get());
  std::vector<std::string> exit_command = clean_up_words();
  exit_command.insert(exit_command.begin(), "clean-up-container");
  HopPlan plan = plan_conmon(run_, handles, std::move(exit_command));
  for (Passed& passed : relay_.passed()) plan.next.passed.push_back(std::move(passed));
  edit_plan(plan, arrival_, accepted_, {static_cast<int>(sockets_.opened.size())});
  write_bundle();
  const Spawned foreground = depart(plan.next, mask_before_, witness_.trace());
  sync.theirs.close();
  start.theirs.close();
  relay_.close_theirs();
  sync_pipe_ = std::move(sync.ours);
  checkpoint(arrival_.environment, Hop::launcher, Moment::after_fork);
  OwnedRange(sockets_.inherited.end(), accepted_.preserved).close();
  for (const AfterFork step : plan.conduct.after_fork) {
    if (step != AfterFork::drop_sockets) continue;
    arrival_.window.close();
    for (Opened& opened : sockets_.opened) opened.fd.close();
  }
  // As podman does it: one byte, and then the foreground process makes way for the one that stays.
  (void)!send_message(start.ours, std::string(1, '\0'));
  const WaitStatus status = await_foreground(foreground.pid);
  if (status != WaitStatus::for_exit_code(0))
    throw Failure("monitor (" + printable(run_.monitor) + ") " + status.describe());
  std::ifstream(run_.place.monitor_pidfile()) >> monitor_pid_;
  if (monitor_pid_ <= 0) return;
  OwnedFd monitor(open_pidfd(monitor_pid_));
  // What is not below this subreaper is no monitor of its own: nothing to wait for, and above all not to end.
  if (is_descendant(monitor_pid_)) monitor_end_ = std::move(monitor);
}

WaitStatus Container::await_foreground(pid_t foreground) {
  const OwnedFd end(check(open_pidfd(foreground), "pidfd_open"));
  while (!wait(end, now_and_then)) {
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

// The last error in the runtime's log, as podman reads it.
std::optional<std::string> Container::said_by_runtime() const {
  std::optional<std::string> said;
  std::ifstream log(run_.place.runtime_log());
  for (std::string line; std::getline(log, line);) {
    if (auto text = decode_runtime_error(line)) said = std::move(text);
  }
  return said;
}

// A signal waits for the payload, but not for ever: a runtime may hang. --timeout is the monitor's to keep as
// soon as there is a container, and until then this process's.
bool Container::is_given_up() {
  while (const int number = read_signal(signals_.get())) relay(number);
  const auto now = Clock::now();
  const bool timed_out = options_.timeout > 0 && now - begin_ >= std::chrono::seconds(options_.timeout);
  return timed_out || (asked_ != 0 && now - asked_at_ >= grace);
}

void Container::give_up() {
  if (monitor_end_) send_signal(monitor_end_, SIGKILL);
  const std::string why = "the container was not there: neither monitor nor runtime has said anything";
  if (asked_ == 0)
    throw Failure("--timeout " + std::to_string(options_.timeout) + " is over, and " + why,
                  exit_status::timed_out);
  throw Failure("signal " + std::to_string(asked_) + " came, and 10 seconds later " + why,
                exit_status::by_signal + asked_);
}

// When a monitor is given up that should have told the payload's end: it stands still, or does not act. A
// payload that goes on when it is asked to end may have its reasons.
Clock::time_point Container::end_of_patience() {
  if (payload_ended_at_ == Clock::time_point::max() && has_ended(payload_end_))
    payload_ended_at_ = Clock::now();
  auto end = Clock::time_point::max();
  if (options_.timeout > 0) end = begin_ + std::chrono::seconds(options_.timeout) + grace;
  const bool is_due = asked_ != 0 && payload_ended_at_ != Clock::time_point::max();
  return is_due ? std::min(end, std::max(asked_at_, payload_ended_at_) + grace) : end;
}

void Container::give_up_monitor() {
  send_signal(monitor_end_, SIGKILL);
  const std::string late = ", and 10 seconds later monitor (pid " + std::to_string(monitor_pid_) +
                           ") had not told the payload's end; killed";
  if (asked_ != 0 && payload_ended_at_ != Clock::time_point::max())
    throw Failure("signal " + std::to_string(asked_) + " came, the payload has ended" + late,
                  exit_status::by_signal + asked_);
  throw Failure("--timeout " + std::to_string(options_.timeout) + " is over" + late, exit_status::timed_out);
}

// Waits for the monitor's word, and takes signals meanwhile: they are for a payload that is to come.
void Container::create() {
  std::array<char, conmon_message_max + 1> buffer{};
  ssize_t got = -1;
  while (got < 0) {
    if (is_given_up()) give_up();
    if (!wait(sync_pipe_, now_and_then)) continue;
    got = check(retry([&] { return ::read(sync_pipe_.get(), buffer.data(), buffer.size()); }), "read",
                "sync pipe");
  }
  const std::string said(buffer.data(), static_cast<std::size_t>(got));
  if (got > 0) heard_.push_back(said);
  const auto message = decode_conmon_message(said);
  if (message && message->data > 0) {
    payload_ = message->data;
    payload_end_ = OwnedFd(open_pidfd(payload_));
    if (options_.isolation.pid) process_1_.emplace(payload_, [this](int signal) { kill_payload(signal); });
    return;
  }
  // conmon says what it has read of the runtime's stderr, which is ours where that is passed through.
  const std::string text = said_by_runtime().value_or(message ? message->message.value_or("") : "");
  if (text.empty())
    throw Failure("monitor (" + printable(run_.monitor) + ") has not said why the payload never ran");
  throw Failure("runtime: " + one_line(text), status_of_refusal(text));
}

void Container::start() {
  observe_monitor(Moment::running);
  const Outcome outcome = runtime({"start", run_.id}, runtime_patience, [this] { return is_given_up(); });
  if (is_given_up() && outcome.status.signal() == SIGKILL) give_up();
  if (outcome.status != WaitStatus::for_exit_code(0))
    throw Failure("runtime: " + why_not(outcome), status_of_refusal(outcome.said));
  caretaker_.reset();  // the monitor's exit command cleans up from now on
  observe_payload();
  running_ = true;
  if (!options_.pidfile.empty())
    write_file_atomically(options_.pidfile, std::to_string(payload_), "--pidfile");
  notify_systemd(options_, arrival_, monitor_pid_);
  for (const int number : std::exchange(waiting_signals_, {})) relay(number);
  checkpoint(arrival_.environment, Hop::launcher, Moment::running);
}

// Of programs that write nothing down themselves it is done for them. Before there is any pipe whose end
// somebody will wait for.
void Container::follow() {
  if (!witness_.trace().on()) return;
  const Spoken spoken{true, is_ours(run_.monitor, "monitor", arrival_.environment),
                      is_ours(run_.runtime, "runtime-shim", arrival_.environment)};
  try {
    watcher_.emplace(Cast(witness_.trace(), known_, spoken));
  } catch (const Failure& failure) {
    log::warn("{}", failure.what());
  }
}

// Where nobody can be followed, it is seen in passing.
void Container::observe_payload() {
  if (!witness_.trace().on()) return;
  try {
    if (watcher_) return watcher_->finish();
  } catch (const Failure& failure) {
    log::warn("{}", failure.what());
  }
  auto record = observe_other(payload_, Hop::payload, Moment::running, Hop::launcher, known_);
  Trace trace = witness_.trace();
  if (record) append_if_possible(trace, [&] { return std::move(*record); });
}

void Container::observe_monitor(Moment moment) {
  Trace trace = witness_.trace();
  if (!trace.on() || monitor_pid_ <= 0) return;
  auto record = observe_other(monitor_pid_, Hop::monitor, moment, Hop::launcher, known_);
  if (!record) return;
  if (moment == Moment::after_exit) {
    record->heard = heard_;
    if (const auto status = published_status()) record->ended = WaitStatus::for_exit_code(*status).describe();
  }
  append_if_possible(trace, [&] { return std::move(*record); });
}

int Container::detach() {
  if (!arrival_.stdio_open[STDOUT_FILENO])
    throw Failure("stdout is closed; the payload's pid has nowhere to go");
  write_all_patiently(STDOUT_FILENO, std::to_string(payload_) + '\n', "stdout");
  for (Opened& opened : sockets_.opened) {
    for (MadeName& made : opened.made) made.release();
  }
  lock_.close();
  return 0;
}

// Until the exit file is there, or nobody is left to write it.
int Container::attend() {
  bool monitor_lives = monitor_end_.operator bool();
  while (monitor_lives && !published_status()) {
    const auto end = end_of_patience();
    const bool is_limited = end != Clock::time_point::max();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    if (is_limited && left.count() <= 0) give_up_monitor();
    constexpr std::chrono::milliseconds longest = std::chrono::hours(24);  // poll(2) counts in int
    monitor_lives = !wait(monitor_end_, is_limited ? std::min(left, longest) : std::chrono::milliseconds(-1));
  }
  return conclude();
}

// Until something happens; whether it is that `what` can be read. Signals are relayed, and a terminal served,
// meanwhile.
bool Container::wait(const OwnedFd& what, std::chrono::milliseconds limit) {
  std::vector<pollfd> waiting{
      {what.get(), POLLIN, 0}, {exits_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
  const bool counts = asked_ != 0 && payload_ended_at_ == Clock::time_point::max();
  waiting.push_back({counts ? payload_end_.get() : -1, POLLIN, 0});
  relay_.add_to(waiting);
  const auto look = process_1_ ? process_1_->next_look() : std::nullopt;
  if (look && (limit.count() < 0 || *look < limit)) limit = *look;
  (void)!::poll(waiting.data(), waiting.size(), static_cast<int>(limit.count()));
  if (process_1_) process_1_->look_again();
  const bool happened = waiting.front().revents != 0;
  std::array<char, 4096> events{};
  while (::read(exits_.get(), events.data(), events.size()) > 0) {
  }
  while (const int number = read_signal(signals_.get())) relay(number);
  relay_.move();
  return happened;
}

std::optional<int> Container::published_status() const {
  const std::string text = read_file(run_.place.exits() + '/' + run_.id);
  if (text == "-1") return exit_status::timed_out;
  const auto number = parse_decimal(text, UINT8_MAX);
  return number ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

int Container::conclude() {
  checkpoint(arrival_.environment, Hop::launcher, Moment::after_exit);
  const auto status = published_status();
  if (!status)
    throw Failure("monitor (pid " + std::to_string(monitor_pid_) +
                  ") died before it could tell the payload's exit status");
  const bool timed_out = read_file(run_.place.exits() + '/' + run_.id) == "-1";
  heard_.push_back("exit file: " + std::to_string(*status));
  // It waits for the lock with its clean-up, and so it can still be seen.
  observe_monitor(Moment::after_exit);
  if (!options_.exit_file.empty())
    write_file_atomically(options_.exit_file, std::to_string(*status), "--exit-file", Durable::yes);
  clean_up();
  const std::string who =
      (options_.name.empty() ? "" : options_.name + ": ") + "payload (pid " + std::to_string(payload_) + ") ";
  if (timed_out)
    print_error(Hop::launcher,
                who + "was killed: --timeout " + std::to_string(options_.timeout) + " is over");
  witness_.saw_end(heard_, came_with_);
  const int fatal = process_1_ ? process_1_->fatal() : 0;
  return fatal != 0 && *status == exit_status::by_signal + SIGKILL ? exit_status::by_signal + fatal : *status;
}

// Lets the monitor end with its own clean-up, if it still can, and ends what it has left; a dead one's
// clean-up is done here.
void Container::clean_up() {
  watcher_.reset();
  if (payload_ != 0 && !published_status()) {
    if (monitor_end_) runtime({"kill", run_.id, "KILL"}, grace);
    // Where nobody can tell the runtime, or it does not answer. What a dead monitor leaves is this
    // subreaper's; any other number it may have told wrongly.
    if (is_descendant(payload_)) send_signal(payload_end_, SIGKILL);
  }
  lock_.close();
  const auto begin = Clock::now();
  while (monitor_end_ && !wait(monitor_end_, now_and_then)) {
    const bool hastens = asked_ != 0 || options_.timeout > 0;
    if (Clock::now() - begin >= (hastens ? grace : runtime_patience)) send_signal(monitor_end_, SIGKILL);
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
  while (!relay_.is_done() && (asked_ == 0 || Clock::now() < end))
    wait(OwnedFd(), asked_ == 0 ? std::chrono::milliseconds(-1) : now_and_then);
}

void Container::relay(int signal) {
  if (asked_ == 0 && asks_for_end(signal)) {
    asked_ = signal;
    asked_at_ = Clock::now();
  }
  if (!running_) return waiting_signals_.push_back(signal);
  if (published_status()) return;
  log::debug("relaying {}", signal);
  if (process_1_) return process_1_->signal(signal);
  kill_payload(signal);
}

void Container::kill_payload(int signal) {
  const Outcome outcome = runtime({"kill", run_.id, std::to_string(signal)}, grace);
  if (outcome.status != WaitStatus::for_exit_code(0)) log::debug("kill: {}", why_not(outcome));
}

}  // namespace

int run_container(const RunOptions& options, Arrival& arrival, const Accepted& accepted, Sockets& sockets,
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
