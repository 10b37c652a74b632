#include "fdchain/program/checkpoint.h"

#include <unistd.h>

#include <csignal>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/guard.h"
#include "fdchain/system/fd/poll_until.h"

namespace fdchain {
namespace {

constexpr std::string_view stop_name = "FDCHAIN_STOP";
constexpr std::string_view delay_name = "FDCHAIN_DELAY";
constexpr int longest_delay = 600'000;

struct Request {
  bool stop = false;
  int delay = 0;  // milliseconds
};

[[noreturn]] void refuse(std::string_view variable, std::string_view value) {
  throw Failure(std::string(variable) + '=' + printable(value) +
                (variable == stop_name ? ": not HOP:MOMENT" : ": not HOP:MOMENT=MILLISECONDS"));
}

// The shim has only a way to its exec, the payload only a life of its own.
bool is_reached(Hop hop, Moment moment) {
  if (moment == Moment::exec || moment == Moment::payload_exec || moment == Moment::payload_end) return false;
  switch (hop) {
    case Hop::launcher:
    case Hop::monitor: return true;
    case Hop::runtime_shim: return moment == Moment::arrival || moment == Moment::departure;
    case Hop::payload: return moment == Moment::arrival || moment == Moment::running;
    case Hop::activator: break;
  }
  return false;
}

// Whether `place` is this HOP:MOMENT; both words have to exist.
bool matches(std::string_view place, Hop hop, Moment moment, std::string_view variable,
             std::string_view value) {
  const std::size_t colon = place.find(':');
  if (colon == std::string_view::npos) refuse(variable, value);
  const auto named_hop = parse_hop(place.substr(0, colon));
  const auto named_moment = parse_moment(place.substr(colon + 1));
  if (!named_hop || !named_moment) refuse(variable, value);
  if (!is_reached(*named_hop, *named_moment)) {
    throw Failure(std::string(variable) + '=' + printable(value) + ": " + std::string(to_string(*named_hop)) +
                  " has no moment " + std::string(to_string(*named_moment)));
  }
  return *named_hop == hop && *named_moment == moment;
}

template <typename Handle>
void for_each_entry(std::string_view list, Handle handle) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    handle(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
}

Request request_for(const Environment& environment, Hop hop, Moment moment) {
  Request request;
  if (const auto stops = environment.get(stop_name)) {
    for_each_entry(*stops, [&](std::string_view entry) {
      request.stop |= matches(entry, hop, moment, stop_name, *stops);
    });
  }
  if (const auto delays = environment.get(delay_name)) {
    for_each_entry(*delays, [&](std::string_view entry) {
      const std::size_t equals = entry.find('=');
      if (equals == std::string_view::npos) refuse(delay_name, *delays);
      const auto delay = parse_decimal(entry.substr(equals + 1), longest_delay);
      if (!delay) refuse(delay_name, *delays);
      if (matches(entry.substr(0, equals), hop, moment, delay_name, *delays))
        request.delay = static_cast<int>(*delay);
    });
  }
  return request;
}

}  // namespace

void checkpoint(const Environment& environment, Hop hop, Moment moment) {
  const Request request = request_for(environment, hop, moment);
  if (request.delay > 0) poll_until({}, after(std::chrono::milliseconds(request.delay)));
  if (!request.stop) return;
  print_error(hop, "stopped at " + std::string(to_string(moment)) + " (FDCHAIN_STOP), pid " +
                       std::to_string(::getpid()));
  ::raise(SIGSTOP);
}

void add_departure_checkpoint(const Environment& environment, HandOver& next) {
  const Request request = request_for(environment, next.from, Moment::departure);
  next.stop_at_departure = request.stop;
  next.delay_at_departure = request.delay;
}

}  // namespace fdchain
