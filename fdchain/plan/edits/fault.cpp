#include "fdchain/plan/edits/fault.h"

#include <algorithm>
#include <array>
#include <climits>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/likeness.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/plan/edits/catalogue.h"

namespace fdchain {
namespace {

constexpr int usage_status = 2;

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw Failure("--fault " + printable(text) + ": " + why, usage_status);
}

std::vector<Fault> collect() {
  std::vector<Fault> faults;
  for (const auto part :
       {faults::environment_faults(), faults::descriptor_faults(), faults::conduct_faults()}) {
    faults.insert(faults.end(), part.begin(), part.end());
  }
  std::ranges::stable_sort(
      faults, [](char left, char right) { return left != '-' && (right == '-' || left < right); },
      &Fault::bug_class);
  return faults;
}

template <typename Range, typename Name>
std::string list(const Range& range, Name name) {
  std::string text;
  for (const auto& entry : range) text.append(text.empty() ? "" : ", ").append(name(entry));
  return text;
}

std::string hop_names(const Hops& hops) {
  return list(hops, [](Hop hop) { return to_string(hop); });
}

std::optional<int> parse_number(std::string_view text) {
  const bool negative = text.starts_with('-');
  const auto number = parse_decimal(negative ? text.substr(1) : text, INT_MAX);
  if (!number) return std::nullopt;
  return negative ? -static_cast<int>(*number) : static_cast<int>(*number);
}

// `FD:TO` takes two numbers, `FD` or `N` one, an empty description none.
std::vector<int> parse_numbers(std::string_view text, const Fault& fault,
                               std::optional<std::string_view> argument) {
  if (fault.argument.empty()) {
    if (argument) refuse(text, std::string(fault.name) + " takes no argument");
    return {};
  }
  const std::string form = "=" + std::string(fault.argument);
  if (!argument) {
    if (fault.standard.empty())
      refuse(text, std::string(fault.name) + " needs an argument: " + std::string(fault.name) + form);
    return fault.standard.to_vector();
  }
  std::vector<int> numbers;
  std::string_view rest = argument.value_or("");  // is set; GCC 12 at -O2 does not see it after refuse()
  while (true) {
    const std::size_t colon = rest.find(':');
    const auto number = parse_number(rest.substr(0, colon));
    if (!number) refuse(text, "the argument is a number: " + std::string(fault.name) + form);
    numbers.push_back(*number);
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  const std::size_t wanted = fault.argument.find(':') == std::string_view::npos ? 1 : 2;
  if (numbers.size() != wanted) refuse(text, "the argument has this form: " + std::string(fault.name) + form);
  return numbers;
}

// There are too many to name them all.
std::string meant(std::string_view unknown) {
  std::vector<std::string_view> names;
  for (const Fault& fault : all_faults()) names.push_back(fault.name);
  const std::string like = list(names_like(unknown, names), [](std::string_view name) { return name; });
  return like.empty() ? "; `launcher faults` lists them"
                      : "; did you mean " + like + "? `launcher faults` lists them all";
}

// What did not happen; empty when it did.
std::string_view missed(Trigger trigger, const RunFacts& facts) {
  switch (trigger) {
    case Trigger::hand_over: break;
    case Trigger::signal: return facts.signal ? "" : "no signal came for the payload";
    case Trigger::failed_start: return facts.ran ? "the payload could be started" : "";
    case Trigger::end: return facts.ran ? "" : "the payload never ran";
    case Trigger::leftovers: return facts.leftovers ? "" : "the payload left no process";
  }
  return "";
}

}  // namespace

std::span<const Fault> all_faults() {
  static const std::vector<Fault> faults = collect();
  return faults;
}

const Fault* find_fault(std::string_view name) {
  const auto faults = all_faults();
  const auto found = std::ranges::find(faults, name, &Fault::name);
  return found == faults.end() ? nullptr : &*found;
}

Hop culprit_of(const FaultRequest& request) {
  const Fault* const fault = find_fault(request.name);
  const bool by_wrapper = fault != nullptr && fault->by_wrapper;
  return by_wrapper ? static_cast<Hop>(static_cast<int>(request.hop) + 1) : request.hop;
}

FaultRequest parse_fault(std::string_view text) {
  const std::size_t colon = text.find(':');
  const auto hop = parse_hop(text.substr(0, colon));
  if (colon == std::string_view::npos || !hop) {
    refuse(text, "not HOP:NAME[=ARG]; HOP is one of activator, launcher, monitor, runtime-shim");
  }
  const std::string_view rest = text.substr(colon + 1);
  const std::size_t equals = rest.find('=');
  const Fault* const fault = find_fault(rest.substr(0, equals));
  if (fault == nullptr) refuse(text, "unknown fault" + meant(rest.substr(0, equals)));
  if (std::ranges::find(fault->hops, *hop) == fault->hops.end()) {
    refuse(text,
           std::string(to_string(*hop)) + " cannot make this mistake; " + hop_names(fault->hops) + " can");
  }
  const auto argument =
      equals == std::string_view::npos ? std::nullopt : std::optional(rest.substr(equals + 1));
  return {*hop, std::string(fault->name), parse_numbers(text, *fault, argument)};
}

std::vector<FaultRequest> parse_faults(std::string_view text) {
  std::vector<FaultRequest> requests;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    requests.push_back(parse_fault(text.substr(0, comma)));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return requests;
}

std::string_view class_meaning(char bug_class) {
  using Meaning = std::pair<char, std::string_view>;
  static constexpr std::array meanings{
      Meaning{'A', "LISTEN_PID or LISTEN_PIDFDID names the wrong process"},
      Meaning{'B', "a descriptor is lost: close-on-exec, or closed"},
      Meaning{'C', "a descriptor leaks: nobody announced it, and it is there"},
      Meaning{'D', "more or fewer are passed than were announced"},
      Meaning{'E', "a descriptor has another number than it should"},
      Meaning{'F', "the number is right, and what is behind it is not"},
      Meaning{'G', "a variable is dropped"},
      Meaning{'H', "a variable is passed on to where it does not belong"},
      Meaning{'I', "LISTEN_FDNAMES does not fit the sockets"},
      Meaning{'J', "0, 1 or 2 is not what it should be"},
      Meaning{'K', "a hop still holds what it should have let go"},
      Meaning{'L', "a hop's failure is not told to its neighbour"},
      Meaning{'M', "O_NONBLOCK is changed for everybody who shares the socket"},
      Meaning{'N', "the socket is of another kind or state than it was"},
      Meaning{'O', "a notification for systemd is lost"},
      Meaning{'P', "RLIMIT_NOFILE does not fit what is passed"},
      Meaning{'Q', "a hop holds more with every event"},
      Meaning{'R', "a child is left behind, or not reaped"},
      Meaning{'-', "none of these"},
      Meaning{'S', "a descriptor is there, and using it is refused"},
  };
  const auto* const found = std::ranges::find(meanings, bug_class, &Meaning::first);
  return found == meanings.end() ? "" : found->second;
}

std::vector<std::string> untriggered(std::span<const FaultRequest> requests, const RunFacts& facts) {
  std::vector<std::string> sentences;
  for (const FaultRequest& request : requests) {
    const std::string_view what = missed(find_fault(request.name)->trigger, facts);
    if (!what.empty()) sentences.push_back(to_string(request) + " had no occasion: " + std::string(what));
  }
  return sentences;
}

std::string to_string(const FaultRequest& request) {
  std::string text(to_string(request.hop));
  text.append(":").append(request.name);
  for (std::size_t i = 0; i < request.numbers.size(); ++i) {
    text.append(i == 0 ? "=" : ":").append(std::to_string(request.numbers[i]));
  }
  return text;
}

std::string to_string(std::span<const FaultRequest> requests) {
  std::string text;
  for (const FaultRequest& request : requests)
    text.append(text.empty() ? "" : ",").append(to_string(request));
  return text;
}

void commit_faults(std::span<const FaultRequest> requests, Hop hop, HopPlan& plan,
                   const HopContext& context) {
  for (const FaultRequest& request : requests) {
    if (request.hop != hop) continue;
    try {
      find_fault(request.name)->edit(plan, request.numbers, context);
    } catch (const Failure& failure) {
      refuse(to_string(request), failure.what());
    }
  }
}

}  // namespace fdchain
