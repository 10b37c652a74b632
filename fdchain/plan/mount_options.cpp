#include "fdchain/plan/mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

struct Flag {
  std::string_view name;
  std::uint64_t attribute;
  bool on;
};

// Each also with an r before it: for everything below, too.
constexpr std::array flags{
    Flag{"ro", MOUNT_ATTR_RDONLY, true},
    Flag{"rw", MOUNT_ATTR_RDONLY, false},
    Flag{"nosuid", MOUNT_ATTR_NOSUID, true},
    Flag{"suid", MOUNT_ATTR_NOSUID, false},
    Flag{"nodev", MOUNT_ATTR_NODEV, true},
    Flag{"dev", MOUNT_ATTR_NODEV, false},
    Flag{"noexec", MOUNT_ATTR_NOEXEC, true},
    Flag{"exec", MOUNT_ATTR_NOEXEC, false},
    Flag{"nodiratime", MOUNT_ATTR_NODIRATIME, true},
    Flag{"diratime", MOUNT_ATTR_NODIRATIME, false},
    Flag{"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, true},
    Flag{"symfollow", MOUNT_ATTR_NOSYMFOLLOW, false},
};

// These are values of one field, not bits.
constexpr std::array times{
    Flag{"relatime", MOUNT_ATTR_RELATIME, true},       Flag{"noatime", MOUNT_ATTR_NOATIME, true},
    Flag{"strictatime", MOUNT_ATTR_STRICTATIME, true}, Flag{"atime", MOUNT_ATTR_RELATIME, true},
    Flag{"norelatime", MOUNT_ATTR_STRICTATIME, true},  Flag{"nostrictatime", MOUNT_ATTR_RELATIME, true},
};

struct Propagation {
  std::string_view name;
  std::uint64_t flag;
};
constexpr std::array propagations{Propagation{"shared", MS_SHARED}, Propagation{"slave", MS_SLAVE},
                                  Propagation{"private", MS_PRIVATE},
                                  Propagation{"unbindable", MS_UNBINDABLE}};

// Said by many, and the state of things anyway.
constexpr std::array without_effect{"defaults", "async", "loud", "silent", "notmpcopyup"};
constexpr std::array not_carried_out{"remount", "idmap", "ridmap"};

template <typename Table>
auto find(const Table& table, std::string_view name) {
  return std::ranges::find_if(table, [&](const auto& entry) { return entry.name == name; });
}

bool set_attribute(MountAttributes& attributes, std::string_view name) {
  if (const auto* const flag = find(flags, name); flag != flags.end()) {
    (flag->on ? attributes.set : attributes.clear) |= flag->attribute;
    (flag->on ? attributes.clear : attributes.set) &= ~flag->attribute;
    return true;
  }
  const auto* const time = find(times, name);
  if (time == times.end()) return false;
  attributes.clear |= MOUNT_ATTR__ATIME;
  attributes.set = (attributes.set & ~std::uint64_t{MOUNT_ATTR__ATIME}) | time->attribute;
  return true;
}

}  // namespace

std::pair<std::uint64_t, bool> parse_propagation(const std::string& word) {
  if (const auto* const found = find(propagations, word); found != propagations.end())
    return {found->flag, false};
  if (!word.starts_with('r')) return {0, false};
  const auto* const found = find(propagations, std::string_view(word).substr(1));
  if (found == propagations.end()) return {0, false};
  return {found->flag, true};
}

MountOptions parse_mount_options(const std::vector<std::string>& options) {
  MountOptions result;
  for (const std::string& option : options) {
    if (std::ranges::find(without_effect, option) != without_effect.end()) continue;
    if (std::ranges::find(not_carried_out, option) != not_carried_out.end())
      throw Failure("mount option " + printable(option) + ": not carried out by this runtime");
    if (option == "bind" || option == "rbind") {
      result.bind = true;
      result.recursive |= option == "rbind";
    } else if (option == "tmpcopyup") {
      result.copy_up = true;
    } else if (const auto [flag, recursive] = parse_propagation(option); flag != 0) {
      result.propagation = flag;
      result.propagation_recursive = recursive;
    } else if (!set_attribute(result.attributes, option) &&
               !(option.starts_with('r') && set_attribute(result.everywhere, option.substr(1)))) {
      const std::size_t equals = option.find('=');
      result.data.emplace_back(option.substr(0, equals),
                               equals == std::string::npos ? "" : option.substr(equals + 1));
    }
  }
  return result;
}

std::vector<std::string> known_mount_options() {
  std::vector<std::string> names{"bind", "rbind", "tmpcopyup"};
  for (const auto* const name : without_effect) names.emplace_back(name);
  const auto with_r = [&](std::string_view name) {
    names.emplace_back(name);
    names.push_back('r' + std::string(name));
  };
  for (const Flag& flag : flags) with_r(flag.name);
  for (const Flag& time : times) with_r(time.name);
  for (const Propagation& propagation : propagations) with_r(propagation.name);
  std::ranges::sort(names);
  return names;
}

}  // namespace fdchain
