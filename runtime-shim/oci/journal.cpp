#include "runtime-shim/oci/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <ctime>

#include "fdchain/model/printable.h"
#include "fdchain/program/guard.h"
#include "fdchain/system/stderr.h"
#include "fdchain/system/sys.h"

namespace fdchain::oci {
namespace {

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return {text, length};
}

}  // namespace

Journal::Journal(const Command& command) : json_(command.log_format == "json"), debug_(command.debug) {
  if (command.log.empty()) return;
  const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
  file_ = OwnedFd(check(::open(command.log.c_str(), flags, 0644), "--log", command.log));
}

void Journal::error(std::string_view text) const {
  print_error(Hop::runtime_shim, text);
  append("error", text);
}

void Journal::warning(std::string_view text) const {
  if (file_) {
    append("warning", text);
  } else {
    print_error(Hop::runtime_shim, "warning: " + std::string(text));
  }
}

void Journal::debug(std::string_view text) const {
  if (debug_) append("debug", text);
}

void Journal::append(std::string_view level, std::string_view text) const {
  if (!file_) return;
  const std::string shown = printable(text, 3000);
  std::string line;
  if (json_) {
    // The keys, and their order, of crun and runc: podman looks for "level" and takes "msg".
    line = boost::json::serialize(boost::json::object{{"msg", shown}, {"level", level}, {"time", now()}});
  } else {
    line = now() + " runtime-shim " + std::string(level) + ": " + shown;
  }
  line += '\n';
  // One write, so that lines of several calls do not mix. A full disk costs the line, and nothing else.
  (void)!::write(file_.get(), line.data(), line.size());
}

}  // namespace fdchain::oci
