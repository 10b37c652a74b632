// What the user expects a hop to hold, held against what it had when it started.

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "fdchain/judge/rules/rules.h"
#include "fdchain/model/listen_env.h"

namespace fdchain::rules {
namespace {

using Sound = std::function<bool(const HopRecord&)>;

// The looks at a run up to what a hop received, in the order of travel.
std::vector<Sighting> path_to(const Evidence& evidence, Hop hop) {
  std::vector<Sighting> path;
  for (const Hop on_the_way : all_hops) {
    const HopEvidence& looks = evidence.of(on_the_way);
    for (const HopRecord* const wrapper : looks.wrappers) path.push_back({on_the_way, true, wrapper});
    if (looks.received() != nullptr) path.push_back({on_the_way, true, looks.received()});
    if (on_the_way == hop) break;
    if (looks.departure != nullptr) path.push_back({on_the_way, false, looks.departure});
  }
  return path;
}

// Who acted after the last look at which it was right.
void blame_last_sound(Finding& finding, const Evidence& evidence, const Sound& is_sound) {
  const std::vector<Sighting> path = path_to(evidence, finding.hop);
  const auto last = std::find_if(path.rbegin(), path.rend(),
                                 [&](const Sighting& sighting) { return is_sound(*sighting.record); });
  if (last == path.rend() || last == path.rbegin()) {
    finding.evidence += "; no hop before was seen with it right";
    return;
  }
  blame(finding, evidence, actors_between(*last, *std::prev(last)));
}

std::string address_of(const FdRow& row) { return row.socket ? row.socket->local : row.name; }

bool is_called(const ContractSocket& socket, std::string_view name) {
  return socket.name == name || address_of(socket.row) == name;
}

// What is preserved, or in no contract, has its address alone for a name.
bool is_called(const Evidence& evidence, const FdRow& row, std::string_view name) {
  const ContractSocket* const socket = evidence.socket_of(row);
  return socket != nullptr ? is_called(*socket, name) : address_of(row) == name;
}

std::string describe_held(const Evidence& evidence, const FdRow& row) {
  const ContractSocket* const socket = evidence.socket_of(row);
  return socket != nullptr ? describe(*socket) : describe_object(row);
}

// Where else the hop has it: `, and it is at 5`.
std::string elsewhere(const Evidence& evidence, const HopRecord& record, const ExpectedPlace& place) {
  for (const FdRow& row : record.fds) {
    if (row.number >= listen_fds_start && is_called(evidence, row, place.name))
      return fmt::format(", and {} is at {}", place.name, row.number);
  }
  return "";
}

Finding unmet(const Expectation& expected, int number, std::string evidence) {
  Finding finding;
  finding.id = "expectation-failed";
  finding.hop = expected.hop;
  finding.fd = number;
  finding.evidence = fmt::format("expected '{}': {}", expected.text, std::move(evidence));
  finding.advice = "pass on what is expected at the number where it is expected, or change --expect";
  return finding;
}

bool holds(const Evidence& evidence, const HopRecord& record, const ExpectedPlace& place) {
  const FdRow* const row = crossing_row(record, place.number);
  return row != nullptr && is_called(evidence, *row, place.name);
}

void check_place(const Evidence& evidence, const Expectation& expected, const HopRecord& record,
                 const ExpectedPlace& place, Findings& findings) {
  if (holds(evidence, record, place)) return;
  const FdRow* const row = row_at(record.fds, place.number);
  const std::string held = row == nullptr ? "nothing" : describe_held(evidence, *row);
  Finding finding = unmet(expected, place.number,
                          fmt::format("{} has {} at {}{}", to_string(expected.hop), held, place.number,
                                      elsewhere(evidence, record, place)));
  const auto& sockets = evidence.contract().sockets;
  const auto socket = std::ranges::find_if(
      sockets, [&](const ContractSocket& candidate) { return is_called(candidate, place.name); });
  if (socket != sockets.end()) finding.socket = describe(*socket);
  // What the launcher wrote down it was to pass on so, wherever it had that before.
  const bool was_planned = socket != sockets.end() && socket->fd == place.number;
  blame_last_sound(finding, evidence, [&](const HopRecord& seen) {
    const bool is_plan = was_planned && seen.contract.has_value();
    return is_plan || holds(evidence, seen, place);
  });
  findings.add(std::move(finding));
}

// Beside the pipes to its neighbours, which are the chain's own.
void check_nothing_else(const Evidence& evidence, const Expectation& expected, const HopRecord& record,
                        Findings& findings) {
  for (const FdRow& row : record.fds) {
    const bool may_be_its_own = record.moment == Moment::running && row.close_on_exec;
    const bool is_expected =
        std::ranges::find(expected.places, row.number, &ExpectedPlace::number) != expected.places.end();
    if (row.number < listen_fds_start || is_expected || may_be_its_own ||
        is_handshake(evidence, expected.hop, record, row))
      continue;
    Finding finding = unmet(
        expected, row.number,
        fmt::format("{} has {} at {}", to_string(expected.hop), describe_held(evidence, row), row.number));
    if (const ContractSocket* const socket = evidence.socket_of(row)) finding.socket = describe(*socket);
    blame_last_sound(finding, evidence, [&](const HopRecord& seen) {
      const FdRow* const same = crossing_row(seen, row.number);
      return same == nullptr || same->device != row.device || same->inode != row.inode;
    });
    findings.add(std::move(finding));
  }
}

}  // namespace

void expectation(const Evidence& evidence, const Expectation& expected, Findings& findings) {
  const HopRecord* const record = evidence.of(expected.hop).received();
  if (record == nullptr) return;  // that it was not seen is told as such
  for (const ExpectedPlace& place : expected.places)
    check_place(evidence, expected, *record, place, findings);
  if (expected.nothing_else) check_nothing_else(evidence, expected, *record, findings);
}

}  // namespace fdchain::rules
