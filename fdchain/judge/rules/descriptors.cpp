// Rules of what is passed.

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "fdchain/judge/rules/rules.h"
#include "fdchain/model/listen_env.h"

namespace fdchain::rules {
namespace {

// Where it is felt: what a hop is about to pass on wrongly is wrong in the next one.
Hop affected(const Sighting& sighting) {
  return sighting.received ? sighting.hop : static_cast<Hop>(static_cast<int>(sighting.hop) + 1);
}

/// Follows one object through the sightings, and tells each thing that happens to it once.
class Walk {
 public:
  Walk(const Evidence& evidence, Findings& findings, const ContractSocket& socket)
      : evidence_(evidence), findings_(findings), socket_(socket), number_(socket.fd), last_(socket.row) {}

  void run() {
    if (socket_.row.type.empty()) return tell_never_seen();
    if (is_of_no_use(socket_.row)) tell_never_of_use();
    const auto count = told_too_few(evidence_, Hop::monitor);
    if (count && socket_.fd >= listen_fds_start + *count) return;  // told as a count that is wrong
    const Sighting* earlier = nullptr;
    for (const Sighting& sighting : evidence_.sightings()) {
      // What the launcher opens itself is not there when it arrives.
      const bool not_yet = sighting.hop == Hop::launcher && sighting.received && !holds_it(*sighting.record);
      if (not_yet) continue;
      if (!step(earlier == nullptr ? origin() : *earlier, sighting)) return tell_what_took_its_number();
      earlier = &sighting;
    }
  }

 private:
  [[nodiscard]] bool holds_it(const HopRecord& record) const {
    return std::ranges::any_of(evidence_.rows_with(record, socket_.row),
                               [&](const FdRow* row) { return is_socket_of(socket_, *row); });
  }

  // Bound, and neither listening nor connected: listen(2) has been forgotten. A connection is passed by inetd
  // and its like, and has a peer.
  static bool is_of_no_use(const FdRow& row) {
    return row.socket && (row.socket->type == SOCK_STREAM || row.socket->type == SOCK_SEQPACKET) &&
           !row.socket->listening && !row.socket->local.empty() && row.name.starts_with("state=unconnected");
  }

  // What the payload has at the socket's number.
  [[nodiscard]] const FdRow* payloads_row() const {
    const HopRecord* const payload = evidence_.of(Hop::payload).received();
    return payload != nullptr ? row_at(payload->fds, socket_.fd) : nullptr;
  }

  [[nodiscard]] bool is_let_in(const FdRow& stranger) const {
    const FdRow* const row = payloads_row();
    return row != nullptr && row->same_object(stranger) && reaches_into_the_host(stranger);
  }

  // Once a socket is lost, whatever is opened next gets its number, and is announced to the payload.
  void tell_what_took_its_number() {
    const FdRow* const row = payloads_row();
    if (is_substituted_ || row == nullptr || row->same_object(socket_.row) || !reaches_into_the_host(*row))
      return;
    Finding finding = make("fd-substituted", Hop::payload, socket_.fd, Severity::critical);
    finding.socket = describe(socket_);
    finding.evidence =
        fmt::format("payload has {} at {}, the number of {}", describe_object(with_name(evidence_, *row)),
                    socket_.fd, describe(socket_));
    finding.advice = "open nothing of the host's while a number that is passed on is free";
    blame(finding, evidence_, evidence_.actors_into(Hop::payload, [&](const HopRecord& seen) {
      const FdRow* const same = crossing_row(seen, socket_.fd);
      return same == nullptr || !same->same_object(*row);
    }));
    findings_.add(std::move(finding));
  }

  void tell_never_of_use() {
    for (const Hop hop : all_hops) {
      const HopRecord* const record = evidence_.given_to(hop);
      if (record == nullptr || !holds_it(*record)) continue;
      Finding finding = make("socket-kind-wrong", hop, number_, Severity::warning);
      finding.socket = describe(socket_);
      finding.evidence = describe(socket_) + " neither listens nor is connected: clients are refused";
      finding.advice = "call listen(2) on a socket before it is passed on";
      blame(finding, evidence_, hops_between(evidence_.before(hop), hop));
      findings_.add(std::move(finding));
      return;
    }
  }

