#include "fdchain/program/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <syslog.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/fd/stderr.h"

namespace fdchain::log {
namespace {

constexpr std::array level_names{
    std::pair{std::string_view("debug"), Level::debug}, std::pair{std::string_view("info"), Level::info},
    std::pair{std::string_view("warn"), Level::warn},   std::pair{std::string_view("error"), Level::error},
    std::pair{std::string_view("off"), Level::off},
};

// What conmon calls them.
constexpr std::string_view conmon_name(spdlog::level::level_enum level) {
  if (level >= spdlog::level::err) return "error";
  if (level == spdlog::level::warn) return "nwarn";
  return level == spdlog::level::info ? "ninfo" : "ndebug";
}

constexpr spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    case Level::off: return spdlog::level::off;
  }
  return spdlog::level::off;
}

// What the process can only have one of: whose log this is, and what it shows. Every program sets it once, at
// the top of main.
struct State {
  std::string name = "fdchain";
  spdlog::level::level_enum level = spdlog::level::warn;
  std::optional<std::string> syslog_id;  ///< nothing when syslog is told nothing
};

State& state() {
  static State instance;
  return instance;
}

void send_to_syslog(spdlog::level::level_enum level, std::string_view text) {
  if (!state().syslog_id) return;
  ::syslog(level >= spdlog::level::err ? LOG_ERR : LOG_INFO, "conmon %s <%s>: %s", state().syslog_id->c_str(),
           conmon_name(level).data(), printable(text, 4000).c_str());
}

// What a hop logs of others' words must not disturb a terminal, and stderr must not disturb the hop.
class StderrSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::string_view text(line.data(), line.size());
    if (text.ends_with('\n')) text.remove_suffix(1);
    write_to_stderr(printable(text, 4000) + '\n');
    send_to_syslog(message.level, {message.payload.data(), message.payload.size()});
  }
  void flush_() override {}
};

// Made at the first line: a run that logs nothing pays nothing for being able to.
spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = std::make_shared<spdlog::logger>(state().name, std::make_shared<StderrSink>());
    made->set_pattern(state().level <= spdlog::level::info ? "%H:%M:%S.%f %n[%P]: %l: %v" : "%n: %l: %v");
    made->set_level(state().level);
    return made;
  }();
  return *instance;
}

[[noreturn]] void refuse(std::string_view levels) {
  throw Failure("FDCHAIN_LOG=" + printable(levels) +
                ": not LEVEL or HOP=LEVEL[,...]; levels are debug, info, warn, error and off");
}

// `warn,monitor=debug`: what is said of a hop by name counts more than what is said of all.
spdlog::level::level_enum level_for(Hop hop, std::string_view levels) {
  std::optional<Level> of_all;
  std::optional<Level> of_hop;
  for (std::string_view left = levels; !left.empty();) {
    const std::string_view entry = left.substr(0, left.find(','));
    left.remove_prefix(std::min(left.size(), entry.size() + 1));
    const std::size_t equals = entry.find('=');
    const bool named = equals != std::string_view::npos;
    const auto level = parse_level(named ? entry.substr(equals + 1) : entry);
    const auto whose = named ? parse_hop(entry.substr(0, equals)) : std::nullopt;
    if (!level || (named && !whose)) refuse(levels);
    if (!named) of_all = level;
    if (whose == hop) of_hop = level;
  }
  return to_spdlog(of_hop.value_or(of_all.value_or(Level::warn)));
}

}  // namespace

std::optional<Level> parse_level(std::string_view name) {
  for (const auto& [candidate, level] : level_names) {
    if (candidate == name) return level;
  }
  return std::nullopt;
}

void start(Hop hop) {
  state().name = to_string(hop);
  const char* const levels = std::getenv("FDCHAIN_LOG");
  if (levels != nullptr) state().level = level_for(hop, levels);
}

void set_level(Level level) { state().level = to_spdlog(level); }

void also_to_syslog(std::string_view id) {
  state().syslog_id = printable(id.substr(0, 20));
  ::openlog("conmon", 0, LOG_USER);
}

void tell_syslog(Level level, std::string_view text) {
  if (enabled(level)) send_to_syslog(to_spdlog(level), text);
}

bool enabled(Level level) { return to_spdlog(level) >= state().level; }

void write(Level level, const std::string& text) { logger().log(to_spdlog(level), text); }

}  // namespace fdchain::log
