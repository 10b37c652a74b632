// ./dev bench: what the chain costs, as ratios to what it is compared with in the same run.
//
//   fdchain_bench [JSON-FILE [ROUNDS [PART]]]
//
// PART is one of those in `parts`; without it all are measured.

#include <benchmark/benchmark.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fdchain/system/fs/files.h"
#include "fdchain/system/fs/namespaces.h"
#include "tests/bench/connection.h"
#include "tests/bench/contenders.h"
#include "tests/bench/hops.h"
#include "tests/bench/looks.h"
#include "tests/bench/measure.h"
#include "tests/support/supervise.h"

namespace fdchain::bench {
namespace {

namespace json = boost::json;

/// The table on the terminal, and the same as JSON.
class Table {
 public:
  void title(const std::string& text) const { fmt::print("\n{}\n", text); }

  /// A measured value; `unit` is ms, us, kB or x.
  void value(const std::string& name, double number, const std::string& unit) {
    fmt::print("  {:<58} {:>10.3f} {}\n", name, number, unit);
    rows_.push_back(json::object{{"name", name}, {"value", number}, {"unit", unit}});
  }

  /// A value that was promised to be at most, or at least, `goal`.
  void goal(const std::string& name, double number, const std::string& unit, bool at_most, double goal) {
    const bool reached = at_most ? number <= goal : number >= goal;
    fmt::print("  {:<58} {:>10.3f} {:<3} {} {:g}  {}\n", name, number, unit, at_most ? "<=" : ">=", goal,
               reached ? "ok" : "MISSED");
    rows_.push_back(json::object{{"name", name},
                                 {"value", number},
                                 {"unit", unit},
                                 {at_most ? "at_most" : "at_least", goal},
                                 {"reached", reached}});
  }

  /// A value that was promised to be `goal`, give or take `tolerance`.
  void near(const std::string& name, double number, const std::string& unit, double goal, double tolerance) {
    const bool reached = number >= goal - tolerance && number <= goal + tolerance;
    fmt::print("  {:<58} {:>10.3f} {:<3} {:g} ± {:g}  {}\n", name, number, unit, goal, tolerance,
               reached ? "ok" : "MISSED");
    rows_.push_back(json::object{{"name", name},
                                 {"value", number},
                                 {"unit", unit},
                                 {"at_least", goal - tolerance},
                                 {"at_most", goal + tolerance},
                                 {"reached", reached}});
  }

  void remark(const std::string& text) {
    fmt::print("  {}\n", text);
    rows_.push_back(json::object{{"remark", text}});
  }

  [[nodiscard]] std::string as_json() const {
    return json::serialize(json::object{{"results", rows_}}) + '\n';
  }

