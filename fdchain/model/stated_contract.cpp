#include "fdchain/model/stated_contract.h"

#include <fmt/format.h>

#include <algorithm>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"

namespace fdchain {
namespace {

constexpr std::uint64_t most_contract_fds = 65'536;

// The first value that a hop of the run had for a variable.
std::optional<std::string> first_value(std::span<const HopRecord> run, std::string_view name) {
  for (const HopRecord& record : run) {
    const auto found = record.environment.find(std::string(name));
    if (found != record.environment.end()) return found->second;
  }
  return std::nullopt;
}

// The row of the first hop that has this number; an empty one when none has.
FdRow first_row(std::span<const HopRecord> run, int number) {
  for (const HopRecord& record : run) {
    const auto found = std::ranges::lower_bound(record.fds, number, {}, &FdRow::number);
    if (found != record.fds.end() && found->number == number) return *found;
  }
  return {};
}

}  // namespace

StatedContract parse_stated_contract(const std::string& text) {
  const auto refuse = [&](const std::string& why) {
    throw Failure("--contract " + printable(text) + ": " + why);
  };
  std::optional<std::uint64_t> count;
  StatedContract stated;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    if (part.starts_with("fds=")) {
      count = parse_decimal(part.substr(4), most_contract_fds);
      if (!count) refuse(fmt::format("fds is a number from 0 to {}", most_contract_fds));
    } else if (part.starts_with("names=")) {
      stated.names = split_fdnames(part.substr(6));
    } else {
      refuse("not fds=N[,names=A:B...]");
    }
  }
  if (!count) refuse("not fds=N[,names=A:B...]");
  if (stated.names && stated.names->size() != *count)
    refuse(fmt::format("{} names for {} sockets", stated.names->size(), *count));
  stated.count = static_cast<int>(*count);
  return stated;
}

Contract contract_of(const StatedContract& stated, std::span<const HopRecord> run) {
  Contract contract;
  const auto told = first_value(run, listen_fdnames_name);
  // What stands behind the last socket that was announced is none, whatever the contract says.
  const auto announced = first_value(run, listen_fds_name);
  const int sockets = announced ? parse_int_as_systemd(*announced).value : stated.count;
  contract.has_names = stated.names || told;
  contract.notify_payload = first_value(run, notify_socket_name).has_value();
  std::vector<std::string> names;
  if (contract.has_names) names = stated.names ? *stated.names : split_fdnames(*told);
  names.resize(static_cast<std::size_t>(stated.count), std::string(unnamed_socket));
  for (int i = 0; i < stated.count; ++i) {
    const int fd = listen_fds_start + i;
    contract.sockets.push_back(
        {fd, names[static_cast<std::size_t>(i)], i < sockets ? first_row(run, fd) : FdRow{}});
  }
  return contract;
}

}  // namespace fdchain
