#include "fdchain/protocol/mountinfo.h"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

namespace fdchain {
namespace {

bool is_octal(char c) { return c >= '0' && c <= '7'; }

// The kernel writes space, tab, newline and backslash as \040, \011, \012 and \134.
std::string unescape(const std::string& field) {
  std::string text;
  for (std::size_t at = 0; at < field.size(); ++at) {
    const bool escape = field[at] == '\\' && at + 3 < field.size() && is_octal(field[at + 1]) &&
                        is_octal(field[at + 2]) && is_octal(field[at + 3]);
    if (!escape) {
      text += field[at];
      continue;
    }
    text += static_cast<char>((field[at + 1] - '0') * 64 + (field[at + 2] - '0') * 8 + field[at + 3] - '0');
    at += 3;
  }
  return text;
}

// `66 49 254:0 /x / rw,relatime shared:1 - ext4 /dev/vda rw`: how many fields stand before the hyphen varies.
std::optional<MountInfo> parse_line(const std::string& line) {
  std::istringstream fields(line);
  MountInfo mount;
  std::string device;
  std::string word;
  if (!(fields >> mount.id >> mount.parent >> device >> mount.root >> mount.point)) return std::nullopt;
  while (fields >> word && word != "-") {
  }
  if (!(fields >> mount.type)) return std::nullopt;
  mount.root = unescape(mount.root);
  mount.point = unescape(mount.point);
  return mount;
}

}  // namespace

std::vector<MountInfo> parse_mountinfo(std::string_view text) {
  std::vector<MountInfo> mounts;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (auto mount = parse_line(line)) mounts.push_back(std::move(*mount));
  }
  return mounts;
}

std::vector<int> mounts_below(int mount, const std::vector<MountInfo>& mounts) {
  std::map<int, int> parents;
  for (const MountInfo& each : mounts) parents[each.id] = each.parent;
  std::vector<int> way{mount};
  // An initramfs is its own parent.
  while (parents.contains(way.back()) && parents.at(way.back()) != way.back())
    way.push_back(parents.at(way.back()));
  return way;
}

std::vector<MountInfo> mounts_outside(int top, std::vector<MountInfo> mounts) {
  const std::vector<MountInfo> all = mounts;
  std::erase_if(mounts, [&](const MountInfo& mount) {
    const std::vector<int> way = mounts_below(mount.id, all);
    return std::ranges::find(way, top) != way.end();
  });
  return mounts;
}

}  // namespace fdchain
