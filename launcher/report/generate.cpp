#include "launcher/report/generate.h"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <optional>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/help.h"
#include "fdchain/program/isolation_options.h"
#include "fdchain/program/log.h"
#include "fdchain/program/options.h"
#include "fdchain/program/terminal.h"
#include "fdchain/protocol/systemd_unit.h"
#include "fdchain/system/fs/files.h"
#include "launcher/shared/run_words.h"

namespace fdchain {
namespace {

constexpr std::string_view usage =
    "Usage: launcher generate systemd NAME [--files [--replace]] [RUN OPTIONS] [--] [PAYLOAD [ARG...]]\n"
    "\n"
    "Prints NAME.service for a run with these options, and NAME.socket for what it listens on. Sockets whose "
    "names or options differ come in several units, NAME-….socket.\n"
    "\n"
    "  --files      write the units into the working directory, and print their paths\n"
    "  --replace    with --files: over what is there\n"
    "\n"
    "Type=notify waits for the payload's READY=1 with --sdnotify container, which is the default for "
    "fdchain's own "
    "payload; for any other, --sdnotify conmon, which says that it runs. `launcher --help` has the options "
    "of a "
    "run.\n";

std::string launcher_path() { return std::filesystem::read_symlink("/proc/self/exe").native(); }

void check_for_systemd(const RunOptions& options) {
  if (options.detach) throw Failure("generate systemd --detach: systemd starts it in the foreground");
  const auto has_descriptor = [](const ReportRequest& report) { return report.fd >= 0; };
  if (std::ranges::any_of(options.reports, has_descriptor))
    throw Failure("generate systemd --report FORMAT:fd:N: systemd passes sockets only");
  const std::string& told = options.listen_report;
  if (told.starts_with("fd:") && told != "fd:1" && told != "fd:2")
    throw Failure("generate systemd --listen-report " + printable(told) + ": systemd passes sockets only");
  if (options.preserve_fds > 0) throw Failure("generate systemd --preserve-fds: systemd passes sockets only");
}

UnitRequest request_for(const std::string& name, RunOptions options) {
  check_for_systemd(options);
  const bool own_payload = options.payload.front() == find_own_program("payload");
  if (!options.sdnotify_given) options.sdnotify = own_payload ? SdNotify::container : SdNotify::conmon;
  UnitRequest request{name, options.listen, to_words(options), options.sdnotify != SdNotify::ignore};
  request.command.insert(request.command.begin(), launcher_path());
  return request;
}

}  // namespace

namespace {

bool asks_for_help(const std::string& word) { return word == "--help" || word == "-h"; }

/// `systemd NAME [--files [--replace]] RUN WORDS…`
struct Request {
  std::string name;
  bool files = false;
  bool replace = false;
  std::vector<std::string> run_words;
};

Request parse(const std::vector<std::string>& words) {
  if (words.front() != "systemd")
    throw Failure("generate " + printable(words.front()) + ": only systemd is known; see --help");
  if (words.size() < 2 || words[1].starts_with('-'))
    throw Failure("generate systemd: no NAME; see generate --help");
  Request request{words[1], false, false, {}};
  std::size_t next = 2;
  for (; next < words.size(); ++next) {
    if (words[next] == "--files")
      request.files = true;
    else if (words[next] == "--replace")
      request.replace = true;
    else
      break;
  }
  if (request.replace && !request.files)
    throw Failure("generate systemd " + printable(request.name) +
                  " --replace: nothing is written without --files");
  request.run_words.assign(words.begin() + static_cast<std::ptrdiff_t>(next), words.end());
  return request;
}

// All of them are looked at before the first is written. One that says the same already is in nobody's way.
void refuse_to_overwrite(const std::vector<UnitFile>& units) {
  for (const UnitFile& unit : units) {
    std::error_code unknown;
    if (!std::filesystem::exists(std::filesystem::symlink_status(unit.name, unknown))) continue;
    if (read_file(unit.name) == unit.text) continue;
    throw Failure("generate systemd --files: " + unit.name +
                  " is there and says something else; --replace writes it anew");
  }
}

/// The units in the working directory: all of them, or, when something fails before keep(), what was there
/// before. A socket without its service would start something else.
class UnitsOnDisk {
 public:
  UnitsOnDisk() = default;
  ~UnitsOnDisk() {
    for (const Before& before : before_) put_back(before);
  }
  UnitsOnDisk(const UnitsOnDisk&) = delete;
  UnitsOnDisk& operator=(const UnitsOnDisk&) = delete;

  void write(const UnitFile& unit) {
    std::error_code unknown;
    const bool was_there = std::filesystem::exists(unit.name, unknown);
    Before before{unit.name, was_there ? std::optional(read_file(unit.name)) : std::nullopt};
    write_file_atomically(unit.name, unit.text);
    before_.push_back(std::move(before));
  }
  void keep() { before_.clear(); }

 private:
  struct Before {
    std::string name;
    std::optional<std::string> text;
  };

  static void put_back(const Before& before) try {
    if (before.text)
      write_file_atomically(before.name, *before.text);
    else
      ::unlink(before.name.c_str());
  } catch (const std::exception& error) {
    log::warn("generate systemd: {}: what was there could not be put back: {}", printable(before.name),
              error.what());
  }

  std::vector<Before> before_;
};

void write_units(const std::vector<UnitFile>& units) {
  UnitsOnDisk on_disk;
  for (const UnitFile& unit : units) on_disk.write(unit);
  std::string paths;
  for (const UnitFile& unit : units) paths += std::filesystem::absolute(unit.name).native() + '\n';
  write_all_patiently(STDOUT_FILENO, paths, "stdout");
  on_disk.keep();
}

bool is_a_unit_of(const std::string& name, const std::string& file) {
  return file == name + ".service" || file == name + ".socket" || file == name + "@.service" ||
         (file.starts_with(name + '-') && (file.ends_with(".socket") || file.ends_with("@.service")));
}

// Sockets of an earlier set would go on to start a service that does not expect them.
void tell_what_is_left(const std::string& name, const std::vector<UnitFile>& units) {
  for (const auto& entry : std::filesystem::directory_iterator(".")) {
    const std::string file = entry.path().filename();
    if (!is_a_unit_of(name, file) || std::ranges::find(units, file, &UnitFile::name) != units.end()) continue;
    log::warn("generate systemd: {} is there, and is none of these units", printable(file));
  }
}

}  // namespace

int generate(const std::vector<std::string>& words) {
  const bool named = words.size() > 2 && words.front() == "systemd";
  if (words.empty() || asks_for_help(words.front()) || (words.size() > 1 && asks_for_help(words[1])) ||
      (named && asks_for_help(words[2]))) {
    write_all_patiently(STDOUT_FILENO, help_text(usage, columns_of(STDOUT_FILENO, usual_help_columns)),
                        "stdout");
    return 0;
  }
  const Request request = parse(words);
  const auto options = parse_run_options(request.run_words);
  if (!options) return 0;
  const std::vector<UnitFile> units = make_units(request_for(request.name, *options));
  for (const UnitFile& unit : units) {
    if (request.files) check_replaceable("generate systemd --files", unit.name);
  }
  if (request.files && !request.replace) refuse_to_overwrite(units);
  if (!request.files) {
    for (const UnitFile& unit : units)
      write_all_patiently(STDOUT_FILENO, "# " + unit.name + '\n' + unit.text + '\n', "stdout");
    return 0;
  }
  write_units(units);
  tell_what_is_left(request.name, units);
  return 0;
}

}  // namespace fdchain
