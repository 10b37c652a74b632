#include "launcher/shared/run_words.h"

#include <filesystem>

#include "fdchain/program/isolation_options.h"
#include "fdchain/program/terminal.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

std::string absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().native();
}

std::string absolute_in_root(const std::string& path) {
  return path.empty() ? path : (std::filesystem::path("/") / path).lexically_normal().native();
}

// A program without a slash is looked for in PATH, when it is started.
std::string absolute_program(const std::string& program) {
  return program.find('/') == std::string::npos ? program : absolute(program);
}

// `-` is stdout, whatever the working directory.
std::string report_words(const ReportRequest& report) {
  if (report.fd >= 0) return report.format_name + ":fd:" + std::to_string(report.fd);
  if (report.file.empty()) return report.format_name;
  return report.format_name + ':' + (report.file == "-" ? report.file : absolute(report.file));
}

std::string_view to_string(SdNotify sdnotify) {
  switch (sdnotify) {
    case SdNotify::container: return "container";
    case SdNotify::conmon: return "conmon";
    case SdNotify::ignore: break;
  }
  return "ignore";
}

}  // namespace

std::vector<std::string> to_words(const RunOptions& options) {
  std::vector<std::string> words;
  const auto add = [&](const char* option, std::string_view value) {
    if (!value.empty()) words.push_back(std::string(option).append("=").append(value));
  };
  const auto add_number = [&](const char* option, int value) {
    if (value > 0) add(option, std::to_string(value));
  };
  add("--name", options.name);
  if (options.detach) words.emplace_back("--detach");
  add_number("--preserve-fds", options.preserve_fds);
  if (options.sdnotify != SdNotify::container) add("--sdnotify", to_string(options.sdnotify));
  if (options.log.kind != LogTarget::Kind::passthrough) {
    LogTarget log = options.log;
    log.path = absolute(log.path);
    add("--log", to_string(log));
  }
  add_number("--timeout", options.timeout);
  if (options.monitor != find_own_program("monitor")) add("--monitor", absolute_program(options.monitor));
  if (options.runtime != find_own_program("runtime-shim"))
    add("--runtime", absolute_program(options.runtime));
  for (const std::string& assignment : options.environment) add("--env", assignment);
  // In a root of its own the payload starts at /, whoever starts it.
  add("--workdir",
      options.isolation.rootfs.empty() ? absolute(options.workdir) : absolute_in_root(options.workdir));
  add("--pidfile", absolute(options.pidfile));
  add("--exit-file", absolute(options.exit_file));
  add("--listen-report",
      options.listen_report.starts_with("fd:") ? options.listen_report : absolute(options.listen_report));
  add("--trace", absolute(options.trace));
  for (const ReportRequest& report : options.reports) add("--report", report_words(report));
  if (options.colour != ColourChoice::automatic)
    add("--color", options.colour == ColourChoice::always ? "always" : "never");
  for (const std::string& word : to_words(options.judging)) words.push_back(word);
  if (options.follow_payload) words.emplace_back("--follow-payload");
  for (const FaultRequest& fault : options.faults) add("--fault", to_string(fault));
  if (options.dialect) add("--dialect", *options.dialect == Dialect::oci ? "oci" : "native");
  for (const Hop hop : {Hop::launcher, Hop::monitor, Hop::runtime_shim}) {
    if (const Profile* const profile = options.profiles.of(hop))
      add("--profile", std::string(to_string(hop)) + '=' + std::string(profile->name));
  }
  for (const std::string& word : to_words(options.isolation)) words.push_back(word);
  if (options.pid_given && !options.isolation.pid)
    words.emplace_back("--pid=host");  // not what a profile makes it
  words.emplace_back("--");
  const bool own_payload = options.payload.front() == find_own_program("payload");
  words.push_back(own_payload                        ? "payload"
                  : options.isolation.rootfs.empty() ? absolute_program(options.payload.front())
                                                     : options.payload.front());
  words.insert(words.end(), options.payload.begin() + 1, options.payload.end());
  return words;
}

}  // namespace fdchain