  // Before the first record of it, the object was the launcher's to pass on if it wrote so down; else whoever
  // came before can have lost it.
  [[nodiscard]] Sighting origin() const {
    const bool own_word = evidence_.wrote_the_contract(Hop::launcher);
    return {own_word ? Hop::launcher : Hop::activator, true, nullptr};
  }

  // A contract from outside the trace can ask for what no hop ever had.
  void tell_never_seen() {
    if (evidence_.sightings().empty()) return;
    const Sighting& first = evidence_.sightings().front();
    const auto count = announced_count(*first.record);
    if (count && socket_.fd >= listen_fds_start + *count) return;  // told as a count that is wrong
    tell("fd-announced-missing", origin(), first,
         fmt::format("a socket was to be passed at {}, and no hop had one there", socket_.fd),
         "announce only what is passed, and pass all that is announced");
  }

  // False when the object is lost from here on.
  bool step(const Sighting& earlier, const Sighting& later) {
    const FdRow* const at_number = row_at(later.record->fds, number_);
    const bool in_place = at_number != nullptr && at_number->same_object(socket_.row);
    if (in_place && crosses(later, *at_number)) return inspect(earlier, later, *at_number);
    if (const FdRow* const elsewhere = find_crossing(later)) {
      tell("fd-renumbered", earlier, later,
           fmt::format("{} was at {} and is at {} in {}", describe(socket_), number_, elsewhere->number,
                       to_string(later)),
           "pass every socket on at the number it came at");
      number_ = elsewhere->number;
      return inspect(earlier, later, *elsewhere);
    }
    if (in_place) return inspect(earlier, later, *at_number);
    if (at_number != nullptr) {
      is_substituted_ = true;
      tell("fd-substituted", earlier, later,
           fmt::format("{} was at {}, and {} has {} there", describe(socket_), number_, to_string(later),
                       describe_object(*at_number)),
           "keep the descriptor open until it has been passed on, so that its number cannot be used again",
           is_let_in(*at_number) ? Severity::critical : Severity::error);
      return false;
    }
    const bool seen_departing = !earlier.received || !later.received;
    tell("fd-lost-closed", earlier, later,
         fmt::format("{} was at {} and is gone in {}{}", describe(socket_), number_, to_string(later),
                     seen_departing ? "" : "; closed, or close-on-exec: no record of the departure tells"),
         "do not close what is announced");
    return false;
  }

  // Of a departure, what is not close-on-exec: more than one number may have the object, and one will go.
  static bool crosses(const Sighting& sighting, const FdRow& row) {
    return sighting.received || !row.close_on_exec;
  }

  const FdRow* find_crossing(const Sighting& sighting) const {
    if (!socket_.row.is_unique()) return nullptr;
    for (const FdRow* const row : evidence_.rows_with(*sighting.record, socket_.row)) {
      if (crosses(sighting, *row)) return row;
    }
    return nullptr;
  }

  // The object is where it should be: is it as it should be?
  bool inspect(const Sighting& earlier, const Sighting& later, const FdRow& row) {
    if (!later.received && row.close_on_exec) {
      tell("fd-lost-cloexec", {later.hop, true, later.record}, later,
           fmt::format("{} is close-on-exec at {} in {}, just before exec", describe(socket_), number_,
                       to_string(later)),
           "clear FD_CLOEXEC in the child with fcntl(F_SETFD); dup2 of a number onto itself does not");
      return false;
    }
    if (last_.socket && row.socket && last_.socket->listening != row.socket->listening) {
      tell("socket-kind-wrong", earlier, later,
           fmt::format("{} listened, and does not any more in {}", describe(socket_), to_string(later)),
           "do not call shutdown(2) on a socket that is shared");
    }
    if (last_.non_blocking != row.non_blocking) {
      tell("nonblock-changed", earlier, later,
           fmt::format("{} was {} and is {} in {}", describe(socket_),
                       last_.non_blocking ? "non-blocking" : "blocking",
                       row.non_blocking ? "non-blocking" : "blocking", to_string(later)),
           "leave O_NONBLOCK alone: it belongs to the open file description, which every holder shares",
           Severity::warning);
    }
    last_ = row;
    return true;
  }

  void tell(const char* id, const Sighting& earlier, const Sighting& later, std::string evidence,
            const char* advice, Severity severity = Severity::error) {
    Finding finding = make(id, affected(later), number_, severity);
    finding.socket = describe(socket_);
    finding.evidence = std::move(evidence);
    finding.advice = advice;
    blame(finding, evidence_, actors_between(earlier, later));
    findings_.add(std::move(finding));
  }

