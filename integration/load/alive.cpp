// Many chains at once.

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>

#include "fdchain/model/number.h"
#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/processes.h"
#include "integration/harness/client.h"
#include "integration/harness/progress.h"
#include "integration/load/activate.h"
#include "integration/load/parts.h"
#include "tests/support/process_memory.h"

namespace fdchain::load {
namespace {

constexpr std::size_t processes_per_chain = 3;
constexpr std::size_t spare_processes = 200;

/// How many chains there can be, and what stands in the way of more.
struct Bound {
  std::size_t chains;
  std::string why;
};

std::optional<std::size_t> number_in(const std::string& file) {
  std::ifstream in(file);
  std::string text;
  in >> text;
  const auto number = parse_decimal(text, ULONG_MAX);
  return number ? std::optional<std::size_t>(*number) : std::nullopt;
}

// This process's own group in the unified hierarchy, or in the old one of pids.
std::optional<std::size_t> room_in_control_group() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const bool unified = line.starts_with("0::");
    const std::size_t pids = line.find(":pids:");
    if (!unified && pids == std::string::npos) continue;
    const std::string group =
        (unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids") + line.substr(line.rfind(':') + 1);
    const auto most = number_in(group + "/pids.max");  // `max` is no number
    const auto current = number_in(group + "/pids.current");
    if (most && current) return *most - std::min(*most, *current);
  }
  return std::nullopt;
}

std::size_t processes_now() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc"))
    count += parse_decimal(entry.path().filename().native(), INT_MAX) ? 1U : 0U;
  return count;
}

void lower(Bound& bound, std::size_t processes, std::string why) {
  const std::size_t usable =
      processes > spare_processes ? (processes - spare_processes) / processes_per_chain : 0;
  if (usable < bound.chains) bound = {usable, std::move(why)};
}

void heed_process_limits(Bound& bound) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NPROC, &limit);
  const std::size_t now = processes_now();
  // Root is not held to it.
  if (::geteuid() != 0 && limit.rlim_cur != RLIM_INFINITY)
    lower(bound, limit.rlim_cur - std::min<std::size_t>(limit.rlim_cur, now),
          fmt::format("RLIMIT_NPROC is {}", limit.rlim_cur));
  for (const char* const file : {"/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"}) {
    if (const auto most = number_in(file))
      lower(bound, *most - std::min(*most, now), fmt::format("{} is {}", file, *most));
  }
  if (const auto room = room_in_control_group())
    lower(bound, *room, fmt::format("the control group has room for {} processes", *room));
}

// Half of what is free: others want some too.
void heed_memory(Bound& bound, long chain_kb) {
  const long free_kb = test::proc_value("/proc/meminfo", "MemAvailable");
  const auto fit = static_cast<std::size_t>(free_kb / 2 / std::max(chain_kb, 1L));
  if (fit < bound.chains)
    bound = {fit, fmt::format("{} MiB of memory are free, and the first chain takes {} kB", free_kb / 1024,
                              chain_kb)};
}

/// One chain with its client.
class Chain {
 public:
  Chain(std::size_t number, const std::string& directory) : address_("unix:@load-" + std::to_string(number)) {
    const Activator activator({address_}, directory);
    client_.emplace(address_);
    client_->send(address_);
    launcher_ = activator.activate({"payload"});
  }

  /// Whether it answers what was asked when it was started, and then once more.
  [[nodiscard]] bool answers() const {
    return client_->receive(address_.size()) == address_ && client_->ask(address_) == address_;
  }

  /// Ends it; whether the payload has ended as it was told to.
  [[nodiscard]] bool end() {
    client_.reset();
    check(::kill(launcher_, SIGTERM), "kill");
    return reap(launcher_) == WaitStatus::for_exit_code(0);
  }

 private:
  std::string address_;
  std::optional<test::Client> client_;
  pid_t launcher_ = 0;
};

long total(const std::map<std::string, long>& memory) {
  long sum = 0;
  for (const auto& [name, kb] : memory) sum += kb;
  return sum;
}

std::string memory_line(const std::map<std::string, long>& memory, std::size_t chains) {
  std::string text;
  for (const auto& [name, kb] : memory)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, kb / static_cast<long>(chains));
  return text;
}

// Two descriptors here for each of them.
void make_room_for_clients(Bound& bound) {
  rlimit limit{};
  check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  check(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
  const std::size_t usable = limit.rlim_max > 64 ? limit.rlim_max - 64 : 0;
  if (usable < bound.chains) bound = {usable, fmt::format("RLIMIT_NOFILE is {}", limit.rlim_max)};
}

}  // namespace

Outcome chains_alive(std::size_t wanted, const std::string& directory) {
  Outcome outcome;
  Bound bound{wanted, ""};
  heed_process_limits(bound);
  make_room_for_clients(bound);
  std::vector<std::unique_ptr<Chain>> chains;
  std::size_t answered = 0;
  std::map<std::string, long> memory;
  {
    test::Progress progress(wanted, "chains alive");
    while (chains.size() < bound.chains) {
      chains.push_back(std::make_unique<Chain>(chains.size(), directory));
      if (chains.size() == 1) {
        if (!chains.front()->answers()) break;
        ++answered;
        heed_memory(bound, total(test::pss_kb_by_name()));
      }
      progress.step();
    }
    for (std::size_t i = 1; i < chains.size(); ++i) answered += chains[i]->answers() ? 1U : 0U;
    memory = test::pss_kb_by_name();
  }
  std::size_t ended = 0;
  for (const auto& chain : chains) ended += chain->end() ? 1U : 0U;

  const std::size_t alive = chains.size();
  outcome.lines.push_back(
      {"chains alive at once", std::to_string(alive),
       alive < wanted ? fmt::format("fewer than {}: {}", wanted, bound.why) : "every one answered"});
  if (alive > 0)
    outcome.lines.push_back({"memory of a chain alive, PSS",
                             fmt::format("{} kB", total(memory) / static_cast<long>(alive)),
                             memory_line(memory, alive)});
  if (alive == 0) outcome.misses.push_back("no chain could be started: " + bound.why);
  if (answered != alive) outcome.misses.push_back(fmt::format("{} of {} chains answered", answered, alive));
  if (ended != alive)
    outcome.misses.push_back(fmt::format("{} of {} chains ended with status 0", ended, alive));
  if (const auto left = children_of_this_process(); !left.empty())
    outcome.misses.push_back(fmt::format("{} processes are left of the chains", left.size()));
  return outcome;
}

}  // namespace fdchain::load
