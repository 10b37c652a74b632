#include "launcher/shared/follow/chain_tracker.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

#include "fdchain/model/environment.h"
#include "fdchain/model/variables.h"
#include "fdchain/protocol/oci_cli.h"
#include "fdchain/protocol/told.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/proc/observe_process.h"
#include "fdchain/system/proc/processes.h"

namespace fdchain {
namespace {

// Each of these is empty of a process that is over.
std::vector<std::string> words_of(pid_t pid) {
  const auto process = proc::Process::find(pid);
  return process ? process->command_line().value_or(std::vector<std::string>{}) : std::vector<std::string>{};
}

std::string command_line(pid_t pid) {
  const auto process = proc::Process::find(pid);
  return process ? process->text("cmdline").value_or("") : "";
}

std::optional<proc::NamespaceId> mounts_of(pid_t pid) {
  const auto process = proc::Process::find(pid);
  return process ? process->space("mnt") : std::nullopt;
}

bool is_over(pid_t pid) {
  const auto process = proc::Process::find(pid);
  return !process || process->link("exe").empty();
}

bool has_variable(pid_t pid, std::string_view name) {
  const auto process = proc::Process::find(pid);
  const auto environment = process ? process->environment() : std::nullopt;
  return environment && Environment(*environment).get(name).has_value();
}

bool contains(std::initializer_list<std::string_view> list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}

bool makes_container(const std::vector<std::string>& words) {
  return contains({"create", "run", "restore", "exec"}, oci::verb_in(words));
}

bool is_known_runtime(const std::vector<std::string>& words) {
  return !words.empty() &&
         contains({"crun", "runc", "youki", "runtime-shim"},
                  std::filesystem::path(words.front()).filename().native()) &&
         makes_container(words);
}

// What it leaves to its children in the environment does not make monitors of them.
enum class Monitor { none, conmon, native };

Monitor monitor_in(pid_t pid, const std::vector<std::string>& words) {
  if (!has_variable(pid, sync_pipe_name) && !has_variable(pid, start_pipe_name)) return Monitor::none;
  const auto has = [&](std::initializer_list<std::string_view> options) {
    return std::ranges::any_of(words, [&](const std::string& word) {
      return contains(options, std::string_view(word).substr(0, word.find('=')));
    });
  };
  if (has({"-r", "--runtime"}) && has({"-b", "--bundle"})) return Monitor::conmon;
  return has({"--runtime-sync-fd"}) ? Monitor::native : Monitor::none;
}

constexpr std::string_view end_of_options = "--";

// The payload's words of a native monitor's: MONITOR [OPTION…] -- RUNTIME [OPTION…] -- PAYLOAD….
std::vector<std::string> payload_in(const std::vector<std::string>& words) {
  auto at = words.begin();
  for (int programs = 0; programs < 2; ++programs) {
    at = std::find(at, words.end(), end_of_options);
    if (at == words.end()) return {};
    ++at;
  }
  return {at, words.end()};
}

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Of a script the kernel puts the interpreter and one argument of it before the words, and its path for the
// first of them. A runtime has its own words before them, and the end of its options.
bool is_command(std::span<const std::string> words, std::span<const std::string> command) {
  constexpr std::size_t longest_interpreter = 2;
  if (command.empty() || words.size() < command.size()) return false;
  const auto before = words.first(words.size() - command.size());
  const auto tail = words.last(command.size());
  return std::ranges::equal(tail.subspan(1), command.subspan(1)) &&
         name_of(tail.front()) == name_of(command.front()) && before.size() <= longest_interpreter &&
         (before.empty() || before.back() != end_of_options);
}

bool ends_with_command(std::span<const std::string> words, std::span<const std::string> command) {
  return words.size() > command.size() && words[words.size() - command.size() - 1] == end_of_options &&
         std::ranges::equal(words.last(command.size()), command);
}

// It cannot, of whoever is traced: so it and what it starts are let go, and speak for themselves at most.
bool traces_others(pid_t pid) {
  const auto process = proc::Process::find(pid);
  const std::string program = process ? process->link("exe") : "";
  return contains({"strace", "ltrace", "gdb", "gdbserver", "lldb", "lldb-server", "rr"}, name_of(program));
}

// Rootless podman executes itself anew: that is the same program still.
bool is_same_program(const HopRecord& before, const HopRecord& after) {
  return before.program == after.program && before.exe == after.exe;
}

// All words but the program's own name.
bool is_same_tail(const std::vector<std::string>& left, const std::vector<std::string>& right) {
  return !left.empty() && !right.empty() &&
         std::equal(left.begin() + 1, left.end(), right.begin() + 1, right.end());
}

constexpr std::size_t most_others = 1000;
constexpr std::size_t most_programs = 32;  // of one part: a wrapper can execute itself without end

}  // namespace

ChainTracker::ChainTracker(Trace trace, FdTable known, Launcher launcher, FollowPayload follow_payload)
    : trace_(std::move(trace)),
      known_(std::move(known)),
      launcher_(launcher),
      follow_payload_(follow_payload) {}

std::optional<ChainTracker::Program> ChainTracker::look_at(pid_t pid) const {
  auto record = observe_other(pid, Hop::launcher, Moment::exec, Hop::launcher, known_);
  if (!record) return std::nullopt;
  const auto process = proc::Process::find(pid);
  const auto environment = process ? process->environment() : std::nullopt;
  Program program{std::move(*record), words_of(pid), {}, false, traces_others(pid)};
  if (const auto file = process ? process->look("exe") : std::nullopt)
    program.file = std::pair(file->st_dev, file->st_ino);
  program.speaks_for_itself =
      environment && Environment(*environment).get(trace_name).value_or("").ends_with(':' + trace_.path());
  return program;
}

// A child's exec can be heard of before its fork.
PayloadTree* ChainTracker::tree_of(pid_t pid) {
  for (Chain& chain : chains_) {
    if (chain.tree && (chain.tree->has(pid) || chain.tree->has(parent_of(pid)))) return &*chain.tree;
  }
  return nullptr;
}

void ChainTracker::on_fork(pid_t child) {
  if (PayloadTree* const tree = tree_of(child)) return tree->on_fork(child);
  if (launcher_ == Launcher::seen && others_.size() < most_others)
    others_.try_emplace(child, Origin{parent_of(child), monotonic_ns()});
}

bool ChainTracker::on_exec(pid_t pid) {
  if (PayloadTree* const tree = tree_of(pid)) {
    tree->on_exec(pid);
    return traces_others(pid);
  }
  Chain* const chain = chain_of(pid);
  if (chain != nullptr && chain->has_payload) return true;  // its monitor's exit command, and who clean up
  auto program = look_at(pid);
  if (!program) return traces_others(pid);
  const bool traces = program->traces_others;
  if (const Monitor monitor = monitor_in(pid, program->words); monitor != Monitor::none) {
    begin_monitored(std::move(*program), monitor == Monitor::native);
  } else if (chain != nullptr) {
    return on_exec_in(*chain, std::move(*program)) || traces;
  } else if (is_known_runtime(program->words)) {
    Chain& begun = begin_chain(*program);
    take_runtime(begun, std::move(*program));
  } else if (launcher_ == Launcher::seen) {
    const std::vector<std::string_view> words(program->words.begin(), program->words.end());
    program->record.keeps_sockets = told_to_keep_sockets(words);
    auto& executed = programs_[pid];
    if (executed.size() < most_programs) executed.push_back(std::move(program->record));
  }
  return traces;
}

bool ChainTracker::Chain::is_kept_by(pid_t parent) const {
  if (parent == runtime && runtime != 0) return true;
  if (!monitored) return false;
  return keeper_pid != 0 ? parent == keeper_pid : !keeper.empty() && command_line(parent) == keeper;
}

// Whose descendant it is tells which chain it belongs to.
ChainTracker::Chain* ChainTracker::chain_of(pid_t pid) {
  for (pid_t above = pid; above > 1; above = parent_of(above)) {
    const auto found = std::ranges::find_if(chains_, [&](const Chain& chain) {
      return !chain.over && (above == pid ? chain.is_runtime(pid) : chain.is_kept_by(above));
    });
    if (found != chains_.end()) return &*found;
  }
  return nullptr;
}

// A script may stand in for the monitor, and become it or start it: who keeps the payload is the last.
void ChainTracker::begin_monitored(Program program, bool native) {
  const pid_t pid = program.record.pid;
  const auto same = std::ranges::find_if(chains_, [&](const Chain& chain) {
    return !chain.over && chain.monitor != 0 && !chain.has_runtime() &&
           (chain.monitor == pid || chain.monitor == parent_of(pid));
  });
  Chain& chain = same != chains_.end() ? *same : begin_chain(program);
  chain.monitor = pid;
  chain.monitored = true;
  chain.native = native;
  chain.keeper = command_line(pid);
  chain.payload_words = payload_in(program.words);
  add(chain.monitors, std::move(program));
}

// A runtime that executes itself anew, from a copy in memory or by another path, is the same program still.
void ChainTracker::add(std::vector<Program>& programs, Program program) {
  const auto is_same = [&](const Program& before) {
    return before.words == program.words ||
           (before.file && before.file == program.file && is_same_tail(before.words, program.words));
  };
  const bool is_another = programs.empty() || !is_same(programs.back());
  if (is_another && programs.size() < most_programs) programs.push_back(std::move(program));
}

ChainTracker::Chain& ChainTracker::begin_chain(const Program& first) {
  const std::string run = trace_.run() + (chains_.empty() ? "" : "-" + std::to_string(chains_.size() + 1));
  Chain& chain = chains_.emplace_back();
  chain.trace = Trace(run, trace_.path());
  write_launcher(chain, first);
  return chain;
}

void ChainTracker::take_runtime(Chain& chain, Program program) {
  write(chain.trace, chain.monitors, Hop::monitor);
  if (chain.monitored && chain.keeper_pid == 0) chain.keeper_pid = parent_of(program.record.pid);
  chain.runtime = program.record.pid;
  chain.mounts = mounts_of(chain.runtime);
  add(chain.runtimes, std::move(program));
}

bool ChainTracker::on_exec_in(Chain& chain, Program program) {
  const pid_t pid = program.record.pid;
  if (chain.native) {
    // The shim becomes the payload, or its first process in a pid namespace does, or a wrapper that starts
    // it; what a wrapper of its own starts besides may have the same words.
    const bool is_shims_child = !chain.runtimes.empty() && chain.is_kept_by(parent_of(pid)) &&
                                name_of(chain.runtimes.back().record.exe) == to_string(Hop::runtime_shim);
    const bool may_be_payload = chain.is_runtime(pid) || is_shims_child || !chain.payloads.empty();
    if (may_be_payload && is_command(program.words, chain.payload_words)) {
      take_payload(chain, std::move(program));
      return !chain.tree;
    }
    if (!chain.has_runtime() || ends_with_command(program.words, chain.payload_words))
      take_runtime(chain, std::move(program));
    else if (chain.is_runtime(pid))
      add(chain.payloads, std::move(program));
    return false;
  }
  const bool is_in_container = chain.has_runtime() && mounts_of(pid) != chain.mounts;
  if (makes_container(program.words) && !is_in_container) {
    take_runtime(chain, std::move(program));
    return false;
  }
  // A runtime executes itself anew, and a script may stand in for one. Children in the runtime's own mount
  // namespace are no containers, and neither are hooks.
  if (!is_in_container || chain.is_runtime(pid) || !chain.is_kept_by(parent_of(pid))) return false;
  take_payload(chain, std::move(program));
  return !chain.tree;
}

void ChainTracker::take_payload(Chain& chain, Program program) {
  write(chain.trace, chain.runtimes, Hop::runtime_shim);
  chain.has_payload = true;
  chain.payload = program.record.pid;
  chain.payloads.push_back(std::move(program));
  write(chain.trace, chain.payloads, Hop::payload);
  watch_queues(chain);
  if (follow_payload_ == FollowPayload::yes) chain.tree.emplace(chain.trace, known_, chain.payload);
}

// A native monitor looks for itself.
void ChainTracker::watch_queues(Chain& chain) const {
  if (launcher_ != Launcher::seen || chain.native || chain.keeper_pid == 0) return;
  const auto keeper = observe_other(chain.keeper_pid, Hop::monitor, Moment::running, Hop::launcher, known_);
  if (keeper) chain.queues = QueueWatch(chain.keeper_pid, keeper->fds, chain.payload);
}

std::vector<int> ChainTracker::payload_ends() const {
  std::vector<int> ends;
  for (const Chain& chain : chains_) {
    if (chain.queues.end() >= 0) ends.push_back(chain.queues.end());
  }
  return ends;
}

void ChainTracker::on_payload_ends() {
  for (Chain& chain : chains_) {
    if (chain.queues.end() >= 0 && is_readable(chain.queues.end())) chain.queues.read();
  }
}

void ChainTracker::on_ended(pid_t pid, WaitStatus status) {
  others_.erase(pid);
  programs_.erase(pid);
  for (Chain& chain : chains_) {
    if (chain.tree) chain.tree->on_end(pid, status);
  }
}

void ChainTracker::on_end(pid_t pid, WaitStatus status) {
  const bool well = status == WaitStatus::for_exit_code(0);
  on_ended(pid, status);
  for (Chain& chain : chains_) {
    if (launcher_ == Launcher::seen) write_end(chain, pid, status);
    // A runtime that fails makes no container, and without a monitor nobody waits for one that it has left.
    chain.over |= pid == chain.keeper_pid || (pid == chain.runtime && (!well || !chain.monitored));
    // It is still its children's parent, for a moment.
    chain.runtime_ended |= pid == chain.runtime && pid != 0;
    for (pid_t* const known : {&chain.launcher, &chain.monitor, &chain.keeper_pid}) {
      if (*known == pid) *known = 0;
    }
  }
}

// Who ends after the payload shows what it has kept; who ends before it, nothing of that.
void ChainTracker::write_end(Chain& chain, pid_t pid, WaitStatus status) {
  if (!chain.monitored || !chain.has_payload || !is_over(chain.payload)) return;
  if (pid != chain.keeper_pid && pid != chain.launcher) return;
  const Hop hop = pid == chain.keeper_pid ? Hop::monitor : Hop::launcher;
  auto record = observe_other(pid, hop, Moment::after_exit, Hop::launcher, known_);
  if (!record) return;
  if (hop == Hop::monitor)
    record->queues = chain.queues.read();
  else
    record->ended = status.describe();
  chain.trace.append(std::move(*record));
}

bool ChainTracker::expects_more() const {
  return std::ranges::any_of(chains_, [&](const Chain& chain) {
    if (chain.over || !chain.has_runtime()) return false;
    if (!chain.has_payload) return true;
    return chain.monitored && launcher_ == Launcher::seen && is_over(chain.payload);
  });
}

void ChainTracker::finish() {
  for (Chain& chain : chains_) {
    // A hop that started no other may never have come to say anything.
    write(chain.trace, chain.monitors, Hop::monitor, Speech::doubtful);
    write(chain.trace, chain.runtimes, Hop::runtime_shim, Speech::doubtful);
    write(chain.trace, chain.payloads, Hop::payload, Speech::doubtful);
  }
  write_bystanders();
}

bool ChainTracker::is_hop(pid_t pid) const {
  return std::ranges::any_of(chains_, [&](const Chain& chain) {
    return pid == chain.launcher || pid == chain.monitor || pid == chain.keeper_pid || pid == chain.runtime ||
           pid == chain.payload;
  });
}

// Whoever lives on with a listening socket and is no hop: a helper, a hook, a job in the background. Which
// run's socket it is, the judge can tell.
void ChainTracker::write_bystanders() const {
  for (const auto& [pid, origin] : others_) {
    if (is_hop(pid)) continue;
    auto record = observe_other(pid, Hop::launcher, Moment::payload_end, Hop::launcher, known_);
    const auto listens = [](const FdRow& row) { return row.socket && row.socket->listening; };
    if (!record || std::ranges::none_of(record->fds, listens)) continue;
    record->ppid = origin.parent;
    record->time_ns = origin.time_ns;
    for (const Chain& chain : chains_) {
      if (chain.has_payload) chain.trace.append(*record);
    }
  }
}

// Whose descendant the first of a chain is: the nearest program is the launcher, for a double fork may be
// under way; and those above are wrappers that it came from.
void ChainTracker::write_launcher(Chain& chain, const Program& started) {
  std::vector<HopRecord> path;  // from the launcher upwards
  for (pid_t above = parent_of(started.record.pid); above > 1; above = parent_of(above)) {
    const auto found = programs_.find(above);
    if (found == programs_.end()) continue;
    if (path.empty()) chain.launcher = above;
    for (auto program = found->second.rbegin(); program != found->second.rend(); ++program) {
      if (path.empty() || !is_same_program(*program, path.back())) path.push_back(*program);
    }
  }
  if (path.empty()) return;
  path.front().moment = Moment::arrival;
  for (auto record = path.rbegin(); record != path.rend(); ++record) chain.trace.append(*record);
}

void ChainTracker::write(const Trace& trace, std::vector<Program>& programs, Hop hop, Speech speech) {
  for (Program& program : programs) {
    const bool is_wrapper = hop != Hop::payload && program.traces_others;
    const bool is_hop = &program == &programs.back() && !is_wrapper;
    const bool is_ours = name_of(program.record.exe) == to_string(hop);
    const bool has_spoken = speech == Speech::certain && is_ours && program.speaks_for_itself;
    if (is_hop && has_spoken && hop != Hop::payload) continue;
    program.record.hop = hop;
    if (hop != Hop::payload) take_told(program.record, program.words);
    program.record.moment = is_hop ? Moment::arrival : Moment::exec;
    trace.append(std::move(program.record));
  }
  programs.clear();
}

}  // namespace fdchain
