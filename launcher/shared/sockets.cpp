#include "launcher/shared/sockets.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/program/log.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/observe.h"

namespace fdchain {
namespace {

namespace json = boost::json;

/// What a caretaker is told of names.
constexpr std::string_view told_path = "path=";
constexpr std::string_view told_queue = "queue=";

/// lsfd's names of types, and those of --listen.
constexpr std::array kinds{
    std::pair{std::string_view("TCP"), std::string_view("tcp")},
    std::pair{std::string_view("TCPv6"), std::string_view("tcp")},
    std::pair{std::string_view("UDP"), std::string_view("udp")},
    std::pair{std::string_view("UDPv6"), std::string_view("udp")},
    std::pair{std::string_view("UNIX-STREAM"), std::string_view("unix")},
    std::pair{std::string_view("UNIX-DGRAM"), std::string_view("unix-dgram")},
    std::pair{std::string_view("UNIX-SEQPACKET"), std::string_view("unix-seqpacket")},
    std::pair{std::string_view("FIFO"), std::string_view("fifo")},
    std::pair{std::string_view("NETLINK"), std::string_view("netlink")},
    std::pair{std::string_view("CHR"), std::string_view("special")},
};

void set_port(json::object& socket, const std::string& kind, const std::string& address) {
  if (kind != "tcp" && kind != "udp") return;
  const auto port = parse_decimal(address.substr(address.find_last_of(":]") + 1), 65535);
  if (port) socket["port"] = *port;
}

// What an activator has opened, as far as the descriptor itself tells.
json::object describe_inherited(int fd) {
  json::object socket;
  const auto row = observe_fd(fd);
  if (!row) return socket;
  const auto* const known = std::ranges::find(kinds, row->type, [](const auto& kind) { return kind.first; });
  const std::string kind(known == kinds.end() ? row->type : std::string(known->second));
  socket["kind"] = kind;
  if (!row->socket || row->socket->local.empty()) return socket;
  socket["address"] = kind + ':' + row->socket->local;
  set_port(socket, kind, row->socket->local);
  return socket;
}

json::object describe_opened(const ListenSpec& spec, const OwnedFd& fd) {
  const ListenSpec bound = as_bound(spec, fd);
  const std::string address = kind_and_address(bound);
  json::object socket;
  socket["kind"] = address.substr(0, address.find(':'));
  socket["address"] = address;
  if (const auto* const inet = std::get_if<InetAddress>(&bound.address)) socket["port"] = inet->port;
  if (const auto* const vsock = std::get_if<VsockAddress>(&bound.address)) socket["port"] = vsock->port;
  return socket;
}

// A number that is open and not one that goes to the payload.
int report_descriptor(const RunOptions& options, const Sockets& sockets) {
  const auto fail_with = [&](std::string_view why) {
    throw Failure("--listen-report " + printable(options.listen_report) + ": " + std::string(why));
  };
  const auto number = parse_decimal(options.listen_report.substr(3), 1'000'000);
  if (!number || *number == 0) fail_with("not fd:NUMBER");
  const int fd = static_cast<int>(*number);
  if (fd >= listen_fds_start && fd < sockets.inherited.end() + options.preserve_fds)
    fail_with("that descriptor is for the payload");
  if (::fcntl(fd, F_GETFD) < 0) fail_with("that descriptor is not open");
  return fd;
}

void write_report(const RunOptions& options, const Sockets& sockets) {
  const std::string& target = options.listen_report;
  if (target.empty()) return;
  if (!target.starts_with("fd:")) {
    write_file_atomically(target, describe_sockets(options, sockets), "--listen-report");
    return;
  }
  const int fd = report_descriptor(options, sockets);
  write_all_patiently(fd, describe_sockets(options, sockets), "--listen-report " + target);
  if (fd > STDERR_FILENO) ::close(fd);  // whoever reads it sees that this was all
}

}  // namespace

void open_sockets(const RunOptions& options, Sockets& sockets, const Caretaker* caretaker) {
  for (const ListenSpec& spec : options.listen) {
    sockets.opened.push_back(open_listening(spec));
    for (const MadeName& made : sockets.opened.back().made) {
      const bool is_path = made.kind() == MadeName::Kind::path;
      if (caretaker != nullptr)
        caretaker->tell(std::string(is_path ? told_path : told_queue) + made.to_words());
    }
    for (const std::string& remark : sockets.opened.back().remarks)
      log::warn("{}: {}", who_asks(spec), printable(remark));
  }
  write_report(options, sockets);
  // systemd leaves them too: somebody else may count on them by then.
  for (Opened& opened : sockets.opened) opened.directories.keep();
}

bool makes_names(const RunOptions& options) {
  return std::ranges::any_of(options.listen,
                             [](const ListenSpec& spec) { return !names_made_for(spec).empty(); });
}

void remove_names(const Caretaker::Notes& notes) {
  for (const std::string_view text : notes) {
    if (text.starts_with(told_path))
      MadeName::known(MadeName::Kind::path, text.substr(told_path.size())).remove();
    else if (text.starts_with(told_queue))
      MadeName::known(MadeName::Kind::message_queue, text.substr(told_queue.size())).remove();
  }
}

std::string describe_sockets(const RunOptions& options, const Sockets& sockets) {
  const bool accepts = std::ranges::any_of(options.listen, &ListenSpec::accept);
  const auto names = all_fdnames(options, sockets.inherited);
  const std::vector<std::string> each = names ? split_fdnames(*names) : std::vector<std::string>();
  json::array list;
  const auto add = [&](const json::object& what) {
    const std::size_t index = list.size();
    json::object socket{{"name", nullptr}, {"fd", nullptr}};
    if (index < each.size()) socket["name"] = each[index];
    if (!accepts) socket["fd"] = listen_fds_start + static_cast<int>(index);
    for (const auto& entry : what) socket.insert(entry);
    list.push_back(std::move(socket));
  };
  for (int fd = listen_fds_start; fd < sockets.inherited.end(); ++fd) add(describe_inherited(fd));
  for (std::size_t i = 0; i < sockets.opened.size(); ++i)
    add(describe_opened(options.listen[i], sockets.opened[i].fd));
  return json::serialize(json::object{{"sockets", std::move(list)}}) + '\n';
}

}  // namespace fdchain
