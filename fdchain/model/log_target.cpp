#include "fdchain/model/log_target.h"

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

constexpr std::string_view k8s_file_prefix = "k8s-file:";

}  // namespace

LogTarget parse_log_target(std::string_view text) {
  using enum LogTarget::Kind;
  if (text == "passthrough") return {passthrough, {}};
  if (text == "none") return {none, {}};
  if (text.starts_with(k8s_file_prefix) && text.size() > k8s_file_prefix.size()) {
    return {k8s_file, std::string(text.substr(k8s_file_prefix.size()))};
  }
  throw Failure("--log " + printable(text) + ": not one of passthrough, none, k8s-file:FILE");
}

std::string to_string(const LogTarget& target) {
  switch (target.kind) {
    case LogTarget::Kind::passthrough: return "passthrough";
    case LogTarget::Kind::none: return "none";
    case LogTarget::Kind::k8s_file: break;
  }
  return std::string(k8s_file_prefix) + target.path;
}

}  // namespace fdchain
