#include "fdchain/protocol/oci_state.h"

#include <algorithm>
#include <boost/json.hpp>

#include "fdchain/model/failure.h"

namespace fdchain::oci {
namespace {

namespace json = boost::json;

json::object object_of(const std::map<std::string, std::string>& texts) {
  json::object object;
  for (const auto& [key, value] : texts) object[key] = value;
  return object;
}

// Every property on a line of its own, as people read it; values are one line each.
std::string indent(const json::object& object) {
  std::string text = "{\n";
  for (const auto& [key, value] : object) {
    text += "  " + json::serialize(json::value(key)) + ": ";
    if (value.is_object() && !value.get_object().empty()) {
      text += "{\n";
      for (const auto& [inner_key, inner] : value.get_object()) {
        text += "    " + json::serialize(json::value(inner_key)) + ": " + json::serialize(inner) + ",\n";
      }
      text.replace(text.size() - 2, 2, "\n  }");
    } else {
      text += json::serialize(value);
    }
    text += ",\n";
  }
  text.replace(text.size() - 2, 2, "\n}\n");
  return text;
}

}  // namespace

std::string_view to_string(Status status) {
  switch (status) {
    case Status::creating: return "creating";
    case Status::created: return "created";
    case Status::running: return "running";
    case Status::stopped: return "stopped";
  }
  return "";
}

std::string encode(const State& state) {
  return json::serialize(json::object{{"ociVersion", specification},
                                      {"id", state.id},
                                      {"pid", state.pid},
                                      {"startTime", state.start_time},
                                      {"bundle", state.bundle},
                                      {"rootfs", state.rootfs},
                                      {"created", state.created},
                                      {"owner", state.owner},
                                      {"annotations", object_of(state.annotations)}}) +
         '\n';
}

State decode_state(std::string_view text, std::string_view file) try {
  const json::value value = json::parse(text);
  State state;
  state.id = value.at("id").as_string();
  state.pid = value.at("pid").to_number<pid_t>();
  state.start_time = value.at("startTime").to_number<std::uint64_t>();
  state.bundle = value.at("bundle").as_string();
  state.rootfs = value.at("rootfs").as_string();
  state.created = value.at("created").as_string();
  state.owner = value.at("owner").as_string();
  for (const auto& [key, annotation] : value.at("annotations").as_object()) {
    state.annotations[std::string(key)] = annotation.as_string();
  }
  return state;
} catch (const std::exception&) {
  throw Failure(std::string(file) + ": not a state of this runtime's");
}

std::string describe(const State& state, Status status, bool indented) {
  json::object object{{"ociVersion", specification}, {"id", state.id}};
  // 0 as crun and runc print it for a container that has stopped.
  object["pid"] = status == Status::stopped ? 0 : state.pid;
  object["status"] = to_string(status);
  object["bundle"] = state.bundle;
  object["rootfs"] = state.rootfs;
  object["created"] = state.created;
  object["owner"] = state.owner;
  if (!state.annotations.empty()) object["annotations"] = object_of(state.annotations);
  return indented ? indent(object) : json::serialize(object);
}

std::string_view problem_of_id(std::string_view id) {
  const auto plain = [](char character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') ||
           std::string_view("_-+.").find(character) != std::string_view::npos;
  };
  if (id.empty()) return "empty";
  if (id.size() > 200) return "longer than 200 bytes";
  if (id == "." || id == "..") return "a directory's own name";
  if (!std::ranges::all_of(id, plain)) return "only letters, digits and _ - + . may be in it";
  return {};
}

}  // namespace fdchain::oci
