#include "fdchain/protocol/runtime_log.h"

#include <boost/json.hpp>

namespace fdchain {

namespace json = boost::json;

std::optional<std::string> decode_runtime_error(std::string_view line) {
  json::error_code error;
  const json::value value = json::parse(line, error);
  const json::object* const object = error ? nullptr : value.if_object();
  if (object == nullptr) return std::nullopt;
  const json::value* const level = object->if_contains("level");
  const json::value* const words = object->if_contains("msg");
  if (level == nullptr || words == nullptr || !words->is_string()) return std::nullopt;
  if (*level != "error" && *level != "fatal") return std::nullopt;
  return std::string(words->get_string());
}

}  // namespace fdchain
