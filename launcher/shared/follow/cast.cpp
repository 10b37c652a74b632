#include "launcher/shared/follow/cast.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <vector>

#include "fdchain/model/environment.h"
#include "fdchain/model/variables.h"
#include "fdchain/protocol/oci_cli.h"
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

}  // namespace

Cast::Cast(Trace trace, FdTable known, Spoken spoken)
    : trace_(std::move(trace)), known_(std::move(known)), spoken_(spoken) {}

bool Cast::saw_exec(pid_t pid) {
  const auto words = words_of(pid);
  if (const Monitor monitor = monitor_in(pid, words); monitor != Monitor::none) {
    begin_monitored(pid, monitor == Monitor::native);
  } else if (Chain* const chain = chain_of(pid)) {
    return saw_exec_in(*chain, pid);
  } else if (is_known_runtime(words)) {
    begin_unmonitored(pid);
  } else if (!spoken_.launcher) {
    auto record = observe_other(pid, Hop::launcher, Moment::arrival, Hop::launcher, known_);
    if (record) programs_.insert_or_assign(pid, std::move(*record));
  }
  return false;
}

bool Cast::Chain::is_kept_by(pid_t parent) const {
  if (parent == runtime && runtime != 0) return true;
  if (!monitored) return false;
  return keeper_pid != 0 ? parent == keeper_pid : !keeper.empty() && command_line(parent) == keeper;
}

// Whose descendant it is tells which chain it belongs to.
Cast::Chain* Cast::chain_of(pid_t pid) {
  for (pid_t above = pid; above > 1; above = parent_of(above)) {
    const auto found = std::ranges::find_if(chains_, [&](const Chain& chain) {
      return !chain.over && (above == pid ? chain.is_runtime(pid) : chain.is_kept_by(above));
    });
    if (found != chains_.end()) return &*found;
  }
  return nullptr;
}

// A script may stand in for the monitor, and become it or start it: what it was given is what counts, and who
// keeps the payload is the last.
void Cast::begin_monitored(pid_t pid, bool native) {
  const auto same = std::ranges::find_if(chains_, [&](const Chain& chain) {
    return !chain.over && chain.monitor != 0 && !chain.has_runtime &&
           (chain.monitor == pid || chain.monitor == parent_of(pid));
  });
  Chain& chain = same != chains_.end() ? *same : begin_chain(pid);
  const bool is_first = chain.monitor == 0;
  chain.monitor = pid;
  chain.monitored = true;
  chain.native = native;
  chain.keeper = command_line(pid);
  if (is_first && !spoken_.monitor) write(chain.trace, pid, Hop::monitor, Moment::arrival);
}

void Cast::begin_unmonitored(pid_t pid) { take_runtime(begin_chain(pid), pid); }

Cast::Chain& Cast::begin_chain(pid_t first) {
  const std::string run = trace_.run() + (chains_.empty() ? "" : "-" + std::to_string(chains_.size() + 1));
  Chain& chain = chains_.emplace_back();
  chain.trace = Trace(run, trace_.path());
  write_launcher(chain, first);
  return chain;
}

void Cast::take_runtime(Chain& chain, pid_t pid) {
  chain.has_runtime = true;
  chain.runtime = pid;
  chain.mounts = mounts_of(pid);
  if (chain.monitored) chain.keeper_pid = parent_of(pid);
  if (!spoken_.runtime) write(chain.trace, pid, Hop::runtime_shim, Moment::arrival);
}

bool Cast::saw_exec_in(Chain& chain, pid_t pid) {
  if (chain.has_payload) return true;  // its monitor's exit command, and who clean up
  if (!chain.has_runtime) {
    if (chain.native || makes_container(words_of(pid))) take_runtime(chain, pid);
    return false;
  }
  // Of all runtimes a native shim alone becomes the payload: others execute themselves anew, and a script may
  // stand in for one. Children in the runtime's own mount namespace are no containers, and neither are hooks.
  const bool is_payload = chain.is_runtime(pid)
                              ? chain.native
                              : mounts_of(pid) != chain.mounts && chain.is_kept_by(parent_of(pid));
  if (!is_payload) return false;
  chain.has_payload = true;
  chain.payload = pid;
  write(chain.trace, pid, Hop::payload, Moment::arrival);
  return true;
}

void Cast::saw_end(pid_t pid, bool well) {
  programs_.erase(pid);
  for (Chain& chain : chains_) {
    if (!spoken_.launcher) write_end(chain, pid);
    // A runtime that fails makes no container, and without a monitor nobody waits for one that it has left.
    chain.over |= pid == chain.keeper_pid || (pid == chain.runtime && (!well || !chain.monitored));
    // It is still its children's parent, for a moment.
    chain.runtime_ended |= pid == chain.runtime;
    for (pid_t* const known : {&chain.launcher, &chain.monitor, &chain.keeper_pid}) {
      if (*known == pid) *known = 0;
    }
  }
}

// Who ends after the payload shows what it has kept; who ends before it, nothing of that.
void Cast::write_end(const Chain& chain, pid_t pid) {
  if (!chain.monitored || !chain.has_payload || !is_over(chain.payload)) return;
  if (pid == chain.keeper_pid) write(chain.trace, pid, Hop::monitor, Moment::after_exit);
  if (pid == chain.launcher) write(chain.trace, pid, Hop::launcher, Moment::after_exit);
}

bool Cast::expects_more() const {
  return std::ranges::any_of(chains_, [&](const Chain& chain) {
    if (chain.over || !chain.has_runtime) return false;
    if (!chain.has_payload) return true;
    return chain.monitored && !spoken_.launcher && is_over(chain.payload);
  });
}

// A double fork may be under way, or a script have started it: then it is who stands above.
void Cast::write_launcher(Chain& chain, pid_t started) {
  pid_t above = parent_of(started);
  while (above > 1 && !programs_.contains(above)) above = parent_of(above);
  const auto found = programs_.find(above);
  if (found == programs_.end()) return;
  chain.launcher = above;
  chain.trace.append(found->second);
}

void Cast::write(const Trace& trace, pid_t pid, Hop hop, Moment moment) {
  if (auto record = observe_other(pid, hop, moment, Hop::launcher, known_)) trace.append(std::move(*record));
}

}  // namespace fdchain
