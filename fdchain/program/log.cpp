#include "fdchain/program/log.h"

#include <spdlog/cfg/helpers.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cstdlib>
#include <utility>

namespace fdchain::log {
namespace {

constexpr std::array level_names{
    std::pair{std::string_view("debug"), Level::debug}, std::pair{std::string_view("info"), Level::info},
    std::pair{std::string_view("warn"), Level::warn},   std::pair{std::string_view("error"), Level::error},
    std::pair{std::string_view("off"), Level::off},
};

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
};

State& state() {
  static State instance;
  return instance;
}

// Made at the first line: a run that logs nothing pays nothing for being able to.
spdlog::logger& logger() {
  static const auto instance = [] {
    auto made =
        std::make_shared<spdlog::logger>(state().name, std::make_shared<spdlog::sinks::stderr_sink_st>());
    made->set_pattern(state().level <= spdlog::level::info ? "%H:%M:%S.%f %n[%P]: %l: %v" : "%n: %l: %v");
    made->set_level(state().level);
    return made;
  }();
  return *instance;
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
  if (levels == nullptr) return;
  // spdlog applies a level by name to a registered logger only.
  const auto registered =
      std::make_shared<spdlog::logger>(state().name, std::make_shared<spdlog::sinks::stderr_sink_st>());
  registered->set_level(spdlog::level::warn);
  spdlog::register_logger(registered);
  spdlog::cfg::helpers::load_levels(levels);
  state().level = registered->level();
  spdlog::drop(state().name);
}

void set_level(Level level) { state().level = to_spdlog(level); }

bool enabled(Level level) { return to_spdlog(level) >= state().level; }

void write(Level level, const std::string& text) { logger().log(to_spdlog(level), text); }

}  // namespace fdchain::log
