#include "fdchain/system/fs/accounts.h"

#include <fstream>
#include <functional>
#include <vector>

#include "fdchain/model/number.h"

namespace fdchain {
namespace {

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields{""};
  for (const char character : line) {
    if (character == ':')
      fields.emplace_back();
    else
      fields.back() += character;
  }
  return fields;
}

// The fields of the first line that is the wanted one.
std::optional<std::vector<std::string>> find_line(
    const char* path, std::size_t fields,
    const std::function<bool(const std::vector<std::string>&)>& wanted) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    auto found = fields_of(line);
    if (found.size() >= fields && parse_decimal(found[2], largest_id) && wanted(found)) return found;
  }
  return std::nullopt;
}

std::optional<User> user_where(const std::function<bool(const std::vector<std::string>&)>& wanted) {
  const auto found = find_line("/etc/passwd", 7, [&](const auto& fields) {
    return parse_decimal(fields[3], largest_id).has_value() && wanted(fields);
  });
  if (!found) return std::nullopt;
  const auto& fields = *found;
  return User{fields[0], static_cast<uid_t>(*parse_decimal(fields[2], largest_id)),
              static_cast<gid_t>(*parse_decimal(fields[3], largest_id)), fields[5], fields[6]};
}

}  // namespace

std::optional<User> find_user(const std::string& name) {
  return user_where([&](const auto& fields) { return fields[0] == name; });
}

std::optional<User> find_user(uid_t uid) {
  return user_where([&](const auto& fields) { return *parse_decimal(fields[2], largest_id) == uid; });
}

std::optional<gid_t> find_group(const std::string& name) {
  const auto found = find_line("/etc/group", 3, [&](const auto& fields) { return fields[0] == name; });
  return found ? std::optional(static_cast<gid_t>(*parse_decimal((*found)[2], largest_id))) : std::nullopt;
}

std::optional<std::string> find_group(gid_t gid) {
  const auto found = find_line(
      "/etc/group", 3, [&](const auto& fields) { return *parse_decimal(fields[2], largest_id) == gid; });
  return found ? std::optional((*found)[0]) : std::nullopt;
}

}  // namespace fdchain
