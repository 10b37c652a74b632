#include "tests/judge/run_builder.h"

#include <sys/socket.h>

#include <algorithm>
#include <stdexcept>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/variables.h"

namespace fdchain::test {
namespace {

FdRow plain_row(int number, const std::string& type, ino_t inode, const std::string& name) {
  FdRow row;
  row.number = number;
  row.type = type;
  row.mode = "rw";
  row.device = 8;
  row.inode = inode;
  row.name = name;
  return row;
}

FdRow pipe_row(int number, ino_t inode, bool close_on_exec) {
  FdRow row = plain_row(number, "UNIX-SEQPACKET", inode, "state=connected");
  row.close_on_exec = close_on_exec;
  row.socket = SocketRow{AF_UNIX, SOCK_SEQPACKET, false, inode, "", ""};
  return row;
}

FdRow preserved_row(int number, int index) {
  return plain_row(number, "REG", 500 + static_cast<ino_t>(index), "/data/" + std::to_string(index));
}

constexpr ino_t sync_inode = 700;
constexpr ino_t start_inode = 701;
constexpr ino_t shim_sync_inode = 702;

// Where a hand-over is in the order of travel; 0 for what is no hand-over.
int order(const HopRecord& record) {
  const int hop = static_cast<int>(record.hop) * 3;
  switch (record.moment) {
    case Moment::arrival: return hop;
    case Moment::departure: return hop + 1;
    case Moment::running: return record.seen_by == record.hop ? 0 : hop + 1;
    case Moment::exec:
    case Moment::after_fork:
    case Moment::after_exit:
    case Moment::payload_exec:
    case Moment::payload_end: return 0;
  }
  return 0;
}

std::string names_of(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("s" + std::to_string(i));
  return join_fdnames(names);
}

// Whom a record is about: a departure is measured in the process that the next hop will be.
Hop process_of(Hop hop, Moment moment) {
  return moment == Moment::departure ? static_cast<Hop>(static_cast<int>(hop) + 1) : hop;
}

void set_process(HopRecord& record, Hop hop, const RunShape& shape) {
  record.ppid = hop == Hop::launcher || hop == Hop::monitor ? 1 : monitor_pid;
  record.pid = hop == Hop::launcher ? launcher_pid : hop == Hop::monitor ? monitor_pid : payload_pid;
  record.sid = hop == Hop::launcher ? launcher_pid : monitor_pid;
  record.pid_in_namespace = record.pid;
  record.exe = "/usr/bin/" + std::string(to_string(hop));
  if (shape.notify) record.environment[std::string(notify_socket_name)] = "/run/notify";
  const bool told = shape.sockets > 0 && (hop != Hop::launcher || shape.inherited);
  if (told) {
    record.environment["LISTEN_FDS"] = std::to_string(shape.sockets);
    record.environment["LISTEN_PID"] = std::to_string(record.pid);
    record.environment["LISTEN_PIDFDID"] = std::to_string(record.pid + 10'000);
    if (shape.named) record.environment["LISTEN_FDNAMES"] = names_of(shape.sockets);
  }
  if (hop != Hop::monitor) return;
  const int pipes = listen_fds_start + shape.sockets + shape.preserved;
  record.environment[std::string(sync_pipe_name)] = std::to_string(pipes);
  record.environment[std::string(start_pipe_name)] = std::to_string(pipes + 1);
}

void add_handshake(HopRecord& record, Hop hop, bool departing, int number) {
  if (hop == Hop::monitor) {
    record.fds.push_back(pipe_row(number, sync_inode, false));
    record.fds.push_back(pipe_row(number + 1, start_inode, false));
  }
  if (hop == Hop::runtime_shim) record.fds.push_back(pipe_row(number, shim_sync_inode, false));
  // The shim's pipe ends with its exec; until then it is there.
  if (hop == Hop::payload && departing) record.fds.push_back(pipe_row(number, shim_sync_inode, true));
}

void set_descriptors(HopRecord& record, Hop hop, bool departing, const RunShape& shape) {
  for (int number = 0; number < listen_fds_start; ++number)
    record.fds.push_back(plain_row(number, "CHR", 3, "/dev/null"));
  const bool has_sockets = hop != Hop::launcher || shape.inherited;
  if (has_sockets) {
    for (int i = 0; i < shape.sockets; ++i) record.fds.push_back(socket_row(listen_fds_start + i, i));
  }
  const int first_preserved = listen_fds_start + (has_sockets ? shape.sockets : 0);
  for (int i = 0; i < shape.preserved; ++i) record.fds.push_back(preserved_row(first_preserved + i, i));
  add_handshake(record, hop, departing, first_preserved + shape.preserved);
  if (!departing) return;
  FdRow own = plain_row(50, "eventfd", 9, "anon_inode:[eventfd]");
  own.close_on_exec = true;
  record.fds.push_back(own);
}

Contract contract_of(const RunShape& shape) {
  Contract contract;
  contract.has_names = shape.named && shape.sockets > 0;
  contract.notify_payload = shape.notify;
  for (int i = 0; i < shape.sockets; ++i) {
    const int number = listen_fds_start + i;
    contract.sockets.push_back(
        {number, shape.named ? "s" + std::to_string(i) : std::string(unnamed_socket), socket_row(number, i)});
  }
  for (int i = 0; i < shape.preserved; ++i)
    contract.preserved.push_back(preserved_row(listen_fds_start + shape.sockets + i, i));
  return contract;
}

}  // namespace

RunBuilder::RunBuilder(const RunShape& shape) {
  for (const Hop hop : {Hop::launcher, Hop::monitor, Hop::runtime_shim}) {
    add(hop, Moment::arrival, shape);
    add(hop, Moment::departure, shape);
  }
  if (!shape.foreign) add(Hop::payload, Moment::arrival, shape);
  add(Hop::payload, Moment::running, shape);
  add(Hop::monitor, Moment::after_exit, shape);
  add(Hop::launcher, Moment::after_exit, shape);
  at(Hop::launcher, Moment::arrival).contract = contract_of(shape);
  at(Hop::payload, Moment::running).seen_by = Hop::monitor;
  HopRecord& monitor = at(Hop::monitor, Moment::after_exit);
  monitor.ended = "exited with status 0";
  monitor.heard = {"{\"data\":0}\n"};
  at(Hop::launcher, Moment::after_exit).heard = {"{\"data\":301}\n", "{\"data\":0}\n"};
}

void RunBuilder::add(Hop hop, Moment moment, const RunShape& shape) {
  HopRecord record;
  record.run = "healthy";
  record.hop = record.seen_by = hop;
  record.moment = moment;
  record.time_ns = records.size();
  record.nofile_soft = record.nofile_hard = 1024;
  const Hop process = process_of(hop, moment);
  set_process(record, process, shape);
  if (moment != Moment::departure && moment != Moment::running)
    record.pidfdid = static_cast<std::uint64_t>(record.pid) + 10'000;
  RunShape held = shape;
  if (moment == Moment::after_exit) held.sockets = held.preserved = 0;
  set_descriptors(record, process, moment == Moment::departure, held);
  records.push_back(std::move(record));
}

HopRecord& RunBuilder::at(Hop hop, Moment moment) {
  for (HopRecord& record : records) {
    if (record.hop == hop && record.moment == moment) return record;
  }
  throw std::out_of_range("no such record");
}

RunBuilder& RunBuilder::from(Hop hop, Moment moment, const std::function<void(HopRecord&)>& edit) {
  const int first = order(at(hop, moment));
  for (HopRecord& record : records) {
    if (order(record) >= first && order(record) > 0) edit(record);
  }
  return *this;
}

RunBuilder& RunBuilder::drop(Hop hop, Moment moment) {
  std::erase_if(records,
                [&](const HopRecord& record) { return record.hop == hop && record.moment == moment; });
  return *this;
}

RunBuilder& RunBuilder::drop(Hop hop) {
  std::erase_if(records, [&](const HopRecord& record) { return record.hop == hop; });
  return *this;
}

std::vector<std::string> RunBuilder::findings() const { return summary(judge(records)); }

FdRow socket_row(int number, int index) {
  const ino_t inode = 1000 + static_cast<ino_t>(index);
  FdRow row = plain_row(number, "TCP", inode, "state=listen laddr=127.0.0.1:80");
  row.socket = SocketRow{AF_INET, SOCK_STREAM, true, inode, "127.0.0.1:80", ""};
  return row;
}

FdRow directory_row(int number) { return plain_row(number, "DIR", 2, "/"); }

FdRow& row_of(HopRecord& record, int number) {
  const auto found = std::ranges::find(record.fds, number, &FdRow::number);
  if (found == record.fds.end()) throw std::out_of_range("no such row");
  return *found;
}

void remove_row(HopRecord& record, int number) {
  std::erase_if(record.fds, [&](const FdRow& row) { return row.number == number; });
}

void put_row(HopRecord& record, const FdRow& row) {
  remove_row(record, row.number);
  record.fds.push_back(row);
  std::ranges::sort(record.fds, {}, &FdRow::number);
}

std::vector<std::string> summary(const Diagnosis& diagnosis) {
  std::vector<std::string> lines;
  for (const Finding& finding : diagnosis.findings) {
    std::string line = finding.id;
    if (finding.fd) line += ' ' + std::to_string(*finding.fd);
    line.append(" by ").append(finding.culprit ? to_string(*finding.culprit) : "?");
    lines.push_back(line.append(" at ").append(to_string(finding.hop)));
  }
  return lines;
}

}  // namespace fdchain::test
