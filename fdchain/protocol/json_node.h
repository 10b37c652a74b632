// JSON that was written by somebody else, read with the way to each value at hand.
#pragma once

#include <boost/json.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "fdchain/model/printable.h"

namespace fdchain {

/// What a value has to be.
enum class JsonWant { present, object, array, text, flag, whole_number, in_range };

/// A value that knows the way to it, `fds[2].inode`, so that whoever wrote it can find what is wrong.
///
/// `Refusal` is how a format says so:
///
///     static constexpr bool null_is_absent;         // a property that is null is one that is not there
///     static constexpr std::string_view after_root; // between the name of the whole and the first property
///     static std::string_view words(JsonWant);      // "not an array"
///     [[noreturn]] static void refuse(const std::string& where, std::string_view why);
///
/// Keeps a pointer to the node it came from, which has to outlive it, and to that node's value.
template <typename Refusal>
class JsonNode {
 public:
  /// The whole. `root` is its name, a file's, and may be empty.
  explicit JsonNode(const boost::json::value& value, std::string_view root = {})
      : value_(value), key_(root) {}

  /// A property that has to be there.
  [[nodiscard]] JsonNode at(std::string_view key) const {
    const auto found = find(key);
    if (!found) Refusal::refuse(beside(key), Refusal::words(JsonWant::present));
    return *found;
  }

  /// One that need not be.
  [[nodiscard]] std::optional<JsonNode> find(std::string_view key) const {
    const boost::json::value* const found = object().if_contains(key);
    if (found == nullptr || (Refusal::null_is_absent && found->is_null())) return std::nullopt;
    return JsonNode(*found, *this, key);
  }

  [[nodiscard]] std::string text() const {
    if (!value_.is_string()) refuse(JsonWant::text);
    return std::string(value_.get_string());
  }

  [[nodiscard]] bool flag() const {
    if (!value_.is_bool()) refuse(JsonWant::flag);
    return value_.get_bool();
  }

  /// A whole number from `least` to `most`; some writers give 1e3 or 18.0.
  template <typename Integer>
  [[nodiscard]] Integer number(Integer least = std::numeric_limits<Integer>::min(),
                               Integer most = std::numeric_limits<Integer>::max()) const {
    if (value_.is_uint64()) return in_range(value_.get_uint64(), least, most);
    if (value_.is_int64()) return in_range(value_.get_int64(), least, most);
    if (value_.is_double() && std::trunc(value_.get_double()) == value_.get_double() &&
        std::abs(value_.get_double()) < 9e15)
      return in_range(static_cast<std::int64_t>(value_.get_double()), least, most);
    refuse(JsonWant::whole_number);
  }

  /// What a word of a closed set means, by `parse`.
  template <typename Value>
  [[nodiscard]] Value one_of(std::optional<Value> (*parse)(std::string_view),
                             std::string_view why_not) const {
    const auto value = parse(text());
    if (!value) refuse(why_not);
    return *value;
  }

  template <typename Take>
  void each_element(Take take) const {
    const boost::json::array* const array = value_.if_array();
    if (array == nullptr) refuse(JsonWant::array);
    for (std::size_t i = 0; i < array->size(); ++i) take(JsonNode((*array)[i], *this, {}, i));
  }

  template <typename Take>
  void each_member(Take take) const {
    for (const auto& [key, value] : object()) take(std::string(key), JsonNode(value, *this, key));
  }

  [[nodiscard]] bool is_object() const { return value_.is_object(); }

  /// Null, or nothing in it.
  [[nodiscard]] bool is_empty() const {
    return value_.is_null() || (value_.is_array() && value_.get_array().empty()) ||
           (value_.is_object() && value_.get_object().empty());
  }

  [[noreturn]] void refuse(std::string_view why) const { Refusal::refuse(path(), why); }

 private:
  JsonNode(const boost::json::value& value, const JsonNode& parent, std::string_view key,
           std::size_t index = 0)
      : value_(value), parent_(&parent), key_(key), index_(index) {}

  [[nodiscard]] const boost::json::object& object() const {
    if (!value_.is_object()) refuse(JsonWant::object);
    return value_.get_object();
  }

  template <typename Integer, typename From>
  [[nodiscard]] Integer in_range(From value, Integer least, Integer most) const {
    if (std::cmp_less(value, least) || std::cmp_greater(value, most)) refuse(JsonWant::in_range);
    return static_cast<Integer>(value);
  }

  [[noreturn]] void refuse(JsonWant want) const { refuse(Refusal::words(want)); }

  [[nodiscard]] std::string path() const {
    if (parent_ == nullptr) return std::string(key_);
    if (key_.data() == nullptr) return parent_->path() + '[' + std::to_string(index_) + ']';
    return parent_->beside(key_);
  }

  [[nodiscard]] std::string beside(std::string_view key) const {
    return path().append(parent_ == nullptr ? Refusal::after_root : ".").append(printable(key));
  }

  const boost::json::value& value_;
  const JsonNode* parent_ = nullptr;
  std::string_view key_;  // null data in an array; the name of the whole
  std::size_t index_ = 0;
};

}  // namespace fdchain
