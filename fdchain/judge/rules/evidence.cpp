#include "fdchain/judge/rules/evidence.h"

#include <algorithm>
#include <climits>
#include <iterator>
#include <numeric>
#include <utility>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/number.h"
#include "fdchain/model/variables.h"

namespace fdchain {
namespace {

// Whether the hop was told rightly: LISTEN_PID and LISTEN_PIDFDID are its own, the count is the contract's,
// and every announced number is open.
bool told_rightly(const HopRecord& record, std::size_t sockets, bool contract_is_known) {
  const auto pid = variable(record, listen_pid_name);
  const auto count = announced_count(record);
  if (sockets == 0) return !pid && !variable(record, listen_fds_name);
  if (!pid || !count) return false;
  if (!record.replaces_listen_pid &&
      parse_unsigned_as_systemd(*pid).value != static_cast<unsigned long>(record.pid_in_namespace))
    return false;
  if (contract_is_known && static_cast<std::size_t>(*count) != sockets) return false;
  const auto id = variable(record, listen_pidfdid_name);
  if (id && record.pidfdid && parse_unsigned_as_systemd(*id).value != *record.pidfdid) return false;
  for (int number = listen_fds_start; number < listen_fds_start + *count; ++number) {
    if (row_at(record.fds, number) == nullptr) return false;
  }
  return true;
}

}  // namespace

bool names_itself(const HopRecord& record) {
  const auto pid = variable(record, listen_pid_name);
  return pid && parse_unsigned_as_systemd(*pid).value == static_cast<unsigned long>(record.pid_in_namespace);
}

bool has_sockets(const Evidence& evidence, const HopRecord& record) {
  for (const ContractSocket& socket : evidence.contract().sockets) {
    const FdRow* const row = row_at(record.fds, socket.fd);
    if (row != nullptr && row->same_object(socket.row)) return true;
  }
  return false;
}

bool counts_sockets(const HopRecord& record) {
  return record.counts_sockets || !announced_count(record) || !names_itself(record);
}

namespace {

bool counts_all(Hop hop, const HopRecord& record, const Contract& contract) {
  const bool by_command_line = hop == Hop::monitor || hop == Hop::runtime_shim;
  return by_command_line && counts_sockets(record) && !contract.sockets.empty() && record.preserve_fds &&
         static_cast<std::size_t>(*record.preserve_fds) >=
             contract.sockets.size() + contract.preserved.size();
}

using Object = std::pair<dev_t, ino_t>;

Object object_of(const FdRow& row) { return {row.device, row.inode}; }

// The numbers of `entries`, sorted by the objects that `row_of` has of them; of one object the first comes
// first.
template <typename Entries, typename RowOf>
std::vector<std::size_t> sorted_by_object(const Entries& entries, RowOf row_of) {
  std::vector<std::size_t> numbers(entries.size());
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  std::ranges::stable_sort(numbers, {},
                           [&](std::size_t number) { return object_of(row_of(entries[number])); });
  return numbers;
}

// Those of `sorted` that are the object of `row`, when `object` says of each which one it is.
template <typename Entry, typename ObjectOfEntry>
std::span<const Entry> find_all(const std::vector<Entry>& sorted, const FdRow& row, ObjectOfEntry object) {
  const auto first = std::ranges::lower_bound(sorted, object_of(row), {}, object);
  const auto last = std::ranges::upper_bound(first, sorted.end(), object_of(row), {}, object);
  return {sorted.data() + (first - sorted.begin()), static_cast<std::size_t>(last - first)};
}

bool is_announced_handshake(const HopRecord& record, const FdRow& row) {
  if (!is_pipe(row)) return false;
  for (const std::string_view name : {sync_pipe_name, start_pipe_name, attach_pipe_name}) {
    if (variable(record, name) == std::to_string(row.number)) return true;
  }
  return false;
}

}  // namespace

Evidence::Evidence(std::span<const HopRecord> records, const std::optional<Contract>& contract) {
  sort(records);
  make_contract(contract);
  measure_contract();
  index();
  collect_sightings();
}

void Evidence::sort(std::span<const HopRecord> records) {
  for (const HopRecord& record : records) {
    HopEvidence& hop = hops_[static_cast<std::size_t>(record.hop)];
    switch (record.moment) {
      case Moment::exec: hop.wrappers.push_back(&record); break;
      case Moment::arrival: take_arrival(hop, record); break;
      case Moment::departure: hop.departure = &record; break;
      case Moment::running:
        if (record.seen_by == record.hop)
          hop.running.push_back(&record);
        else
          hop.outside = &record;
        break;
      case Moment::after_exit: hop.after_exit = &record; break;
      case Moment::after_fork: break;
      case Moment::payload_exec: hop.later.push_back(&record); break;
      case Moment::payload_end: hop.ends.push_back(&record); break;
    }
  }
}

// A hop's own word tells more than an onlooker's of the same program. A payload that has become another one
// since speaks of what that was given.
void Evidence::take_arrival(HopEvidence& hop, const HopRecord& record) {
  const bool is_better =
      hop.arrival == nullptr ||
      (record.seen_by == record.hop ? record.exe == hop.arrival->exe : record.exe != hop.arrival->exe);
  if (is_better) hop.arrival = &record;
  if (record.seen_by != record.hop) hop.at_exec = &record;
}

void Evidence::make_contract(const std::optional<Contract>& given) {
  if (given) {
    contract_ = *given;
    contract_is_known_ = true;
    return;
  }
  const HopRecord* const launcher = of(Hop::launcher).arrival;
  if (launcher != nullptr && launcher->contract) {
    contract_ = *launcher->contract;
    contract_is_known_ = true;
    return;
  }
  if (launcher_keeps_sockets()) return;
  presume_contract();
  presume_preserved();
}

// Nobody wrote it down: it is what the first hop was told, as far as that is there.
void Evidence::presume_contract() {
  const HopRecord* first = nullptr;
  for (const Hop hop : all_hops) {
    if (first == nullptr) first = given_to(hop);
  }
  if (first == nullptr) return;
  const int count = announced_count(*first).value_or(0);
  const auto names = variable(*first, listen_fdnames_name);
  const auto split = names ? split_fdnames(*names) : std::vector<std::string>{};
  contract_.has_names = names.has_value();
  for (const FdRow& row : first->fds) {
    const int index = row.number - listen_fds_start;
    if (index < 0 || index >= count) continue;
    const bool named = static_cast<std::size_t>(index) < split.size();
    contract_.sockets.push_back(
        {row.number, named ? split[static_cast<std::size_t>(index)] : std::string(unnamed_socket), row});
  }
  // Whether it was to go further the launcher alone was told: a monitor that has it, or forwards for it, says
  // so.
  const HopRecord* const monitor = given_to(Hop::monitor);
  contract_.notify_payload =
      variable(*first, notify_socket_name) &&
      (monitor == nullptr || monitor->relays_notify || variable(*monitor, notify_socket_name));
}

// --preserve-fds puts descriptors right after the sockets, and nobody tells how many: whatever stands there
// from the first hop on is presumed to be meant. What stands there in a launcher need not go on.
void Evidence::presume_preserved() {
  Hop hop = Hop::monitor;
  while (given_to(hop) == nullptr) {
    if (hop == Hop::payload) return;
    hop = static_cast<Hop>(static_cast<int>(hop) + 1);
  }
  const HopRecord& first = *given_to(hop);
  const auto crossing = [&](int number) {
    const FdRow* const row = row_at(first.fds, number);
    return row == nullptr || row->close_on_exec ? nullptr : row;
  };
  measure_contract();
  int number = window_end();
  for (const FdRow* row = crossing(number); row != nullptr; row = crossing(++number)) {
    // The monitor's pipes are announced. The shim's is known by its place alone: it is the last.
    const bool last = crossing(number + 1) == nullptr;
    const bool own = hop == Hop::monitor ? is_announced_handshake(first, *row)
                                         : hop == Hop::runtime_shim && last && row->type == "UNIX-SEQPACKET";
    if (own) break;
    contract_.preserved.push_back(*row);
  }
}

bool Evidence::wrote_the_contract(Hop hop) const {
  const HopRecord* const arrival = of(hop).arrival;
  return arrival != nullptr && arrival->contract.has_value();
}

const HopRecord* Evidence::given_to(Hop hop) const {
  const HopRecord* const received = of(hop).received();
  if (received != nullptr || hop == Hop::launcher) return received;
  return of(static_cast<Hop>(static_cast<int>(hop) - 1)).departure;
}

const HopRecord* Evidence::crossed_into(Hop hop) const {
  const HopRecord* const arrival = of(hop).arrival;
  if (arrival != nullptr || hop == Hop::launcher) return arrival;
  return of(static_cast<Hop>(static_cast<int>(hop) - 1)).departure;
}

void Evidence::measure_contract() {
  window_end_ = listen_fds_start;
  for (const ContractSocket& socket : contract_.sockets) window_end_ = std::max(window_end_, socket.fd + 1);
  payload_end_ = window_end_;
  for (const FdRow& row : contract_.preserved) payload_end_ = std::max(payload_end_, row.number + 1);
}

void Evidence::index() {
  sockets_by_object_ = sorted_by_object(
      contract_.sockets, [](const ContractSocket& socket) -> const FdRow& { return socket.row; });
  preserved_by_object_ =
      sorted_by_object(contract_.preserved, [](const FdRow& row) -> const FdRow& { return row; });
  for (const HopEvidence& hop : hops_) {
    for (const HopRecord* const wrapper : hop.wrappers) indexes_.emplace(wrapper, wrapper->fds);
    for (const auto* const records : {&hop.later, &hop.ends}) {
      for (const HopRecord* const record : *records) indexes_.emplace(record, record->fds);
    }
    for (const HopRecord* const record :
         {hop.arrival, hop.departure, hop.outside, hop.after_exit, hop.at_exec}) {
      if (record != nullptr) indexes_.emplace(record, record->fds);
    }
  }
}

const ContractSocket* Evidence::socket_of(const FdRow& row) const {
  const auto& sockets = contract_.sockets;
  const auto alike =
      find_all(sockets_by_object_, row, [&](std::size_t number) { return object_of(sockets[number].row); });
  const auto found =
      std::ranges::find_if(alike, [&](std::size_t number) { return is_socket_of(sockets[number], row); });
  return found == alike.end() ? nullptr : &sockets[*found];
}

bool Evidence::is_preserved(const FdRow& row) const {
  const auto& preserved = contract_.preserved;
  const auto alike =
      find_all(preserved_by_object_, row, [&](std::size_t number) { return object_of(preserved[number]); });
  return std::ranges::any_of(alike, [&](std::size_t number) {
    return preserved[number].number == row.number && preserved[number].same_object(row);
  });
}

std::vector<const FdRow*> Evidence::rows_with(const HopRecord& record, const FdRow& object) const {
  std::vector<const FdRow*> rows;
  for (const FdRow* const row : indexes_.at(&record).rows_like(object)) {
    if (row->same_object(object)) rows.push_back(row);
  }
  return rows;
}

void Evidence::collect_sightings() {
  for (const Hop hop : all_hops) {
    const HopEvidence& evidence = of(hop);
    for (const HopRecord* const wrapper : evidence.wrappers) sightings_.push_back({hop, true, wrapper});
    // From outside a payload is seen after its exec, when it may have closed something itself: what the shim
    // had just before is the better witness, where there is one.
    const bool outside_only = evidence.arrival == nullptr && evidence.outside != nullptr;
    const bool better_witness = !sightings_.empty() && !sightings_.back().received;
    const HopRecord* const received = evidence.received();
    if (received != nullptr && !(outside_only && better_witness)) sightings_.push_back({hop, true, received});
    if (const HopRecord* const record = given_to(hop)) {
      const bool keeps_them = hop == Hop::launcher && launcher_keeps_sockets();
      if (!keeps_them && !wrote_the_contract(hop) && !counts_all(hop, *record, contract_) &&
          !told_rightly(*record, contract_.sockets.size(), contract_is_known_) && !went_on_regardless(hop))
        misled_ = hop;
    }
    if (misled_) return;
    if (evidence.departure != nullptr) sightings_.push_back({hop, false, evidence.departure});
  }
}

std::vector<Hop> Evidence::not_seen() const {
  const auto is_seen = [&](Hop hop) {
    const HopEvidence& looks = of(hop);
    return looks.received() != nullptr || looks.departure != nullptr || looks.after_exit != nullptr;
  };
  const auto* const first = std::ranges::find_if(all_hops, is_seen);
  std::vector<Hop> hops;
  if (first == all_hops.end()) return {all_hops.begin(), all_hops.end()};
  std::copy_if(first, all_hops.end(), std::back_inserter(hops), [&](Hop hop) { return !is_seen(hop); });
  const HopRecord* const launcher = of(Hop::launcher).received();
  const HopRecord* const runtime = of(Hop::runtime_shim).received();
  const bool is_its_child = launcher != nullptr && runtime != nullptr &&
                            (runtime->ppid == launcher->pid || runtime->pid == launcher->pid);
  if (is_its_child) std::erase(hops, Hop::monitor);
  return hops;
}

// podman passes on what it is told of, whomever LISTEN_PID names; fdchain's launcher does not.
bool Evidence::went_on_regardless(Hop hop) const {
  const HopRecord& told = *given_to(hop);
  const auto count = announced_count(told);
  if (hop != Hop::launcher || program_of(told) == to_string(hop) || !variable(told, listen_pid_name) ||
      !count || static_cast<std::size_t>(*count) != contract_.sockets.size())
    return false;
  const HopRecord* const next =
      given_to(Hop::monitor) != nullptr ? given_to(Hop::monitor) : given_to(Hop::runtime_shim);
  return next != nullptr && has_sockets(*this, *next);
}

Hop Evidence::before(Hop hop) const {
  Hop found = Hop::activator;
  for (const Hop candidate : all_hops) {
    if (candidate >= hop) break;
    const HopEvidence& evidence = of(candidate);
    if (evidence.received() != nullptr || evidence.departure != nullptr) found = candidate;
  }
  return found;
}

// The shim's departure is written before its last steps, not in a child that has nothing to do but exec.
static bool departs_in_place(Hop hop) { return hop == Hop::runtime_shim; }

std::vector<Actor> hops_between(Hop earlier, Hop later) {
  std::vector<Actor> hops;
  for (int hop = static_cast<int>(earlier); hop < static_cast<int>(later); ++hop)
    hops.push_back({static_cast<Hop>(hop)});
  return hops;
}

std::vector<Actor> Evidence::actors_into(Hop hop, const std::function<bool(const HopRecord&)>& sound) const {
  const auto& wrappers = of(hop).wrappers;
  const auto last_sound = std::find_if(wrappers.rbegin(), wrappers.rend(),
                                       [&](const HopRecord* record) { return sound(*record); });
  if (last_sound != wrappers.rend()) return {{hop, *last_sound}};
  const Hop earlier = before(hop);
  const HopRecord* const departure = of(earlier).departure;
  if (departure != nullptr && !departs_in_place(earlier) && sound(*departure)) return {};
  return hops_between(earlier, hop);
}

std::vector<Actor> actors_between(const Sighting& earlier, const Sighting& later) {
  const bool by_itself = !later.received || later.record->moment == Moment::running;
  const Hop end = by_itself ? static_cast<Hop>(static_cast<int>(later.hop) + 1) : later.hop;
  if (earlier.is_of_wrapper()) {
    std::vector<Actor> actors = hops_between(earlier.hop, end);
    actors.insert(actors.begin(), {earlier.hop, earlier.record});
    return actors;
  }
  // What a hop was about to pass on is beyond its reach a moment later; what it received it can still spoil.
  const bool in_reach = earlier.received || departs_in_place(earlier.hop);
  return hops_between(in_reach ? earlier.hop : static_cast<Hop>(static_cast<int>(earlier.hop) + 1), end);
}

std::optional<std::string> variable(const HopRecord& record, std::string_view name) {
  const auto found = record.environment.find(std::string(name));
  return found == record.environment.end() ? std::nullopt : std::optional(found->second);
}

std::optional<int> announced_count(const HopRecord& record) {
  const auto text = variable(record, listen_fds_name);
  if (!text) return std::nullopt;
  const Number<int> count = parse_int_as_systemd(*text);
  const bool taken = count.error == 0 && count.value > 0 && count.value <= INT_MAX - listen_fds_start;
  return taken ? std::optional(count.value) : std::nullopt;
}

bool told_by_count(const Evidence& evidence, Hop hop, const HopRecord& record) {
  return counts_all(hop, record, evidence.contract());
}

std::optional<int> told_too_few(const Evidence& evidence, Hop hop) {
  const HopRecord* const record = evidence.given_to(hop);
  if (record == nullptr || !counts_sockets(*record) || !record->preserve_fds ||
      variable(*record, listen_fds_name))
    return std::nullopt;
  // A count of no more than what follows the sockets never meant them.
  const int count = *record->preserve_fds;
  const bool meant = count > static_cast<int>(evidence.contract().preserved.size());
  const bool all = count >= static_cast<int>(evidence.contract().sockets.size());
  return meant && !all ? std::optional(count) : std::nullopt;
}

bool is_pipe(const FdRow& row) { return row.type == "FIFO" || (row.socket && !row.socket->listening); }

const FdRow* row_at(const FdTable& table, int number) {
  const auto found = std::ranges::lower_bound(table, number, {}, &FdRow::number);
  return found == table.end() || found->number != number ? nullptr : &*found;
}

const FdRow* crossing_row(const HopRecord& record, int number) {
  const FdRow* const row = row_at(record.fds, number);
  return row != nullptr && record.moment == Moment::departure && row->close_on_exec ? nullptr : row;
}

bool is_socket_of(const ContractSocket& socket, const FdRow& row) {
  return socket.row.same_object(row) && (socket.row.is_unique() || row.number == socket.fd);
}

bool is_handshake(const Evidence& evidence, Hop hop, const HopRecord& record, const FdRow& row) {
  if (!is_pipe(row)) return false;
  if (hop == Hop::monitor && is_announced_handshake(record, row)) return true;
  // By its place, where it is announced wrongly or, in the shim, known without an announcement.
  const int pipes = hop == Hop::monitor ? 2 : hop == Hop::runtime_shim ? 1 : 0;
  const int behind = row.number - evidence.payload_end();
  return behind >= 0 && behind < pipes && row.type == "UNIX-SEQPACKET";
}

std::string to_string(const Sighting& sighting) {
  if (sighting.is_of_wrapper()) return "a wrapper in " + std::string(to_string(sighting.hop)) + "'s place";
  const std::string_view moment = !sighting.received                           ? "departure"
                                  : sighting.record->moment == Moment::arrival ? "arrival"
                                                                               : "running";
  return std::string(to_string(sighting.hop)).append(" (").append(moment).append(")");
}

std::string describe(const ContractSocket& socket) {
  const std::string address = socket.row.socket ? socket.row.socket->local : socket.row.name;
  const std::string name = socket.name == unnamed_socket ? "" : socket.name + ' ';
  return "socket " + name + '(' + socket.row.type + (address.empty() ? "" : ' ' + address) + ')';
}

std::string describe_object(const FdRow& row) { return row.type + (row.name.empty() ? "" : ' ' + row.name); }

std::string describe(const FdRow& row) { return std::to_string(row.number) + ' ' + describe_object(row); }

}  // namespace fdchain
