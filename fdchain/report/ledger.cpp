#include "fdchain/report/ledger.h"

#include <algorithm>
#include <array>
#include <set>

#include "fdchain/judge/rules/evidence.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/variables.h"

namespace fdchain {
namespace {

bool is_wrapper(const HopRecord& record) { return record.moment == Moment::exec; }

std::string cell_for(const HopRecord& record, std::string_view name) {
  return variable(record, name).value_or("-");
}

// Builds the rows, and remembers which descriptors have been shown.
class Builder {
 public:
  explicit Builder(const JudgedRun& run) : run_(run), evidence_(run.records, run.contract) {
    ledger_.contract = evidence_.contract();
    const auto not_seen = evidence_.not_seen();
    for (const Hop hop : all_hops) {
      for (const HopRecord* const wrapper : evidence_.of(hop).wrappers) add_column(*wrapper);
      if (const HopRecord* const record = evidence_.of(hop).received()) {
        add_column(*record);
      } else if (std::ranges::find(not_seen, hop) != not_seen.end()) {
        ledger_.headings.emplace_back(to_string(hop));
        shown_columns_.push_back(nullptr);
      }
    }
  }

  Ledger build() && {
    add_process_rows();
    for (const ContractSocket& socket : ledger_.contract.sockets) {
      add_object(socket_name(socket), socket.row);
      if (socket.name != unnamed_socket) ledger_.rows.back().label = socket.name;
    }
    for (const FdRow& row : ledger_.contract.preserved) add_object("preserved " + row.type, row);
    add_handshake();
    add_stdio();
    add_strangers();
    return std::move(ledger_);
  }

 private:
  void add_column(const HopRecord& record) {
    ledger_.columns.push_back(&record);
    ledger_.headings.push_back(heading_of(record));
    shown_columns_.push_back(&record);
  }

  static std::string socket_name(const ContractSocket& socket) {
    const std::string address = socket.row.socket ? socket.row.socket->local : socket.row.name;
    return socket.row.type + (address.empty() ? "" : ' ' + address);
  }

  // Of a hop that is not fdchain's own the name says who it is.
  void add_programs() {
    const bool all_ours = std::ranges::all_of(ledger_.columns, [](const HopRecord* record) {
      return record->hop == Hop::payload || is_wrapper(*record) ||
             program_of(*record) == to_string(record->hop);
    });
    if (!all_ours) add_row("program", [](const HopRecord& record) { return program_of(record); });
  }

  void add_process_rows() {
    add_programs();
    add_row(
        "pid", [](const HopRecord& record) { return std::to_string(record.pid); }, "not seen");
    for (const auto name : {listen_pid_name, listen_fds_name, listen_fdnames_name, watchdog_pid_name})
      add_variable(name);
  }

  void add_variable(std::string_view name) {
    const bool anywhere = std::ranges::any_of(
        ledger_.columns, [&](const HopRecord* record) { return variable(*record, name).has_value(); });
    if (!anywhere) return;
    add_row(std::string(name), [&](const HopRecord& record) { return cell_for(record, name); });
  }

  template <typename Cell>
  void add_row(std::string name, Cell cell, std::string_view of_unseen = "?") {
    LedgerRow row{.name = std::move(name), .cells = {}};
    for (const HopRecord* const column : shown_columns_)
      row.cells.push_back(column == nullptr ? std::string(of_unseen) : cell(*column));
    ledger_.rows.push_back(std::move(row));
  }

  // The numbers at which a hop has the object. The launcher may only be about to open it.
  std::string numbers_of(const HopRecord& record, const FdRow& object) {
    std::string numbers;
    for (const FdRow* const row : evidence_.rows_with(record, object)) {
      if (!is_socket_of({object.number, "", object}, *row)) continue;
      numbers.append(numbers.empty() ? "" : ",").append(std::to_string(row->number));
      shown_.insert({&record, row->number});
    }
    if (numbers.empty()) return record.hop == Hop::launcher ? "opened" : "-";
    return numbers;
  }

  void add_object(std::string name, const FdRow& object) {
    add_row(std::move(name), [&](const HopRecord& record) { return numbers_of(record, object); });
  }

  // The monitor is told of two pipes by variables; the shim has one, of a number that both know.
  void add_handshake() {
    for (const auto& [name, shown] :
         {std::pair{sync_pipe_name, "sync pipe"}, std::pair{start_pipe_name, "start pipe"}}) {
      bool anywhere = false;
      add_row(shown, [&, variable = name](const HopRecord& record) {
        std::string number = handshake_at(record, variable);
        anywhere |= number != "-";
        return number;
      });
      if (!anywhere) ledger_.rows.pop_back();
    }
  }

  std::string handshake_at(const HopRecord& record, std::string_view name) {
    for (const FdRow& row : record.fds) {
      const std::string number = std::to_string(row.number);
      const bool meant =
          record.hop == Hop::monitor ? variable(record, name) == number : name == sync_pipe_name;
      if (!meant || !is_handshake(evidence_, record.hop, record, row)) continue;
      shown_.insert({&record, row.number});
      return number;
    }
    return "-";
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
        strangers.insert({row.number, describe_object(row)});
      }
    }
    for (const auto& [number, what] : strangers) {
      add_row(what, [&, stranger = number, kind = what](const HopRecord& record) {
        const FdRow* const row = row_at(record.fds, stranger);
        const bool there =
            row != nullptr && describe_object(*row) == kind && !shown_.contains({&record, stranger});
        return there ? std::to_string(stranger) : std::string("-");
      });
    }
  }

  // Everybody has all three: a row is for what a finding is about.
  void add_stdio() {
    constexpr std::array names{"stdin", "stdout", "stderr"};
    for (int number = 0; number < listen_fds_start; ++number) {
      const bool told = std::ranges::any_of(run_.diagnosis.findings,
                                            [&](const Finding& finding) { return finding.fd == number; });
      if (!told) continue;
      add_row(names[static_cast<std::size_t>(number)], [&](const HopRecord& record) {
        const FdRow* const row = row_at(record.fds, number);
        return row == nullptr ? std::string("closed") : describe_object(*row);
      });
    }
  }

  const JudgedRun& run_;
  Evidence evidence_;
  Ledger ledger_;
  std::vector<const HopRecord*> shown_columns_;  ///< as many as headings; null for what was not seen
  std::set<std::pair<const HopRecord*, int>> shown_;
};

}  // namespace

std::string heading_of(const HopRecord& column) {
  return is_wrapper(column) ? program_of(column) : std::string(to_string(column.hop));
}

Ledger make_ledger(const JudgedRun& run) { return Builder(run).build(); }

}  // namespace fdchain
