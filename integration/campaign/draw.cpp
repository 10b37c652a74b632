#include "integration/campaign/draw.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <optional>
#include <random>

#include "fdchain/model/listen_env.h"

namespace fdchain::campaign {
namespace {

class Dice {
 public:
  Dice(std::uint64_t seed, std::uint64_t number, unsigned attempt) {
    std::seed_seq sequence{seed, seed >> 32, number, number >> 32, std::uint64_t{attempt}};
    engine_.seed(sequence);
  }

  int between(int low, int high) { return std::uniform_int_distribution(low, high)(engine_); }
  bool once_in(int n) { return between(1, n) == 1; }

  template <typename Range>
  const auto& one_of(const Range& range) {
    return range[static_cast<std::size_t>(between(0, static_cast<int>(std::size(range)) - 1))];
  }

 private:
  std::mt19937_64 engine_;
};

// A dynamically linked program cannot be loaded where it may open next to nothing, and only the sanitized
// ones are: their monitor would not come as far as the mistake.
#ifdef __SANITIZE_ADDRESS__
constexpr bool is_sanitized = true;
#else
constexpr bool is_sanitized = false;
#endif

// What a fault needs to have something to work on, where any run will not do.
struct Needs {
  std::string_view fault;
  std::optional<Payload> payload = std::nullopt;
  bool no_sockets = false;
  bool tcp = false;  ///< the socket it is about listens on TCP: no other kind shows what was done to it
  std::string_view sdnotify = {};
  bool watchdog = false;
  bool survived = true;  ///< the hops after it run on as if nothing had happened, and can fail on their own
};

constexpr std::array special_needs{
    Needs{.fault = "swallow-failure", .payload = Payload::missing},
    Needs{.fault = "leave-orphans", .payload = Payload::leaves_orphans},
    Needs{.fault = "leak-per-signal", .payload = Payload::waits},
    Needs{.fault = "deny-sockets", .payload = Payload::reports, .tcp = true},
    Needs{.fault = "fork-wrapper", .payload = Payload::reports, .survived = false},
    Needs{.fault = "shut-down", .tcp = true},
    Needs{.fault = "leak-listen-env", .no_sockets = true, .survived = false},
    Needs{.fault = "keep-watchdog-pid", .watchdog = true},
    Needs{.fault = "leak-notify-socket", .sdnotify = "ignore"},
    Needs{.fault = "drop-notify-socket", .sdnotify = "container"},
    Needs{.fault = "redirect-notify-socket", .sdnotify = "container"},
    // The next hop refuses, or takes no sockets at all: nothing that comes later is as it was meant.
    Needs{.fault = "keep-listen-pid", .survived = false},
    Needs{.fault = "set-listen-pid", .survived = false},
    Needs{.fault = "keep-listen-pidfdid", .survived = false},
    Needs{.fault = "announce-more", .survived = false},
    Needs{.fault = "announce-fewer", .survived = false},
    Needs{.fault = "handshake-off", .survived = false},
    Needs{.fault = "drop-listen-pid", .survived = false},
    Needs{.fault = "drop-listen-fds", .survived = false},
    Needs{.fault = "drop-listen-env", .survived = false},
    Needs{.fault = "set-cloexec", .survived = false},
    Needs{.fault = "close", .survived = false},
    Needs{.fault = "close-from", .survived = false},
    Needs{.fault = "drop-preserved", .survived = false},
    Needs{.fault = "preserve-more", .survived = false},
    Needs{.fault = "move", .survived = false},
    Needs{.fault = "nofile", .survived = false},
};

Needs needs_of(const FaultRequest& request) {
  const auto* const found = std::ranges::find(special_needs, request.name, &Needs::fault);
  return found == special_needs.end() ? Needs{.fault = request.name} : *found;
}

constexpr std::array kinds{"tcp",        "tcp6",           "udp",  "udp6",   "unix", "abstract",
                           "unix-dgram", "unix-seqpacket", "fifo", "netlink"};

// Every address once in a run: they are numbered.
ListenSpec draw_socket(Dice& dice, int index, bool tcp, const std::string& directory) {
  const std::string kind = tcp ? "tcp" : dice.one_of(kinds);
  const std::string port = std::to_string(20'000 + index);
  const std::string path = directory + "/s" + std::to_string(index);
  std::string text;
  if (kind == "tcp" || kind == "udp")
    text = kind + ":127.0.0.1:" + port;
  else if (kind == "tcp6" || kind == "udp6")
    text = kind.substr(0, 3) + ":[::1]:" + port;
  else if (kind == "abstract")
    text = "unix:@fdchain-" + std::to_string(index);
  else if (kind == "netlink")
    text = "netlink:route";
  else
    text = kind + ':' + path;
  if (!dice.once_in(3))
    text += ",name=" + std::string(dice.once_in(8) ? "twin" : "n" + std::to_string(index));
  return parse_listen_spec(text);
}

// Few sockets mostly, and fifty now and then.
int draw_count(Dice& dice) { return dice.once_in(4) ? dice.between(1, 50) : dice.between(1, 6); }

FaultRequest draw_fault(Dice& dice, const std::vector<Hop>& hops) {
  while (true) {
    const Fault& fault = dice.one_of(all_faults());
    if (is_sanitized && fault.name == "nofile") continue;
    const Hop hop = dice.one_of(fault.hops);
    if (std::ranges::find(hops, hop) == hops.end()) continue;
    return {hop, std::string(fault.name), fault.standard.to_vector()};
  }
}

// ARG, of the form that the catalogue names, for descriptors that this run has. No two faults of a run are
// about one socket, as far as there are enough.
void draw_numbers(Dice& dice, const Run& run, std::size_t which, FaultRequest& request) {
  const Fault& fault = *find_fault(request.name);
  const int sockets = std::max(1, run.sockets());
  const int share = sockets / static_cast<int>(run.faults.size());
  const int low = listen_fds_start + (share > 0 ? share * static_cast<int>(which) : 0);
  const int high = share > 0 ? low + share - 1 : listen_fds_start + sockets - 1;
  const int fd = dice.between(low, high);
  const bool about_sockets = fault.standard.to_vector() == std::vector{listen_fds_start};
  if (fault.argument == "FD" && about_sockets) request.numbers = {fd};
  if (fault.argument == "FD" && fault.standard.to_vector() == std::vector{2})
    request.numbers = {dice.between(0, 2)};
  if (fault.argument == "FD:FD") {
    // One socket alone has no other to be mistaken for, and the run is refused.
    const int other = high > low ? dice.between(low, high - 1) : fd - 1;
    request.numbers = {fd, other + (other >= fd || high == low ? 1 : 0)};
  }
  if (fault.argument == "FD:TO")
    request.numbers = {fd, listen_fds_start + run.sockets() + run.preserved + dice.between(4, 20)};
  if (request.name == "nofile") request.numbers = {dice.between(3, std::max(3, run.sockets() + 2))};
  if (request.name == "ignore-signal")
    request.numbers = {dice.one_of(std::array{SIGPIPE, SIGUSR1, SIGINT, SIGQUIT})};
}

void draw_faults(Dice& dice, Run& run) {
  if (run.level == Level::healthy || run.level == Level::wrapped) return;
  if (run.level == Level::single) {
    // The one mistake that needs no edit of a plan: an activator with a hole in its stdio.
    if (dice.once_in(30)) {
      run.closed_stdio = {dice.between(0, 2)};
      return;
    }
    run.faults.push_back(draw_fault(dice, {Hop::activator, Hop::launcher, Hop::monitor, Hop::runtime_shim}));
    return;
  }
  while (run.faults.empty() || !needs_of(run.faults.front()).survived)
    run.faults = {draw_fault(dice, {Hop::launcher, Hop::monitor})};
  std::vector<Hop> later{Hop::runtime_shim};
  if (run.faults.front().hop == Hop::launcher) later.push_back(Hop::monitor);
  run.faults.push_back(draw_fault(dice, later));
}

// Whether what the faults need can be had in one run.
bool agree(const Run& run) {
  std::optional<Payload> payload;
  std::string_view sdnotify;
  bool no_sockets = false;
  for (const FaultRequest& request : run.faults) {
    const Needs needs = needs_of(request);
    if (payload && needs.payload && *payload != *needs.payload) return false;
    if (needs.payload) payload = needs.payload;
    if (!sdnotify.empty() && !needs.sdnotify.empty() && sdnotify != needs.sdnotify) return false;
    if (!needs.sdnotify.empty()) sdnotify = needs.sdnotify;
    no_sockets |= needs.no_sockets;
  }
  return !(no_sockets && run.faults.size() > 1);
}

void draw_sockets(Dice& dice, Run& run, const std::string& directory) {
  const bool none =
      std::ranges::any_of(run.faults, [](const auto& fault) { return needs_of(fault).no_sockets; });
  const bool tcp = std::ranges::any_of(run.faults, [](const auto& fault) { return needs_of(fault).tcp; });
  const bool by_activator =
      std::ranges::any_of(run.faults, [](const auto& fault) { return fault.hop == Hop::activator; });
  if (none) return;
  const int count = draw_count(dice);
  const int inherited = by_activator ? dice.between(1, count) : dice.between(0, count);
  run.inherited_names = !dice.once_in(3);
  for (int i = 0; i < count; ++i) {
    // An activator that says nothing is seen by a listening socket at 3, and by nothing else.
    auto spec = draw_socket(dice, i, tcp || (by_activator && i == 0), directory);
    (i < inherited ? run.inherited : run.opened).push_back(std::move(spec));
  }
}

struct Mistake {
  std::string_view line;  ///< `N` is the number of a socket
  std::string_view finding;
};

constexpr std::array mistakes{
    Mistake{":", ""},
    Mistake{"exec N>&-", "fd-lost-closed"},
    Mistake{"exec N</etc/hostname", "fd-substituted"},
    Mistake{"exec 150</etc/passwd", "fd-leaked"},
    Mistake{"export LISTEN_PID=1", "listen-pid-stale"},
    Mistake{"unset LISTEN_FDS", "env-dropped"},
    Mistake{"trap '' HUP", "signal-ignored"},
    Mistake{"exec 0</etc/passwd", "fd-substituted"},
    Mistake{"exec 1>&-", "stdio-hole"},
};

Wrapper draw_wrapper(Dice& dice, const Run& run) {
  const Mistake& mistake = dice.one_of(mistakes);
  std::string line(mistake.line);
  if (const std::size_t at = line.find('N'); at != std::string::npos && line.starts_with("exec N"))
    line.replace(at, 1, std::to_string(listen_fds_start + dice.between(0, run.sockets() - 1)));
  return {dice.once_in(2) ? Hop::monitor : Hop::runtime_shim, dice.once_in(2), line,
          std::string(mistake.finding)};
}

}  // namespace

Run draw(std::uint64_t seed, std::uint64_t number, Level level, unsigned attempt,
         const std::string& directory) {
  Dice dice(seed, number, attempt);
  Run run;
  run.number = number;
  run.level = level;
  do {
    run.faults.clear();
    run.closed_stdio.clear();
    draw_faults(dice, run);
  } while (!agree(run));
  draw_sockets(dice, run, directory);
  if (dice.once_in(3)) run.strays = dice.between(1, 5);
  if (dice.once_in(4)) run.preserved = dice.between(1, 3);
  if (dice.once_in(3)) run.sdnotify = dice.one_of(std::array{"container", "conmon", "ignore"});
  if (dice.once_in(5)) run.payload = Payload::stranger;
  for (std::size_t i = 0; i < run.faults.size(); ++i) {
    const Needs needs = needs_of(run.faults[i]);
    if (needs.payload) run.payload = *needs.payload;
    if (!needs.sdnotify.empty()) run.sdnotify = needs.sdnotify;
    run.watchdog |= needs.watchdog;
    draw_numbers(dice, run, i, run.faults[i]);
  }
  if (level == Level::wrapped) {
    run.payload = Payload::reports;
    run.wrapper = draw_wrapper(dice, run);
  }
  // Whoever forks in between makes it stale too, and that is another mistake.
  if (run.level == Level::healthy) run.watchdog = dice.once_in(3);
  return run;
}

std::vector<Expected> expectations(const Run& run) {
  std::vector<Expected> expected;
  for (const FaultRequest& request : run.faults)
    expected.push_back({std::string(find_fault(request.name)->finding), culprit_of(request),
                        find_fault(request.name)->by_wrapper ? "sh" : ""});
  if (!run.closed_stdio.empty()) expected.push_back({"stdio-hole", Hop::activator, ""});
  if (!run.wrapper) return expected;
  const auto by_wrapper = [&](const std::string& id) {
    expected.push_back({id, run.wrapper->place, std::string(wrapper_name)});
  };
  if (!run.wrapper->finding.empty()) by_wrapper(run.wrapper->finding);
  // LISTEN_PID is stale for whoever has a socket left.
  const bool has_none = run.sockets() == 1 && run.wrapper->mistake.starts_with("exec 3");
  if (run.wrapper->forks && run.wrapper->finding != "listen-pid-stale" && !has_none)
    by_wrapper("listen-pid-stale");
  return expected;
}

}  // namespace fdchain::campaign
