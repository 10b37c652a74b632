// The records of a run in the order in which the sockets travelled, and what follows from their gaps.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fdchain/model/hop_record.h"
#include "fdchain/model/object_index.h"

namespace fdchain {

/// What a record says about a hand-over: what a hop received, or was about to pass on; or what a wrapper in
/// its place had at its exec.
struct Sighting {
  Hop hop = Hop::launcher;
  bool received = true;  ///< an arrival (or a look from outside, where there is none), else a departure
  const HopRecord* record = nullptr;

  [[nodiscard]] bool is_of_wrapper() const { return record != nullptr && record->moment == Moment::exec; }
};

/// Who can have done something: a hop, or a wrapper that stood in its place.
struct Actor {
  Hop hop = Hop::launcher;
  const HopRecord* wrapper = nullptr;
};

/// The records of one hop; null where there is none.
struct HopEvidence {
  std::vector<const HopRecord*> wrappers;  ///< what stood in its place before it, in the order of time
  const HopRecord* arrival = nullptr;
  const HopRecord* departure = nullptr;
  const HopRecord* outside = nullptr;     ///< running, seen by another hop: it may have changed by then
  std::vector<const HopRecord*> running;  ///< seen by itself, in the order of time
  const HopRecord* after_exit = nullptr;
  const HopRecord* at_exec = nullptr;   ///< as whoever followed it saw it arrive
  std::vector<const HopRecord*> later;  ///< of the payload's processes: each further exec
  std::vector<const HopRecord*> ends;   ///< how they ended, and who lived on

  /// What it had when it started: its own word, else what was seen from outside; null when neither is there.
  [[nodiscard]] const HopRecord* received() const { return arrival != nullptr ? arrival : outside; }
};

class Evidence {
 public:
  Evidence(std::span<const HopRecord> records, const std::optional<Contract>& contract);

  [[nodiscard]] const HopEvidence& of(Hop hop) const { return hops_[static_cast<std::size_t>(hop)]; }
  /// What the hop was told and given: its own word, else what was seen of it from outside, else what the hop
  /// before was about to give it; null when nothing is known.
  [[nodiscard]] const HopRecord* given_to(Hop hop) const;

  /// What crossed into a hop: its own word, else what the hop before was about to give it; null when neither
  /// is there. A look from outside comes too late: by then a process may have closed, opened or changed
  /// anything.
  [[nodiscard]] const HopRecord* crossed_into(Hop hop) const;

  [[nodiscard]] const Contract& contract() const { return contract_; }

  /// Whether the contract was written down, or had to be made up from what the first hop received.
  [[nodiscard]] bool contract_is_known() const { return contract_is_known_; }

  /// How many descriptors after the sockets are taken for preserved because the first hop that was seen had
  /// them; 0 when the contract is known.
  [[nodiscard]] std::size_t presumed_preserved() const {
    return contract_is_known_ ? 0 : contract_.preserved.size();
  }

  /// Whether the launcher serves an API on the sockets it was given: none of them is to go on.
  [[nodiscard]] bool launcher_keeps_sockets() const {
    return of(Hop::launcher).arrival != nullptr && of(Hop::launcher).arrival->keeps_sockets;
  }

  /// Whether this hop wrote down what it was to hand over. What it was told does not bind it then: it opened
  /// sockets of its own, or set aside what was wrong.
  [[nodiscard]] bool wrote_the_contract(Hop hop) const;

  /// One past the number of the last socket.
  [[nodiscard]] int window_end() const { return window_end_; }

  /// One past the number of the last preserved descriptor.
  [[nodiscard]] int payload_end() const { return payload_end_; }

  /// The socket of the contract that this row is; null when it is none. The first, if it is several.
  [[nodiscard]] const ContractSocket* socket_of(const FdRow& row) const;

  /// Whether this row is what was to be preserved at its number.
  [[nodiscard]] bool is_preserved(const FdRow& row) const;

  /// The rows of a record that are this object, in ascending order of their numbers.
  [[nodiscard]] std::vector<const FdRow*> rows_with(const HopRecord& record, const FdRow& object) const;

  /// All sightings, in the order of travel, without those that an earlier breach of the announcement has
  /// spoilt: a hop that was told wrongly what it has does rightly not pass it on.
  [[nodiscard]] const std::vector<Sighting>& sightings() const { return sightings_; }

  /// The first hop that was told wrongly what it has; nothing when all were told rightly.
  [[nodiscard]] std::optional<Hop> misled() const { return misled_; }

