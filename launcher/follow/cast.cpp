#include "launcher/follow/cast.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "fdchain/model/variables.h"
#include "fdchain/program/observed.h"
#include "fdchain/system/observe_process.h"

namespace fdchain {
namespace {

namespace fs = std::filesystem;

std::string proc(pid_t pid, const char* name) { return "/proc/" + std::to_string(pid) + '/' + name; }

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Its words, each ended by a zero byte; empty of a process that is over.
std::string command_line(pid_t pid) { return read_all(proc(pid, "cmdline")); }

std::string link_target(const std::string& path) {
  std::error_code gone;
  return fs::read_symlink(path, gone);
}

std::string mounts_of(pid_t pid) { return link_target(proc(pid, "ns/mnt")); }

bool is_over(pid_t pid) { return link_target(proc(pid, "exe")).empty(); }

pid_t parent_of(pid_t pid) {
  std::ifstream status(proc(pid, "status"));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("PPid:")) return std::stoi(line.substr(line.find_first_of("0123456789")));
  }
  return 0;
}

bool has_variable(pid_t pid, std::string_view name) {
  std::ifstream environment(proc(pid, "environ"));
  for (std::string assignment; std::getline(environment, assignment, '\0');) {
    if (assignment.starts_with(name) && assignment.substr(name.size()).starts_with('=')) return true;
  }
  return false;
}

std::vector<std::string> words_of(pid_t pid) {
  std::vector<std::string> words;
  std::istringstream text(command_line(pid));
  for (std::string word; std::getline(text, word, '\0');) words.push_back(std::move(word));
  return words;
}

bool is_told_to_make_container(const std::vector<std::string>& words) {
  return std::ranges::any_of(words,
                             [](const std::string& word) { return word == "create" || word == "run"; });
}

bool is_runtime(pid_t pid) {
  static constexpr std::array runtimes{"crun", "runc", "youki", "runtime-shim"};
  const auto words = words_of(pid);
  return !words.empty() &&
         std::ranges::find(runtimes, fs::path(words.front()).filename().native()) != runtimes.end() &&
         is_told_to_make_container(words);
}

}  // namespace

Cast::Cast(Trace trace, FdTable known, Spoken spoken)
    : trace_(std::move(trace)), known_(std::move(known)), spoken_(spoken) {}

bool Cast::saw_exec(pid_t pid) {
  if (Chain* const chain = chain_of(pid)) return saw_exec_in(*chain, pid);
  if (has_variable(pid, sync_pipe_name) || has_variable(pid, start_pipe_name)) {
    begin_monitored(pid);
  } else if (is_runtime(pid)) {
    begin_unmonitored(pid);
  } else if (!spoken_.launcher) {
    auto record = observe_other(pid, Hop::launcher, Moment::arrival, Hop::launcher, known_);
    if (record) programs_.insert_or_assign(pid, std::move(*record));
  }
  return false;
}

// A monitor that has left the foreground has the words of the one that was started.
bool Cast::Chain::is_kept_by(pid_t parent) const {
  return parent == runtime || (!keeper.empty() && command_line(parent) == keeper);
}

// Whose descendant it is tells which chain it belongs to. One without a monitor is over with its payload's
// exec, for whoever keeps it may make another.
Cast::Chain* Cast::chain_of(pid_t pid) {
  for (pid_t above = parent_of(pid); above > 1; above = parent_of(above)) {
    const auto found = std::ranges::find_if(chains_, [&](const Chain& chain) {
      return (chain.monitor != 0 || chain.payload == 0) && chain.is_kept_by(above);
    });
    if (found != chains_.end()) return &*found;
  }
  return nullptr;
}

void Cast::begin_monitored(pid_t pid) {
  // A script may stand in for the monitor, and become it.
  const auto same = std::ranges::find(chains_, pid, &Chain::monitor);
  if (same != chains_.end()) {
    same->keeper = command_line(pid);
    return;
  }
  Chain& chain = begin_chain();
  chain.monitor = pid;
  chain.keeper = command_line(pid);
  write_launcher(chain, pid);
  if (!spoken_.monitor) write(chain.trace, pid, Hop::monitor, Moment::arrival);
}

void Cast::begin_unmonitored(pid_t pid) {
  if (std::ranges::find(chains_, pid, &Chain::runtime) != chains_.end()) return;  // it executes itself anew
  Chain& chain = begin_chain();
  chain.keeper = command_line(parent_of(pid));
  write_launcher(chain, pid);
  saw_exec_in(chain, pid);
}

Cast::Chain& Cast::begin_chain() {
  const std::string run = trace_.run() + (chains_.empty() ? "" : "-" + std::to_string(chains_.size() + 1));
  chains_.emplace_back().trace = Trace(run, trace_.path());
  return chains_.back();
}

bool Cast::saw_exec_in(Chain& chain, pid_t pid) {
  if (chain.runtime == 0) {
    chain.runtime = pid;
    chain.mounts = mounts_of(pid);
    chain.keeper_pid = parent_of(pid);
    if (!spoken_.runtime) write(chain.trace, pid, Hop::runtime_shim, Moment::arrival);
    return false;
  }
  if (chain.payload != 0) return true;  // its monitor's exit command, and who clean up
  // A script may stand in for the runtime, and a runtime execute itself anew: it is the payload when it is
  // told of no container any more. Children in the runtime's own mount namespace are none, and neither are
  // hooks.
  const bool is_payload = pid == chain.runtime
                              ? !is_told_to_make_container(words_of(pid))
                              : mounts_of(pid) != chain.mounts && chain.is_kept_by(parent_of(pid));
  if (!is_payload) return false;
  chain.payload = pid;
  write(chain.trace, pid, Hop::payload, Moment::arrival);
  return true;
}

void Cast::saw_end(pid_t pid, bool well) {
  programs_.erase(pid);
  for (Chain& chain : chains_) {
    if (!spoken_.launcher) write_end(chain, pid);
    chain.over |= pid == chain.keeper_pid || (pid == chain.runtime && !well);
  }
}

// Who ends after the payload shows what it has kept; who ends before it, nothing of that.
void Cast::write_end(const Chain& chain, pid_t pid) {
  if (chain.monitor == 0 || chain.payload == 0 || !is_over(chain.payload)) return;
  if (pid == chain.keeper_pid) write(chain.trace, pid, Hop::monitor, Moment::after_exit);
  if (pid == chain.launcher) write(chain.trace, pid, Hop::launcher, Moment::after_exit);
}

bool Cast::expects_more() const {
  return std::ranges::any_of(chains_, [&](const Chain& chain) {
    if (chain.over || chain.runtime == 0) return false;
    if (chain.payload == 0) return true;
    return chain.monitor != 0 && !spoken_.launcher && is_over(chain.payload);
  });
}

// A double fork may be under way: then it is who stands above.
void Cast::write_launcher(Chain& chain, pid_t started) {
  pid_t above = parent_of(started);
  while (above > 1 && !programs_.contains(above)) above = parent_of(above);
  const auto found = programs_.find(above);
  if (found == programs_.end()) return;
  chain.launcher = above;
  HopRecord record = found->second;
  Trace trace = chain.trace;
  append_if_possible(trace, [&] { return std::move(record); });
}

void Cast::write(const Trace& trace, pid_t pid, Hop hop, Moment moment) {
  auto record = observe_other(pid, hop, moment, Hop::launcher, known_);
  if (!record) return;
  Trace written = trace;
  append_if_possible(written, [&] { return std::move(*record); });
}

}  // namespace fdchain
