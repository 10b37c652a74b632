#include "fdchain/protocol/sync_pipe.h"

#include <boost/json.hpp>
#include <limits>

namespace fdchain {
namespace {

namespace json = boost::json;

// JSON is UTF-8, error texts are whatever a file name was: bytes that are not ASCII become `?`.
std::string ascii(std::string text) {
  for (char& character : text) {
    if (static_cast<unsigned char>(character) >= 0x80) character = '?';
  }
  return text;
}

std::string serialize(const SyncMessage& message, std::size_t message_max) {
  json::object object;
  object["data"] = message.data;
  if (message.message) object["message"] = ascii(message.message->substr(0, message_max));
  if (message.status) object["status"] = *message.status;
  if (message.signal) object["signal"] = *message.signal;
  if (message.timed_out) object["timed_out"] = true;
  return json::serialize(object) + '\n';
}

// Nothing also when it is no number from `least` to `most`.
std::optional<int> int_at(const json::object& object, std::string_view key, int least, int most) {
  const json::value* const value = object.if_contains(key);
  if (value == nullptr || !value->is_int64()) return std::nullopt;
  const std::int64_t number = value->get_int64();
  if (number < least || number > most) return std::nullopt;
  return static_cast<int>(number);
}

}  // namespace

std::string encode(const SyncMessage& message) {
  std::string line = serialize(message, sync_message_max);
  // Escaping makes a text longer by an amount only the encoder knows, so cut until it fits.
  for (std::size_t room = sync_message_max; line.size() > sync_message_max; room /= 2) {
    line = serialize(message, room / 2);
  }
  return line;
}

std::optional<SyncMessage> decode_sync_message(std::string_view datagram) {
  json::error_code error;
  const json::value value = json::parse(datagram, error);
  if (error || !value.is_object()) return std::nullopt;
  const json::object& object = value.get_object();
  const auto data = int_at(object, "data", std::numeric_limits<int>::min(), std::numeric_limits<int>::max());
  if (!data) return std::nullopt;
  SyncMessage message{*data, std::nullopt, int_at(object, "status", 1, 255), int_at(object, "signal", 1, 64),
                      false};
  if (const json::value* const text = object.if_contains("message"); text != nullptr && text->is_string()) {
    message.message = text->get_string();
  }
  if (const json::value* const flag = object.if_contains("timed_out"); flag != nullptr && flag->is_bool()) {
    message.timed_out = flag->get_bool();
  }
  return message;
}

}  // namespace fdchain