 private:
  json::array rows_;
};

constexpr double milli = 1e3;
constexpr double micro = 1e6;

double run_chain() { return whole_run({program("launcher"), program("exits_at_once")}); }
double run_plain() { return whole_run({program("plain_chain"), program("exits_at_once")}); }

void compare_whole_runs(Table& table, int rounds) {
  table.title("A whole run, with a payload that exits at once");
  auto result = medians({{"chain", run_chain}, {"plain", run_plain}}, rounds);
  table.value("launcher > monitor > runtime-shim > payload", result["chain"] * milli, "ms");
  table.value("the same topology in plain static C", result["plain"] * milli, "ms");
  table.goal("chain / plain C", result["chain"] / result["plain"], "x", true, 1.3);
}

// What being watched costs: the same runs, with every hop writing its records.
void compare_traced_runs(Table& table, int rounds) {
  table.title("The same run, traced");
  const std::string trace = scratch_directory() + "/trace";
  const std::vector<std::string> traced{program("launcher"), "--trace", trace, program("exits_at_once")};
  auto result = medians({{"traced", [&] { return whole_run(traced); }}, {"plain", run_plain}}, rounds);
  ::unlink(trace.c_str());
  table.value("traced chain", result["traced"] * milli, "ms");
  table.goal("traced chain / plain C", result["traced"] / result["plain"], "x", true, 2);
}

// What it costs that podman and all it starts stand still at each fork, exec and end; and what strace takes
// for the calls that one would ask it for instead.
void compare_traced_podman(Table& table, int rounds) {
  std::string why_not;
  const auto podman = podman_command(why_not);
  if (!podman) return table.remark(why_not + ": not measured");
  const auto under = [&](std::vector<std::string> words) {
    words.insert(words.end(), podman->begin(), podman->end());
    return words;
  };
  const std::string report = "text:" + scratch_directory() + "/report";
  const auto traced = under({program("launcher"), "trace", "--report", report, "--"});
  const auto followed = under({program("launcher"), "trace", "--follow-payload", "--report", report, "--"});
  const auto straced =
      under({"strace", "-f", "-yy", "-o", "/dev/null", "-e", "trace=execve,close,dup3,fcntl"});
  std::vector<Contender> contenders{{"podman", [&] { return whole_run(*podman); }},
                                    {"traced", [&] { return whole_run(traced); }},
                                    {"followed", [&] { return whole_run(followed); }}};
  const bool has_strace = is_installed("strace");
  if (has_strace) contenders.push_back({"strace", [&] { return whole_run(straced); }});
  auto result = medians(contenders, std::max(rounds / 10, 5));
  table.value("podman run", result["podman"] * milli, "ms");
  table.goal("launcher trace podman run / podman run", result["traced"] / result["podman"], "x", true, 1.1);
  table.goal("the same with --follow-payload / podman run", result["followed"] / result["podman"], "x", true,
             1.15);
  if (!has_strace) return table.remark("strace is not installed: not compared");
  const double ours = result["traced"] - result["podman"];
  table.goal("extra time, launcher trace / strace -f", ours / (result["strace"] - result["podman"]), "x",
             true, 0.1);
}

void compare_evidence(Table& table, int rounds) {
  compare_traced_runs(table, rounds);
  compare_traced_podman(table, rounds);
}

// One link of the real chain each, and all of it.
void compare_with_real_programs(Table& table, int rounds) {
  if (is_installed("conmon")) {
    auto result = medians({{"chain", run_chain}, {"conmon", [] { return conmon_run(); }}}, rounds);
    table.value("conmon alone, with a runtime that does nothing / chain", result["conmon"] / result["chain"],
                "x");
  } else {
    table.remark("conmon is not installed: not measured");
  }
  std::string why_not;
  if (const auto crun = run_container_command("crun", why_not)) {
    auto result = medians({{"chain", run_chain}, {"crun", [&] { return whole_run(*crun); }}}, rounds);
    table.value("crun run, alone / chain", result["crun"] / result["chain"], "x");
  } else {
    table.remark(why_not + ": not measured");
  }
}

void compare_with_podman(Table& table, int rounds) {
  std::string why_not;
  const auto podman = podman_command(why_not);
  if (!podman) return table.remark(why_not + ": not measured");
  auto result = medians({{"chain", run_chain}, {"podman", [&] { return whole_run(*podman); }}},
                        std::max(rounds / 10, 5));
  table.value("podman run of the same payload", result["podman"] * milli, "ms");
  table.goal("podman run / chain", result["podman"] / result["chain"], "x", false, 40);
}

void compare_sockets(Table& table, int rounds) {
  table.title("Sockets, passed from end to end");
  const std::array counts{1, 10, 100, 1000};
  const std::vector<std::string> chain{program("launcher"), program("exits_at_once")};
  const std::vector<std::string> plain{program("plain_chain"), program("exits_at_once")};
  std::vector<std::unique_ptr<SocketHolder>> holders;
  std::vector<Contender> contenders;
  for (const int count : counts) {
    holders.push_back(std::make_unique<SocketHolder>(count));
    const SocketHolder& holder = *holders.back();
    contenders.push_back(
        {fmt::format("chain {}", count), [&holder, &chain] { return holder.whole_run(chain); }});
    contenders.push_back(
        {fmt::format("plain {}", count), [&holder, &plain] { return holder.whole_run(plain); }});
  }
  auto result = medians(contenders, rounds);
  for (const int count : counts) {
    table.value(fmt::format("{} sockets, chain / plain C", count),
                result[fmt::format("chain {}", count)] / result[fmt::format("plain {}", count)], "x");
  }
  const double chain_each = (result["chain 1000"] - result["chain 1"]) / 999 * micro;
  const double plain_each = (result["plain 1000"] - result["plain 1"]) / 999 * micro;
  table.value("each of 1000 sockets costs the chain", chain_each, "us");
  table.value("each of 1000 sockets costs plain C", plain_each, "us");
  table.goal("cost of a socket, chain / plain C", chain_each / plain_each, "x", true, 1.5);
}

// Our runtime against the real ones, which are hops of the same kind.
void compare_runtimes(Table& table, int rounds) {
  table.title("A container that ends at once, run by an OCI runtime alone");
  std::string why_not;
  const auto shim = run_container_command(program("runtime-shim"), why_not);
  if (!shim) throw std::runtime_error(why_not);
  std::vector<Contender> contenders{{"runtime-shim", [&] { return whole_run(*shim); }}};
  std::map<std::string, std::vector<std::string>> others;
  for (const char* const name : {"crun", "runc"}) {
    if (const auto command = run_container_command(name, why_not)) {
      const std::vector<std::string>& kept = others[name] = *command;
      contenders.push_back({name, [&kept] { return whole_run(kept); }});
    } else {
      table.remark(why_not + ": not measured");
    }
  }
  auto result = medians(contenders, rounds);
  table.value("runtime-shim run", result["runtime-shim"] * milli, "ms");
  for (const auto& [name, command] : others) table.value(name + " run", result[name] * milli, "ms");
  for (const auto& [name, command] : others)
    table.goal("runtime-shim run / " + name + " run", result["runtime-shim"] / result[name], "x", true, 1);
}

void compare_starts(Table& table, int rounds, const std::string& below,
                    Monitoring (*over)(const std::string& monitor)) {
  const Monitoring ours = over(program("monitor"));
  const Monitoring conmon = over("conmon");
  auto result = medians({{"monitor", [&] { return start_by_monitor(ours); }},
                         {"conmon", [&] { return start_by_monitor(conmon); }}},
                        rounds);
  table.value("monitor, over " + below, result["monitor"] * milli, "ms");
  table.value("conmon, over " + below, result["conmon"] * milli, "ms");
  table.goal("monitor / conmon, over " + below, result["monitor"] / result["conmon"], "x", true, 1);
}

void compare_monitors(Table& table, int rounds) {
  table.title("A monitor starts a container, from its exec to its word of the container's pid");
  if (!is_installed("conmon")) return table.remark("conmon is not installed: not measured");
  compare_starts(table, rounds, "a runtime that does nothing", over_instant_runtime);
  std::string why_not;
  if (run_container_command("crun", why_not))
    compare_starts(table, rounds, "crun", over_crun);
  else
    table.remark(why_not + ": not measured");
}

void compare_waiting_as_conmon(Table& table, int count) {
  const std::string how_many = count == 1 ? "alone" : fmt::format("each of {}", count);
  const Waiting monitor = waiting_as_conmon(program("monitor"), count);
  const Waiting conmon = waiting_as_conmon("conmon", count);
  table.value("monitor as conmon, " + how_many + ", PSS", monitor.pss_kb, "kB");
  table.value("conmon, " + how_many + ", PSS", conmon.pss_kb, "kB");
  table.goal("PSS, " + how_many + ", monitor as conmon / conmon", monitor.pss_kb / conmon.pss_kb, "x", true,
             1);
  table.value("monitor as conmon, " + how_many + ", private memory", monitor.private_kb, "kB");
  table.value("conmon, " + how_many + ", private memory", conmon.private_kb, "kB");
  table.goal("private memory, " + how_many + ", monitor as conmon / conmon",
             monitor.private_kb / conmon.private_kb, "x", true, 1);
  table.goal("monitor as conmon, " + how_many + ", wake-ups in a second", monitor.wake_ups, "", true, 0);
}

void compare_waiting(Table& table, int) {
  table.title("The monitor while it waits");
  const Waiting monitor = waiting_monitor();
  table.value("monitor, PSS", monitor.pss_kb, "kB");
  table.value("monitor, private memory", monitor.private_kb, "kB");
  table.goal("monitor, wake-ups in a second", monitor.wake_ups, "", true, 0);
  if (!is_installed("conmon")) return table.remark("conmon is not installed: not measured");
  for (const int count : {1, 20}) compare_waiting_as_conmon(table, count);
}

void compare_first_bytes(Table& table, int rounds) {
  table.title("From a client's connect to its first byte, under systemd-socket-activate");
  if (!is_installed("systemd-socket-activate"))
    return table.remark("systemd-socket-activate is not installed: not measured");
  const std::vector<std::string> isolated{program("launcher"), "--network", "none",     "--pid",    "private",
                                          "--userns",          "private",   "--rootfs", make_root()};
  auto result = medians({{"chain", [] { return first_byte({program("launcher")}); }},
                         {"isolated", [&] { return first_byte(isolated); }},
                         {"direct", [] { return first_byte({program("payload")}); }}},
                        rounds);
  table.value("payload in all isolation, behind the chain", result["isolated"] * milli, "ms");
  table.value("payload behind the chain", result["chain"] * milli, "ms");
  table.value("payload directly", result["direct"] * milli, "ms");
  table.goal("more through the chain", (result["chain"] - result["direct"]) * milli, "ms", true, 4);
}

// One payload of each, both running, and their ratios.
std::map<std::string, double> compare_a_pair(int rounds) {
  constexpr int chain_port = 39'081;
  constexpr int host_port = 39'082;
  const Served inside(
      {program("launcher"), "--network", "none", "--listen", fmt::format("127.0.0.1:{}", chain_port)},
      chain_port);
  const Served outside({program("opens_itself"), std::to_string(host_port), program("payload")}, host_port);
  auto result = medians({{"inside latency", [&] { return inside.latency(); }},
                         {"outside latency", [&] { return outside.latency(); }},
                         {"inside bytes", [&] { return inside.seconds_per_byte(); }},
                         {"outside bytes", [&] { return outside.seconds_per_byte(); }}},
                        rounds);
  result["latency"] = result["inside latency"] / result["outside latency"];
  result["throughput"] = result["outside bytes"] / result["inside bytes"];
  return result;
}

// What is served through the chain, with a network of its own around the payload, against what the same
// payload serves on the host on a socket that it has opened itself.
void compare_connections(Table& table, int rounds) {
  table.title("A connection to a payload that runs, --network none against the host");
  std::map<std::string, std::vector<double>> all;
  // Several pairs of processes: where one's memory happens to lie is a matter of per cents.
  constexpr int pairs = 9;
  for (int pair = 0; pair < pairs; ++pair) {
    for (const auto& [name, value] : compare_a_pair(std::max(rounds / 3, 5))) all[name].push_back(value);
  }
  std::map<std::string, double> middle;
  for (auto& [name, values] : all) {
    std::ranges::nth_element(values, values.begin() + pairs / 2);
    middle[name] = values[pairs / 2];
  }
  constexpr double mega = 1e6;
  table.value("a byte there and back, chain", middle["inside latency"] * micro, "us");
  table.value("a byte there and back, host", middle["outside latency"] * micro, "us");
  table.near("latency, chain / host", middle["latency"], "x", 1, 0.03);
  table.value("echoed, chain", 1 / middle["inside bytes"] / mega, "MB/s");
  table.value("echoed, host", 1 / middle["outside bytes"] / mega, "MB/s");
  table.near("throughput, chain / host", middle["throughput"], "x", 1, 0.03);
}

void measure_chains_alive(Table& table, int) {
  constexpr int chains = 100;
  table.title(fmt::format("{} chains alive at once, each with a client", chains));
  double sum = 0;
  for (const auto& [name, kb] : memory_of_chains(chains)) {
    table.value(fmt::format("{}, PSS of each", name), static_cast<double>(kb) / chains, "kB");
    sum += static_cast<double>(kb) / chains;
  }
  table.value("a chain alive, PSS", sum, "kB");
}

void measure_looks(Table& table, int rounds) {
  table.title("A look at another process, with this many descriptors");
  const auto middle = medians(
      {{"1,000", [] { return look_at_process(1'000); }}, {"8,000", [] { return look_at_process(8'000); }}},
      rounds);
  for (const auto& [name, seconds] : middle) table.value(name, seconds * 1e3, "ms");
  constexpr double more = 7'000;
  table.goal("each descriptor", (middle.at("8,000") - middle.at("1,000")) / more * micro, "us", true, 10);
  table.goal("8,000 / 1,000", middle.at("8,000") / middle.at("1,000"), "x", true, 12);
}

struct Part {
  std::string_view name;
  void (*measure)(Table& table, int rounds);
};

constexpr std::array parts{
    Part{"sockets", compare_sockets},         Part{"runs", compare_whole_runs},
    Part{"evidence", compare_evidence},       Part{"real", compare_with_real_programs},
    Part{"podman", compare_with_podman},      Part{"runtimes", compare_runtimes},
    Part{"monitors", compare_monitors},       Part{"waiting", compare_waiting},
    Part{"first-bytes", compare_first_bytes}, Part{"connections", compare_connections},
    Part{"alive", measure_chains_alive},      Part{"looks", measure_looks},
};

int run(const std::string& json_file, int rounds, std::string_view only) {
  // The sockets shall stand at 3 and above, whatever the caller left there.
  ::close_range(STDERR_FILENO + 1, ~0U, 0);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  // The ports are always the same: in a network of the bench's own nobody else can have them, another bench
  // beside this one least of all. An ordinary user could have one only as another user.
  if (::geteuid() == 0) enter_network_namespace();
  fmt::print("Medians of {} interleaved runs each; release build.\n", rounds);
  Table table;
  for (const Part& part : parts) {
    if (only.empty() || only == part.name) part.measure(table, rounds);
  }
  write_file_atomically(json_file, table.as_json());
  fmt::print("\nwritten to {}\n", json_file);
  return 0;
}

}  // namespace
}  // namespace fdchain::bench

int main(int argc, char** argv) {
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  std::string self = argv[0];
  std::array<char*, 3> options{self.data(), interleave.data(), nullptr};
  int count = 2;
  benchmark::Initialize(&count, options.data());
  try {
    return fdchain::test::supervise("bench", [&](const std::string& directory) {
      fdchain::bench::use_scratch_directory(directory);
      return fdchain::bench::run(argc > 1 ? argv[1] : "bench.json", argc > 2 ? std::atoi(argv[2]) : 300,
                                 argc > 3 ? argv[3] : "");
    });
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return 1;
  }
}
