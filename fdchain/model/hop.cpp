#include "fdchain/model/hop.h"

#include <algorithm>

namespace fdchain {
namespace {

template <typename Value, std::size_t Size>
std::optional<Value> find_by_name(const std::array<Value, Size>& values, std::string_view name) {
  const auto* const found = std::ranges::find(values, name, [](Value value) { return to_string(value); });
  return found == values.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

std::string_view to_string(Hop hop) {
  switch (hop) {
    case Hop::activator: return "activator";
    case Hop::launcher: return "launcher";
    case Hop::monitor: return "monitor";
    case Hop::runtime_shim: return "runtime-shim";
    case Hop::payload: return "payload";
  }
  return "?";
}

std::string_view to_string(Moment moment) {
  switch (moment) {
    case Moment::exec: return "exec";
    case Moment::arrival: return "arrival";
    case Moment::departure: return "departure";
    case Moment::after_fork: return "after-fork";
    case Moment::running: return "running";
    case Moment::after_exit: return "after-exit";
    case Moment::payload_exec: return "payload-exec";
    case Moment::payload_end: return "payload-end";
  }
  return "?";
}

std::optional<Hop> parse_hop(std::string_view name) {
  if (name == to_string(Hop::activator)) return Hop::activator;
  return find_by_name(all_hops, name);
}

std::optional<Moment> parse_moment(std::string_view name) { return find_by_name(all_moments, name); }

}  // namespace fdchain
