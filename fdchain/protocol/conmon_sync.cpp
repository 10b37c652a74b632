#include "fdchain/protocol/conmon_sync.h"

#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>
#include <limits>
#include <utility>

namespace fdchain {
namespace {

using Key = ConmonMessage::Key;

constexpr std::array keys{std::pair{Key::data, std::string_view("data")},
                          std::pair{Key::pid, std::string_view("pid")},
                          std::pair{Key::exit_code, std::string_view("exit_code")}};

std::string_view name_of(Key key) {
  for (const auto& [candidate, name] : keys) {
    if (candidate == key) return name;
  }
  return keys.front().second;
}

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// How many bytes at the start of `text` are one character of UTF-8; 0 when they are none.
std::size_t character_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xc2 && first < 0xe0   ? 2
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xf0 && first < 0xf5 ? 4
                                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!continues(text[i])) return 0;
  }
  return length;
}

std::string escape(std::string_view character) {
  const char byte = character.front();
  switch (byte) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\t': return "\\t";
    default: break;
  }
  const auto code = static_cast<unsigned char>(byte);
  if (code < 0x20 || code == 0x7f) return fmt::format("\\u00{:02x}", code);
  return std::string(character);
}

}  // namespace

std::string encode(const ConmonMessage& message) {
  std::string line = fmt::format("{{\"{}\": {}", name_of(message.key), message.data);
  if (message.message) {
    static constexpr std::string_view end = "\"}\n";
    line += ", \"message\": \"";
    std::string_view left = *message.message;
    while (!left.empty()) {
      const std::size_t length = character_length(left);
      const std::string escaped = length == 0 ? "?" : escape(left.substr(0, length));
      if (line.size() + escaped.size() + end.size() > conmon_message_max) break;
      line += escaped;
      left.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return line.append(end);
  }
  return line + "}\n";
}

std::optional<ConmonMessage> decode_conmon_message(std::string_view datagram) {
  namespace json = boost::json;
  json::error_code error;
  const json::value value = json::parse(datagram, error);
  if (error || !value.is_object()) return std::nullopt;
  const json::object& object = value.get_object();
  for (const auto& [key, name] : keys) {
    const json::value* const data = object.if_contains(name);
    if (data == nullptr || !data->is_int64()) continue;
    const std::int64_t number = data->get_int64();
    if (number < std::numeric_limits<int>::min() || number > std::numeric_limits<int>::max())
      return std::nullopt;
    ConmonMessage message{static_cast<int>(number), std::nullopt, key};
    const json::value* const text = object.if_contains("message");
    if (text != nullptr && text->is_string()) message.message = text->get_string();
    return message;
  }
  return std::nullopt;
}

}  // namespace fdchain