  /// Whether an announcement may be judged at this hop: neither it nor an earlier one is downstream of a
  /// misled one.
  [[nodiscard]] bool is_upstream(Hop hop) const { return !misled_ || hop <= *misled_; }

  /// The hops of this chain without a record. It begins with the first that has one; a runtime that its
  /// launcher started itself has no monitor.
  [[nodiscard]] std::vector<Hop> not_seen() const;

  /// The hop before, among those that left a record; the activator when there is none.
  [[nodiscard]] Hop before(Hop hop) const;

  /// Who can have spoilt what a hop received, when `sound` says of a record whether it was still right there:
  /// the last wrapper that had it right, or the hops since the one before. Nobody of those that were seen
  /// when the last of them departed with it sound.
  [[nodiscard]] std::vector<Actor> actors_into(Hop hop,
                                               const std::function<bool(const HopRecord&)>& sound) const;

 private:
  void sort(std::span<const HopRecord> records);
  static void take_arrival(HopEvidence& hop, const HopRecord& record);
  void make_contract(const std::optional<Contract>& given);
  void presume_contract();
  void presume_preserved();
  void measure_contract();
  void index();
  void collect_sightings();
  [[nodiscard]] bool went_on_regardless(Hop hop) const;

  std::array<HopEvidence, 5> hops_;
  Contract contract_;
  bool contract_is_known_ = false;
  int window_end_ = 0;
  int payload_end_ = 0;
  std::vector<std::size_t> sockets_by_object_;  // numbers in the contract, sorted by device and inode
  std::vector<std::size_t> preserved_by_object_;
  std::map<const HopRecord*, ObjectIndex> indexes_;
  std::optional<Hop> misled_;
  std::vector<Sighting> sightings_;
};

/// Who can have done something that is not there in `earlier` and there in `later`: one, or several when
/// records between them are missing, or `later` is a look from outside. Nobody of those that were seen when
/// `earlier` is a departure of a child: between that and the next program's exec only others can have run.
std::vector<Actor> actors_between(const Sighting& earlier, const Sighting& later);

/// All from `earlier` on, that included, to the one before `later`.
std::vector<Actor> hops_between(Hop earlier, Hop later);

/// The value of a chain variable; nothing when it is not set.
std::optional<std::string> variable(const HopRecord& record, std::string_view name);

/// The number that LISTEN_FDS counts, if it is one that sd_listen_fds(3) takes.
std::optional<int> announced_count(const HopRecord& record);

/// Whether at least one of the sockets that were to arrive did, at its number.
bool has_sockets(const Evidence& evidence, const HopRecord& record);

/// Whether LISTEN_PID is its own.
bool names_itself(const HopRecord& record);

/// Whether its --preserve-fds counts the sockets too: as conmon and the OCI runtimes read it, and whoever
/// else is told of no sockets in another way.
bool counts_sockets(const HopRecord& record);

/// Whether the hop was told of all that it has by --preserve-fds, as conmon and the OCI runtimes are: then it
/// need not heed LISTEN_*.
bool told_by_count(const Evidence& evidence, Hop hop, const HopRecord& record);

/// How many descriptors a hop is told of, where its command line alone tells it and forgets sockets; nothing
/// where it is told otherwise, or of all.
std::optional<int> told_too_few(const Evidence& evidence, Hop hop);

const FdRow* row_at(const FdTable& table, int number);

/// What a hop has at a number, or is about to pass on there: of a departure, what is not close-on-exec.
const FdRow* crossing_row(const HopRecord& record, int number);

/// Whether it is of a kind that two processes talk over, and no client can reach.
bool is_pipe(const FdRow& row);

/// Whether a row is that socket: at whatever number, or, when its identity says little, at its own.
bool is_socket_of(const ContractSocket& socket, const FdRow& row);

/// Whether a hop has this row for the handshake with its neighbour: a pipe or a connected socket at a number
/// that a variable announces to the monitor, or, in the shim, behind everything that goes to the payload.
bool is_handshake(const Evidence& evidence, Hop hop, const HopRecord& record, const FdRow& row);

/// `monitor (arrival)`.
std::string to_string(const Sighting& sighting);

/// `socket web (TCPv6 [::]:8080)`.
std::string describe(const ContractSocket& socket);

/// `DIR /`, and with its number `3 DIR /`.
std::string describe_object(const FdRow& row);
std::string describe(const FdRow& row);

}  // namespace fdchain
