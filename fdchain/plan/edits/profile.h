// What real versions of the hops do with what they are given: each profile is an edit of one hop's plan, as a
// fault is.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/hop.h"
#include "fdchain/plan/edits/fault.h"

namespace fdchain {

/// What a hop is told of the descriptors it was started with.
struct Announcement {
  Environment environment;
  bool announced = false;  ///< LISTEN_* announce `count` sockets to this very process, and they are open
  int count = 0;
  int preserve_fds = 0;  ///< of its command line
};

/// What it makes of that.
struct FdRange {
  int sockets = 0;    ///< from 3 on, kept for the next program and held until the payload has ended
  int preserved = 0;  ///< after them, kept for the next program alone

  friend bool operator==(const FdRange&, const FdRange&) = default;
};

/// What one hop of a real version does.
///
/// As with a fault, the code that executes plans does not know of it: `keep` says what is taken for the next
/// program, `edit` changes the plan to hand it over.
struct Profile {
  std::string_view name;
  Hop hop;
  std::string_view summary;
  /// Throws Failure where the real program gives up.
  FdRange (*keep)(const Announcement& announcement);
  void (*edit)(HopPlan& plan, const HopContext& context);
};

/// A name that --profile takes for the whole chain, and the profile of each hop: empty for the ideal one.
struct ChainProfile {
  std::string_view name;
  std::string_view launcher;
  std::string_view monitor;
  std::string_view runtime_shim;
  std::string_view summary;
};

inline constexpr std::string_view ideal_profile = "ideal";

std::span<const Profile> all_profiles();
std::span<const ChainProfile> chain_profiles();

/// Which hop has which profile.
class ProfileChoice {
 public:
  /// Reads one --profile value, `NAME` or `HOP=NAME`, over what was chosen before. Throws Failure with status
  /// 2, listing what exists.
  void choose(std::string_view text);

  /// Whether every hop is ideal.
  [[nodiscard]] bool is_ideal() const;

  /// The hop's profile; null for the ideal one.
  [[nodiscard]] const Profile* of(Hop hop) const;

  friend bool operator==(const ProfileChoice&, const ProfileChoice&) = default;

 private:
  std::array<std::string, 3> names_;  // of launcher, monitor and runtime-shim; empty for the ideal one
};

/// The text that parse_profiles() reads: `launcher=podman-4.8,monitor=conmon`.
std::string to_string(const ProfileChoice& choice);

/// Reads FDCHAIN_PROFILE: --profile values with commas between them.
ProfileChoice parse_profiles(std::string_view text);

}  // namespace fdchain