  const Evidence& evidence_;
  Findings& findings_;
  const ContractSocket& socket_;
  int number_;
  FdRow last_;
  bool is_substituted_ = false;  ///< told as that
};

// Whether a hop before had this object, so that it crossed an exec, whoever saw it afterwards.
bool was_held_before(const Evidence& evidence, Hop hop, const FdRow& row) {
  for (const Hop before : all_hops) {
    if (before >= hop) return false;
    const HopEvidence& looks = evidence.of(before);
    for (const HopRecord* const record : {looks.arrival, looks.departure}) {
      if (record != nullptr && !evidence.rows_with(*record, row).empty()) return true;
    }
  }
  return false;
}

/// What the runtime was told to keep, where it was told by a count.
struct ToldRange {
  int preserve_fds = 0;
  int listen_fds = 0;  ///< LISTEN_FDS, which some add to it
  int end = 0;         ///< one past the last number of both together
};

std::optional<ToldRange> told_range(const Evidence& evidence) {
  for (const Hop hop : {Hop::runtime_shim, Hop::monitor}) {
    const HopRecord* const record = evidence.given_to(hop);
    if (record == nullptr) continue;
    if (!told_by_count(evidence, hop, *record)) return std::nullopt;
    const int preserve_fds = *record->preserve_fds;
    const int listen_fds = announced_count(*record).value_or(0);
    return ToldRange{preserve_fds, listen_fds, listen_fds_start + preserve_fds + listen_fds};
  }
  return std::nullopt;
}

// Whether the row was kept only because a count says so, which is larger than what was passed.
bool is_counted(const Evidence& evidence, Hop hop, const FdRow& row) {
  const auto told = told_range(evidence);
  return hop == Hop::payload && told && row.number >= evidence.payload_end() && row.number < told->end;
}

// What a hop received that nobody announced to it. Of what is seen from outside, only what an earlier hop
// had, and what can have crossed: the rest it may have opened itself.
std::vector<const FdRow*> strangers_in(const Evidence& evidence, Hop hop, const HopRecord& record) {
  std::vector<const FdRow*> rows;
  for (const FdRow& row : record.fds) {
    const bool crosses = record.moment == Moment::arrival || !row.close_on_exec;
    if (row.number < listen_fds_start || !crosses) continue;
    if (record.moment == Moment::running && !was_held_before(evidence, hop, row) &&
        !is_counted(evidence, hop, row))
      continue;
    if (evidence.socket_of(row) != nullptr || evidence.is_preserved(row) ||
        is_handshake(evidence, hop, record, row))
      continue;
    // A number of the window with something else in it is told as what happened to its socket.
    if (row.number < evidence.window_end()) continue;
    rows.push_back(&row);
  }
  return rows;
}

std::string describe_count(const ToldRange& told, int number) {
  const bool by_option = number < listen_fds_start + told.preserve_fds;
  return by_option ? fmt::format(", and --preserve-fds {} reaches it", told.preserve_fds)
                   : fmt::format(": --preserve-fds {} and LISTEN_FDS={} were added up, and reach it",
                                 told.preserve_fds, told.listen_fds);
}

}  // namespace

void sockets(const Evidence& evidence, Findings& findings) {
  for (const ContractSocket& socket : evidence.contract().sockets) Walk(evidence, findings, socket).run();
}

void preserved(const Evidence& evidence, Findings& findings) {
  for (const FdRow& kept : evidence.contract().preserved) {
    const Sighting* earlier = nullptr;
    for (const Sighting& sighting : evidence.sightings()) {
      // In the launcher they stand where its own sockets do not push them yet.
      if (sighting.hop == Hop::launcher && sighting.received) {
        earlier = &sighting;
        continue;
      }
      const FdRow* const row = row_at(sighting.record->fds, kept.number);
      const bool there =
          row != nullptr && row->same_object(kept) && (sighting.received || !row->close_on_exec);
      if (!there && earlier != nullptr) {
        Finding finding = make("preserve-count-wrong", affected(sighting), kept.number);
        finding.evidence = fmt::format("descriptor {} was to be preserved and is {} in {}", kept.number,
                                       row == nullptr           ? "gone"
                                       : row->same_object(kept) ? "close-on-exec"
                                                                : "another object",
                                       to_string(sighting));
        finding.advice = "keep the sockets and, after them, as many descriptors as --preserve-fds says";
        blame(finding, evidence, actors_between(*earlier, sighting));
        findings.add(std::move(finding));
        break;
      }
      earlier = &sighting;
    }
  }
}

void strangers(const Evidence& evidence, Findings& findings) {
  std::vector<const FdRow*> known;  // what the hop before had already been given too much
  for (const Hop hop : {Hop::monitor, Hop::runtime_shim, Hop::payload}) {
    const HopRecord* const crossed = evidence.crossed_into(hop);
    const HopRecord* const record = crossed != nullptr ? crossed : evidence.of(hop).outside;
    if (record == nullptr) continue;
    const Hop before = evidence.before(hop);
    auto rows = strangers_in(evidence, hop, *record);
    const auto all = rows;
    std::erase_if(rows, [&](const FdRow* row) {
      const auto number_of = [](const FdRow* other) { return other->number; };
      const auto old = std::ranges::lower_bound(known, row->number, {}, number_of);
      return old != known.end() && (*old)->number == row->number && (*old)->same_object(*row);
    });
    known = all;
    const int end = evidence.payload_end();
    const int doubled_end = end + static_cast<int>(evidence.contract().sockets.size());
    const auto in_doubled_range = [&](const FdRow* row) {
      return row->number >= end && row->number < doubled_end;
    };
    // At the first of them the shim has its sync pipe, which ends with its exec.
    const int first_kept = doubled_end - end > 1 ? end + 1 : end;
    bool doubled = std::ranges::any_of(rows, in_doubled_range);
    for (int number = first_kept; doubled && number < doubled_end; ++number)
      doubled = row_at(record->fds, number) != nullptr;
    for (const FdRow* const row : rows) {
      const bool told = is_counted(evidence, hop, *row);
      const bool counted = told || (doubled && in_doubled_range(row));
      const bool critical = hop == Hop::payload && reaches_into_the_host(*row);
      Finding finding = make(counted ? "preserve-count-wrong" : "fd-leaked", hop, row->number,
                             critical ? Severity::critical : Severity::error);
      // What was about to be passed on is no sight of a hop that has it.
      const HopRecord* const outside = evidence.of(hop).outside;
      const FdRow* const there = outside != nullptr ? row_at(outside->fds, row->number) : nullptr;
      const bool is_seen = record->hop == hop || (there != nullptr && there->same_object(*row));
      finding.evidence =
          fmt::format("{} was not announced{}", describe(with_name(evidence, *row)),
                      told      ? describe_count(*told_range(evidence), row->number)
                      : counted ? ""
                      : is_seen ? fmt::format(", and {} has it", to_string(hop))
                                : fmt::format(", and {} passed it on", to_string(record->hop)));
      finding.advice = counted
                           ? "count the sockets once: LISTEN_FDS and --preserve-fds must not both keep them"
                           : "open with O_CLOEXEC, and mark everything else close-on-exec before exec: "
                             "close_range(CLOSE_RANGE_CLOEXEC)";
      const auto had_not = [&](const HopRecord& seen) {
        const FdRow* const same = crossing_row(seen, row->number);
        // Of what has no inode of its own, a departure cannot tell the kind.
        return same == nullptr || same->device != row->device || same->inode != row->inode;
      };
      // Seen a while after its exec, the payload is none of those that it could be.
      blame(finding, evidence,
            crossed != nullptr ? evidence.actors_into(hop, had_not) : hops_between(before, hop));
      findings.add(std::move(finding));
    }
  }
}

void access(const Evidence& evidence, Findings& findings) {
  const HopRecord* const record = evidence.of(Hop::payload).arrival;
  if (record == nullptr) return;
  for (const FdRow& row : record->fds) {
    if (row.error.empty() || row.number < listen_fds_start || row.number >= evidence.window_end()) continue;
    Finding finding = make("fd-access-denied", Hop::payload, row.number);
    finding.evidence =
        fmt::format("descriptor {} is there, and using it is refused with {}", row.number, row.error);
    finding.advice = "look at the security label, the seccomp profile and the user namespace of the payload";
    blame(finding, evidence, hops_between(evidence.before(Hop::payload), Hop::payload));
    findings.add(std::move(finding));
  }
}

}  // namespace fdchain::rules
