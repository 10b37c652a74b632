// Rules of what a process has beside descriptors, and of how a run ends.

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <iterator>
#include <set>

#include "fdchain/judge/rules/rules.h"
#include "fdchain/model/listen_env.h"

namespace fdchain::rules {
namespace {

// Calls `judge(hop, record)` for every hop of which it is known what it started with, whatever it was told.
template <typename Judge>
void for_each_hop(const Evidence& evidence, Judge judge) {
  for (const Hop hop : all_hops) {
    if (const HopRecord* const record = evidence.crossed_into(hop)) judge(hop, *record);
  }
}

bool holds_sockets(const Evidence& evidence, const HopRecord& record, std::string& held) {
  for (const FdRow& row : record.fds) {
    const ContractSocket* const found = evidence.socket_of(row);
    if (found == nullptr) continue;
    held.append(held.empty() ? "" : ", ").append(fmt::format("{} at {}", describe(*found), row.number));
  }
  return !held.empty();
}

}  // namespace

void nofile(const Evidence& evidence, Findings& findings) {
  const auto needed = static_cast<std::uint64_t>(evidence.payload_end());
  std::optional<std::uint64_t> known;
  for_each_hop(evidence, [&](Hop hop, const HopRecord& record) {
    const bool lowered = !known || record.nofile_soft < *known;
    known = record.nofile_soft;
    if (record.nofile_soft >= needed || !lowered) return;
    Finding finding = make("nofile-exceeded", hop, Severity::warning);
    finding.fd = static_cast<int>(record.nofile_soft);
    finding.evidence = fmt::format("RLIMIT_NOFILE is {}, and descriptors up to {} are passed",
                                   record.nofile_soft, needed - 1);
    finding.advice = "leave the limit of the caller, or set one that what is passed fits in";
    blame(finding, evidence,
          evidence.actors_into(hop, [&](const HopRecord& seen) { return seen.nofile_soft >= needed; }));
    findings.add(std::move(finding));
  });
}

namespace {

// SIGPIPE; those without a name of their own are counted from the first real-time signal that a program can
// use.
std::string signal_name(int number) {
  if (const char* const name = ::sigabbrev_np(number)) return "SIG" + std::string(name);
  const int first = SIGRTMIN;
  if (number == first) return "SIGRTMIN";
  return number > first ? fmt::format("SIGRTMIN+{}", number - first) : std::to_string(number);
}

}  // namespace

void ignored_signals(const Evidence& evidence, Findings& findings) {
  std::optional<std::vector<int>> known;
  for_each_hop(evidence, [&](Hop hop, const HopRecord& record) {
    std::vector<int> added;
    if (known) std::ranges::set_difference(record.ignored_signals, *known, std::back_inserter(added));
    known = record.ignored_signals;
    // The monitor's own affair is only what it passes on.
    if (added.empty()) return;
    Finding finding = make("signal-ignored", hop, Severity::warning);
    finding.evidence = "signals that were not ignored before are:";
    for (const int number : added) finding.evidence.append(" ").append(signal_name(number));
    finding.advice = "set every signal that you ignore or catch back to its default in the child";
    blame(finding, evidence, evidence.actors_into(hop, [&](const HopRecord& seen) {
      return std::ranges::find_first_of(seen.ignored_signals, added) == seen.ignored_signals.end();
    }));
    finding.known = known_of(finding, added == std::vector{SIGPIPE});
    findings.add(std::move(finding));
  });
}

void retained(const Evidence& evidence, Findings& findings) {
  for (const Hop hop : {Hop::launcher, Hop::monitor}) {
    const HopRecord* const record = evidence.of(hop).after_exit;
    std::string held;
    // A run that was over before the runtime had the sockets has nothing to restart.
    const bool got_that_far = evidence.of(Hop::runtime_shim).departure != nullptr ||
                              evidence.of(Hop::payload).received() != nullptr;
    if (!got_that_far) continue;
    // A hop that was told wrongly what it has cannot know what to close.
    if (evidence.misled() && hop >= *evidence.misled()) continue;
    if (record == nullptr || !holds_sockets(evidence, *record, held)) continue;
    Finding finding = make("fd-retained", hop);
    blame(finding, evidence, {{hop}});
    finding.socket = describe(evidence.contract().sockets.front());
    finding.evidence = fmt::format(
        "{} still holds {} when the payload has ended: clients hang, and a restart finds the address in use",
        to_string(hop), held);
    finding.advice = "close every copy of the sockets before the exit status can be seen";
    findings.add(std::move(finding));
  }
}

namespace {

// Which program of the launcher's process began it: one that stood in its place, or itself.
Actor starter_of(const HopEvidence& launcher, const HopRecord& bystander) {
  Actor starter{Hop::launcher, nullptr};
  if (launcher.arrival == nullptr || launcher.arrival->time_ns < bystander.time_ns) return starter;
  for (const HopRecord* const wrapper : launcher.wrappers) {
    if (wrapper->time_ns < bystander.time_ns) starter.wrapper = wrapper;
  }
  return starter;
}

}  // namespace

// Who is no hop, and was given a socket by one.
void bystanders(const Evidence& evidence, Findings& findings) {
  const HopEvidence& launcher = evidence.of(Hop::launcher);
  for (const HopRecord* const record : launcher.ends) {
    std::string held;
    if (!holds_sockets(evidence, *record, held)) continue;
    Finding finding = make("fd-retained", Hop::launcher);
    blame(finding, evidence, {starter_of(launcher, *record)});
    finding.socket = describe(evidence.contract().sockets.front());
    finding.evidence = fmt::format(
        "{} (pid {}), started by the launcher, holds {} after the end: clients hang, and a restart finds the "
        "address in use",
        program_of(*record), record->pid, held);
    finding.advice =
        "start what is no part of the chain without the sockets: close them in it before its exec";
    findings.add(std::move(finding));
  }
}

void children(const Evidence& evidence, Findings& findings) {
  // The monitor of a launcher that is a subreaper is its child, and may be about to end. What a monitor
  // leaves comes to the launcher, and is the monitor's doing.
  std::set<pid_t> accounted;
  if (const HopRecord* const monitor = evidence.of(Hop::monitor).received()) accounted.insert(monitor->pid);
  for (const Hop hop : {Hop::monitor, Hop::launcher}) {
    const HopRecord* const record = evidence.of(hop).after_exit;
    if (record == nullptr) continue;
    Finding finding = make("zombie-left", hop, Severity::warning);
    blame(finding, evidence, {{hop}});
    for (const ProcessRow& child : record->children) {
      if (!accounted.insert(child.pid).second) continue;
      finding.evidence.append(finding.evidence.empty() ? "" : "; ")
          .append(fmt::format("process {} ({}) is {}", child.pid, child.command,
                              child.state == "Z" ? "a zombie" : "still running"));
    }
    if (finding.evidence.empty()) continue;
    finding.advice = "wait for every child; end what the payload has left before publishing its status";
    findings.add(std::move(finding));
  }
}

void growth(const Evidence& evidence, Findings& findings) {
  for (const Hop hop : all_hops) {
    const auto& looks = evidence.of(hop).running;
    // Three looks in a row that each find more: once is chance, and so may be twice.
    constexpr std::size_t enough = 3;
    if (looks.size() < enough) continue;
    bool grows = true;
    for (std::size_t i = 1; i < looks.size(); ++i) grows &= looks[i]->fds.size() > looks[i - 1]->fds.size();
    if (!grows) continue;
    Finding finding = make("fd-growth", hop, Severity::warning);
    blame(finding, evidence, {{hop}});
    finding.fd = looks.back()->fds.back().number;
    finding.evidence = fmt::format("{} held {} descriptors, and {} after {} events", to_string(hop),
                                   looks.front()->fds.size(), looks.back()->fds.size(), looks.size() - 1);
    finding.advice = "close on every path what is opened for an event";
    findings.add(std::move(finding));
  }
}

namespace {

// conmon's `{"data": -1, …}`, with blanks or without.
bool tells_a_failure(std::string word) {
  std::erase_if(word, [](char character) { return character == ' ' || character == '\t'; });
  return word.starts_with(R"({"data":-)");
}

// A runtime that could not become the payload, by its own word or by its status, and did not say so.
std::optional<std::string> silent_failure(const HopRecord* shim, const HopRecord& monitor, bool payload_ran) {
  const bool heard_a_failure = std::ranges::any_of(monitor.heard, tells_a_failure);
  if (heard_a_failure) return std::nullopt;
  if (shim != nullptr && shim->ended) return "runtime-shim " + *shim->ended;
  const bool exited = monitor.ended && monitor.ended->starts_with("exited");
  if (!exited || payload_ran || !monitor.heard.empty()) return std::nullopt;
  return "runtime-shim " + *monitor.ended + " without becoming the payload";
}

}  // namespace

void lost_words(const Evidence& evidence, Findings& findings) {
  // A hop that was told wrongly which descriptors are whose may have lost the pipe to say it on.
  const auto was_misled = [&](Hop hop) { return evidence.misled() && hop >= *evidence.misled(); };
  const HopRecord* const launcher = evidence.of(Hop::launcher).after_exit;
  const HopRecord* const monitor = evidence.of(Hop::monitor).after_exit;
  if (monitor == nullptr || was_misled(Hop::monitor)) return;
  const bool payload_ran = evidence.of(Hop::payload).received() != nullptr;
  const auto silent = silent_failure(evidence.of(Hop::runtime_shim).after_exit, *monitor, payload_ran);
  if (silent && !was_misled(Hop::runtime_shim)) {
    Finding finding = make("handshake-lost-error", Hop::monitor);
    blame(finding, evidence, {{Hop::runtime_shim}});
    finding.evidence = *silent + ", and told the monitor nothing";
    finding.advice = "say on the sync pipe why the payload did not start, whatever the failure";
    findings.add(std::move(finding));
  }
  if (launcher == nullptr || !monitor->ended) return;
  const std::size_t due = payload_ran ? 2 : 1;  // the pid and the status, or the failure
  if (launcher->heard.size() >= due) return;
  Finding finding = make("handshake-lost-error", Hop::launcher);
  blame(finding, evidence, {{Hop::monitor}});
  finding.evidence = payload_ran
                         ? "the payload " + *monitor->ended + ", and the monitor did not tell the launcher"
                         : "the payload never ran, and the monitor did not tell the launcher why";
  finding.advice = "write the last message before the sync pipe is closed, also when something failed";
  findings.add(std::move(finding));
}

}  // namespace fdchain::rules
