#include "fdchain/report/ledger.h"

#include <algorithm>
#include <set>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/variables.h"

namespace fdchain {
namespace {

const HopRecord* find(std::span<const HopRecord> records, Hop hop, Moment moment) {
  const auto found = std::ranges::find_if(records, [&](const HopRecord& record) {
    return record.hop == hop && record.moment == moment &&
           (moment != Moment::running || record.seen_by != hop);
  });
  return found == records.end() ? nullptr : &*found;
}

std::string variable(const HopRecord& record, std::string_view name) {
  const auto found = record.environment.find(std::string(name));
  return found == record.environment.end() ? "-" : found->second;
}

/// Builds the rows, and remembers which descriptors have been shown.
class Builder {
 public:
  explicit Builder(std::span<const HopRecord> records) : records_(records) {
    for (const Hop hop : all_hops) {
      if (const HopRecord* const record = first_look(records, hop)) ledger_.columns.push_back(record);
    }
  }

  Ledger build() && {
    add_process_rows();
    if (const Contract* const contract = contract_of(records_)) {
      for (const ContractSocket& socket : contract->sockets) add_object(socket_name(socket), socket.row);
      for (const FdRow& row : contract->preserved) add_object("preserved " + row.type, row);
    }
    add_handshake();
    add_strangers();
    return std::move(ledger_);
  }

 private:
  static std::string socket_name(const ContractSocket& socket) {
    const std::string address = socket.row.socket ? socket.row.socket->local : socket.row.name;
    std::string name = socket.row.type + (address.empty() ? "" : ' ' + address);
    if (socket.name != unnamed_socket) name += " (" + socket.name + ')';
    return name;
  }

  void add_process_rows() {
    add_row("pid", [](const HopRecord& record) { return std::to_string(record.pid); });
    for (const auto name : {listen_pid_name, listen_fds_name, listen_fdnames_name}) add_variable(name);
  }

  void add_variable(std::string_view name) {
    const bool anywhere = std::ranges::any_of(
        ledger_.columns, [&](const HopRecord* record) { return variable(*record, name) != "-"; });
    if (!anywhere) return;
    add_row(std::string(name), [&](const HopRecord& record) { return variable(record, name); });
  }

  template <typename Cell>
  void add_row(std::string name, Cell cell) {
    LedgerRow row{std::move(name), {}};
    for (const HopRecord* const column : ledger_.columns) row.cells.push_back(cell(*column));
    ledger_.rows.push_back(std::move(row));
  }

  // The numbers at which a hop has the object, and in brackets one that is about to be lost at exec.
  std::string numbers_of(const HopRecord& record, const FdRow& object) {
    std::string numbers;
    for (const FdRow& row : record.fds) {
      if (!row.same_object(object)) continue;
      numbers.append(numbers.empty() ? "" : ",").append(std::to_string(row.number));
      shown_.insert({&record, row.number});
    }
    return numbers.empty() ? "-" : numbers;
  }

  void add_object(std::string name, const FdRow& object) {
    add_row(std::move(name), [&](const HopRecord& record) { return numbers_of(record, object); });
  }

  void add_handshake() {
    const HopRecord* const monitor = first_look(records_, Hop::monitor);
    if (monitor == nullptr) return;
    for (const auto& [variable_name, shown] :
         {std::pair{sync_pipe_name, "sync pipe"}, std::pair{start_pipe_name, "start pipe"}}) {
      const std::string number = variable(*monitor, variable_name);
      if (number == "-") continue;
      add_row(shown, [&](const HopRecord& record) { return &record == monitor ? number : std::string("-"); });
      for (const FdRow& row : monitor->fds) {
        if (std::to_string(row.number) == number) shown_.insert({monitor, row.number});
      }
    }
  }

  // Whatever crossed an exec and has not been shown: one row a number and kind.
  void add_strangers() {
    std::set<std::pair<int, std::string>> strangers;
    for (const HopRecord* const column : ledger_.columns) {
      if (column->hop == Hop::launcher)
        continue;  // its caller's strays are nobody's business until they cross
      for (const FdRow& row : column->fds) {
        if (row.number < listen_fds_start || shown_.contains({column, row.number})) continue;
        if (column->moment == Moment::running && row.close_on_exec) continue;  // the payload's own
        strangers.insert({row.number, row.type + (row.name.empty() ? "" : ' ' + row.name)});
      }
    }
    for (const auto& [number, what] : strangers) {
      add_row(what, [&, stranger = number, kind = what](const HopRecord& record) {
        const bool there =
            record.hop != Hop::launcher && std::ranges::any_of(record.fds, [&](const FdRow& row) {
              return row.number == stranger && row.type + (row.name.empty() ? "" : ' ' + row.name) == kind &&
                     !shown_.contains({&record, stranger});
            });
        return there ? std::to_string(stranger) : std::string("-");
      });
    }
  }

  std::span<const HopRecord> records_;
  Ledger ledger_;
  std::set<std::pair<const HopRecord*, int>> shown_;
};

}  // namespace

Ledger make_ledger(std::span<const HopRecord> records) { return Builder(records).build(); }

const Contract* contract_of(std::span<const HopRecord> records) {
  for (const HopRecord& record : records) {
    if (record.contract) return &*record.contract;
  }
  return nullptr;
}

const HopRecord* first_look(std::span<const HopRecord> records, Hop hop) {
  const HopRecord* const arrival = find(records, hop, Moment::arrival);
  return arrival != nullptr ? arrival : find(records, hop, Moment::running);
}

const HopRecord* departure_of(std::span<const HopRecord> records, Hop hop) {
  return find(records, hop, Moment::departure);
}

}  // namespace fdchain
