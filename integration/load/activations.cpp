// Activations one after another.

#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <optional>
#include <set>

#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/processes.h"
#include "integration/harness/client.h"
#include "integration/harness/progress.h"
#include "integration/load/activate.h"
#include "integration/load/parts.h"

namespace fdchain::load {
namespace {

namespace fs = std::filesystem;

constexpr int patience_ms = 30'000;

std::set<std::string> files_in(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) names.insert(entry.path().native());
  return names;
}

std::vector<int> open_numbers() {
  std::vector<int> numbers;
  for (const FdRow& row : observe_fds()) numbers.push_back(row.number);
  return numbers;
}

/// Clients that come one at a time, and chains that are started for whoever waits: neither knows of the
/// other.
class Endurance {
 public:
  Endurance(std::size_t wanted, const std::string& directory)
      : wanted_(wanted),
        directory_(directory),
        addresses_{"tcp:127.0.0.1:8080", "unix:" + directory + "/stream",
                   "unix-seqpacket:" + directory + "/packets", "udp:127.0.0.1:8080",
                   "unix-dgram:" + directory + "/datagrams"},
        activator_(addresses_, directory),
        files_(files_in(directory)),
        numbers_(open_numbers()),
        progress_(wanted, "activations") {}

  Outcome run() {
    const auto begin = std::chrono::steady_clock::now();
    while (activated_ < wanted_ || client_ || chain_) step();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    outcome_.lines.push_back(
        {"activations in a row", std::to_string(activated_),
         fmt::format("{:.2f} ms each; {} clients, {} lost", took.count() / static_cast<double>(wanted_),
                     answered_ + lost_, lost_)});
    if (lost_ > 0) outcome_.misses.push_back(fmt::format("{} clients got no answer", lost_));
    return std::move(outcome_);
  }

 private:
  void step() {
    if (!client_ && activated_ < wanted_) next_client();
    if (!chain_ && activator_.has_work()) start_chain();
    std::array<pollfd, 2> events{pollfd{client_ ? client_->fd().get() : -1, POLLIN, 0},
                                 pollfd{ended_ ? ended_.get() : -1, POLLIN, 0}};
    // Without a chain a client's connection may still be on its way to the socket.
    const int ready = check(retry([&] { return ::poll(events.data(), events.size(), patience_ms); }), "poll");
    if (ready == 0)
      throw std::runtime_error(fmt::format("activation {}: a client of {} waits, {}", activated_, address_,
                                           chain_ ? "and its chain runs" : "and no chain runs"));
    if (events[0].revents != 0) take_answer();
    if (events[1].revents != 0) end_chain();
  }

  void next_client() {
    address_ = addresses_[clients_++ % addresses_.size()];
    asked_ = fmt::format("client {}", clients_);
    client_.emplace(address_);
    client_->send(asked_);
  }

  // A reset or an early end is a lost connection too.
  void take_answer() {
    std::string answer;
    try {
      answer = client_->receive();
    } catch (const std::system_error&) {
      answer.clear();
    }
    ++(answer == asked_ ? answered_ : lost_);
    client_.reset();
  }

  // Every other one makes a path of its own, which goes with it.
  void start_chain() {
    std::vector<std::string> arguments{"payload", "--once"};
    if (activated_ % 2 == 1) arguments.insert(arguments.begin(), {"--listen", "unix:" + directory_ + "/own"});
    chain_ = activator_.activate(arguments);
    ended_ = OwnedFd(check(open_pidfd(*chain_), "pidfd_open"));
    ++activated_;
    progress_.step(fmt::format("{} lost", lost_));
  }

  void end_chain() {
    const WaitStatus status = reap(*chain_);
    chain_.reset();
    ended_.close();
    miss_unless(status == WaitStatus::for_exit_code(0), "the launcher " + status.describe());
    miss_unless(children_of_this_process().empty(), "a process is left");
    miss_unless(files_in(directory_) == files_, "a file is left");
    const std::size_t clients = client_ ? 1 : 0;
    miss_unless(open_numbers().size() == numbers_.size() + clients,
                "the activator's descriptor table has grown");
  }

  void miss_unless(bool kept, const std::string& what) {
    constexpr std::size_t most = 10;
    if (!kept && outcome_.misses.size() < most)
      outcome_.misses.push_back(fmt::format("after activation {}: {}", activated_, what));
  }

  std::size_t wanted_;
  std::string directory_;
  std::vector<std::string> addresses_;
  Activator activator_;
  std::set<std::string> files_;
  std::vector<int> numbers_;
  test::Progress progress_;
  std::optional<test::Client> client_;
  std::string address_;
  std::string asked_;
  std::optional<pid_t> chain_;
  OwnedFd ended_;  ///< readable when the chain has ended
  std::size_t clients_ = 0;
  std::size_t activated_ = 0;
  std::size_t answered_ = 0;
  std::size_t lost_ = 0;
  Outcome outcome_;
};

}  // namespace

Outcome activations(std::size_t wanted, const std::string& directory) {
  return Endurance(wanted, directory).run();
}

}  // namespace fdchain::load
