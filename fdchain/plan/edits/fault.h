// The mistakes that real programs made, each as an edit of a hop's plan.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/hop.h"
#include "fdchain/plan/hop_plan.h"

namespace fdchain {

/// `HOP:NAME[=ARG]`, read and found to exist.
struct FaultRequest {
  Hop hop = Hop::launcher;
  std::string name;
  std::vector<int> numbers;  ///< ARG: none, `FD`, `N` or `FD:FD`

  friend bool operator==(const FaultRequest&, const FaultRequest&) = default;
};

/// What has to happen in a run for a mistake to be made.
enum class Trigger {
  hand_over,     ///< nothing more: it is in what is passed on
  signal,        ///< a signal comes for the payload
  failed_start,  ///< a hop cannot start the next program
  end,           ///< the payload runs and ends
  leftovers,     ///< the payload ends and leaves a process
};

/// What has happened in a run, as its monitor knows it.
struct RunFacts {
  bool ran = false;  ///< the payload, and it has ended
  bool signal = false;
  bool leftovers = false;
};

/// A few values, in memory that needs no code to run before main: every exec of a hop would pay for it.
template <typename Value, std::size_t most>
class Few {
 public:
  constexpr Few(std::initializer_list<Value> values) : size_(values.size()) {
    std::copy(values.begin(), values.end(), values_.begin());
  }
  [[nodiscard]] constexpr const Value* begin() const { return values_.data(); }
  [[nodiscard]] constexpr const Value* end() const { return values_.data() + size_; }
  [[nodiscard]] constexpr std::size_t size() const { return size_; }
  [[nodiscard]] constexpr bool empty() const { return size_ == 0; }
  constexpr const Value& operator[](std::size_t index) const { return values_[index]; }
  [[nodiscard]] std::vector<Value> to_vector() const { return {begin(), end()}; }
  friend constexpr bool operator==(const Few&, const Few&) = default;

 private:
  std::array<Value, most> values_{};
  std::size_t size_;
};

using Hops = Few<Hop, 5>;

/// A mistake some real hop has made.
///
/// The code that executes plans does not know of faults. What it is told to do is wrong, and it does it
/// right.
struct Fault {
  std::string_view name;           ///< as typed after --fault HOP:
  std::string_view argument = {};  ///< what ARG is, for people: empty, `FD`, `FD:TO`, `N`
  Few<int, 2> standard = {};       ///< ARG when none is given; empty when one has to be
  Hops hops;                       ///< who can make it
  char bug_class;                  ///< the letter of its class
  std::string_view bug;            ///< the real bug it replays
  std::string_view finding;        ///< what the judge must find
  std::string_view summary;        ///< one line
  Trigger trigger = Trigger::hand_over;
  bool by_wrapper = false;  ///< it is made by a program in the next hop's place
  /// Makes the mistake. Throws Failure with status 2 when there is nothing to do it to.
  void (*edit)(HopPlan& plan, const std::vector<int>& numbers, const HopContext& context);
};

/// Every fault, in the order of their classes.
std::span<const Fault> all_faults();

/// The fault of this name; nothing when there is none.
const Fault* find_fault(std::string_view name);

/// Where the judge must find it: the hop that makes it, or the next one, where a wrapper stands in its place.
Hop culprit_of(const FaultRequest& request);

/// Reads one --fault value. Throws Failure with status 2, listing what exists.
FaultRequest parse_fault(std::string_view text);

/// Reads FDCHAIN_FAULT: --fault values with commas between them.
std::vector<FaultRequest> parse_faults(std::string_view text);

/// What the faults of a class have in common; empty for a letter that is no class.
std::string_view class_meaning(char bug_class);

/// A sentence for each of these that had no occasion: `monitor:leak-per-signal had no occasion: …`.
std::vector<std::string> untriggered(std::span<const FaultRequest> requests, const RunFacts& facts);

/// The text that parse_fault() reads.
std::string to_string(const FaultRequest& request);

/// The text that parse_faults() reads: FDCHAIN_FAULT.
std::string to_string(std::span<const FaultRequest> requests);

/// Makes `hop`'s mistakes of these in its plan.
void commit_faults(std::span<const FaultRequest> requests, Hop hop, HopPlan& plan, const HopContext& context);

}  // namespace fdchain
