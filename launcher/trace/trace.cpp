#include "launcher/trace/trace.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>

#include "fdchain/model/failure.h"
#include "fdchain/model/variables.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/program/options.h"
#include "fdchain/system/exec/exec_image.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/trace/trace_reader.h"
#include "launcher/shared/follow/watcher.h"
#include "launcher/shared/witness.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

constexpr std::string_view usage =
    "Usage: launcher trace [OPTIONS] [--] COMMAND [ARG...]\n"
    "\n"
    "Runs COMMAND, follows whatever it starts by ptrace(2), and says of each container what podman, conmon, "
    "the OCI "
    "runtime and the payload were given, and who did something wrong. Nothing needs to be prepared for that. "
    "The "
    "exit status is COMMAND's.\n"
    "\n"
    "  launcher trace podman run --rm IMAGE\n"
    "  systemd-socket-activate -l 8080 launcher trace podman run --rm IMAGE\n";

struct Request {
  std::string file;
  std::vector<ReportRequest> reports;
  ColourChoice colour = ColourChoice::automatic;
  JudgeOptions judging;
  bool follow_payload = false;
  std::vector<std::string> command;
};

// Nothing when --help or --version has been answered.
std::optional<Request> parse(const std::vector<std::string>& words, const Arrival& arrival) {
  Request request;
  std::vector<std::string> reports;
  std::string colour;
  po::options_description own("Options");
  own.add_options()                                                                                       //
      ("trace", po::value(&request.file)->value_name("FILE"), "append what every hop was given to FILE")  //
      ("report", po::value(&reports)->value_name("FORMAT[:FILE|:fd:N]"),
       "say what happened as text, json, mermaid or dot; to stderr without FILE; `-` is stdout, fd:N an open "
       "descriptor, which COMMAND does not get; repeatable. Default: text, "
       "unless there is --trace or --check")         //
      ("color", colour_option(colour), colour_help)  //
      ("follow-payload", po::bool_switch(&request.follow_payload),
       "record and judge what each payload executes and begins after its start, and how it ends");
  JudgeTexts judging;
  own.add(judge_options(judging)).add(common_options());
  const CommandLine command_line = parse_command_line(words, own);
  if (answered(command_line, Hop::launcher, usage, own)) return std::nullopt;
  for (const std::string& report : reports) request.reports.push_back(parse_report_request(report));
  if (request.reports.empty() && request.file.empty() && judging.check.empty() &&
      judging.contract.save_baseline.empty())
    request.reports.push_back(parse_report_request("text"));
  request.judging = parse_judge_options(judging, !request.reports.empty());
  request.colour = parse_colour_choice(colour);
  check_reports(request.reports, request.file, request.judging.contract.save_baseline, arrival.window.end());
  request.command = command_line.rest;
  if (request.command.empty()) throw Failure("a COMMAND is needed; see --help");
  return request;
}

/// The file of the records, which goes with this object unless it was asked for.
class TraceFile {
 public:
  /// Throws Failure when it cannot be written.
  explicit TraceFile(const std::string& wanted) {
    if (wanted.empty()) temporary_.emplace();
    path_ = temporary_ ? temporary_->path() : std::filesystem::absolute(wanted).native();
    try {
      open_trace(path_);
    } catch (const std::system_error& error) {
      throw Failure("--trace " + path_ + ": " + error.code().message());
    }
  }
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::optional<TemporaryTrace> temporary_;
};

// Everything as it came, what is wrong with it included, but for the pid: that is the command's now.
HandOver hand_over_all(const std::vector<std::string>& command, const Arrival& arrival) {
  HandOver next;
  next.argv = command;
  next.environment = arrival.environment;
  next.program = find_program(command.front(), next.environment.get("PATH").value_or(standard_path));
  for (const FdRow& row : arrival.record->fds) {
    if (row.number > STDERR_FILENO) next.passed.push_back({row.number, row.number, 1, false, "as it came"});
  }
  for (int number = 0; number <= STDERR_FILENO; ++number) {
    if (!arrival.stdio_open[static_cast<std::size_t>(number)])
      next.extra.push_back({Step::close(number), "it came closed"});
  }
  // Here it is caught, since a process that ignores it gets no statuses.
  if (std::ranges::find(arrival.record->ignored_signals, SIGCHLD) != arrival.record->ignored_signals.end())
    next.extra.push_back({Step::ignore(SIGCHLD), "as it came"});
  next.name_pid = next.environment.get(listen_pid_name) == std::to_string(::getpid());
  next.name_pidfdid = next.name_pid && next.environment.get(listen_pidfdid_name).has_value();
  next.pid_variables = pid_variables_naming(next.environment, ::getpid());
  if (next.name_pid) next.environment.unset(listen_pid_name);
  if (next.name_pidfdid) next.environment.unset(listen_pidfdid_name);
  return next;
}

pid_t start(const HandOver& next, const sigset_t& signal_mask) {
  ExecImage image(next, signal_mask);
  const Spawned spawned = spawn(image);
  if (!spawned.failure) return spawned.pid;
  if (spawned.failure->step.kind == Step::Kind::exec)
    throw_exec_failure(next.program, spawned.failure->error);
  throw Failure(image.describe(*spawned.failure));
}

void relay_signals(const OwnedFd& signals, pid_t command) {
  signalfd_siginfo info{};
  while (::read(signals.get(), &info, sizeof info) == sizeof info) {
    if (!is_from_keyboard(info)) ::kill(command, static_cast<int>(info.ssi_signo));
  }
}

WaitStatus attend(pid_t command, const OwnedFd& signals) {
  const OwnedFd end(check(open_pidfd(command), "pidfd_open"));
  std::array<pollfd, 2> waiting{{{end.get(), POLLIN, 0}, {signals.get(), POLLIN, 0}}};
  while (waiting[0].revents == 0) {
    (void)!::poll(waiting.data(), waiting.size(), -1);
    relay_signals(signals, command);
  }
  return reap(command);
}

// What this process holds only for the command, which has it now.
void let_go(Arrival& arrival) {
  const int end = arrival.window.end();
  arrival.window.close();
  for (const FdRow& row : arrival.record->fds) {
    if (row.number >= std::max(end, STDERR_FILENO + 1)) ::close(row.number);
  }
}

// What is for a report is not the command's.
void keep_for_reports(const Request& request, Arrival& arrival) {
  std::erase_if(arrival.record->fds, [&](const FdRow& row) {
    return std::ranges::find(request.reports, row.number, &ReportRequest::fd) != request.reports.end();
  });
}

/// What came of a trace.
struct Judged {
  int chains = 0;
  Verdict verdict;
};

Judged report_all(const Request& request, int status, const std::string& path, const std::string& run) {
  Judged judged;
  std::error_code none;
  if (std::filesystem::file_size(path, none) == 0 || none) return judged;
  const TraceContent content = read_trace(path);
  for (const std::string& remark : content.remarks) log::warn("trace: {}", remark);
  for (const auto& records : content.runs) {
    if (!records.front().run.starts_with(run)) continue;
    const ReportOptions options{request.reports, request.colour, request.judging};
    judged.verdict.add(report_run(records, status, options, judged.chains++ > 0));
  }
  return judged;
}

}  // namespace

int trace(const std::vector<std::string>& words, Arrival arrival) {
  const auto request = parse(words, arrival);
  if (!request) return 0;
  keep_for_reports(*request, arrival);
  const TraceFile file(request->file);
  const std::string run = new_run_name();
  const SignalFd signals = receive_signals(signals_to_relay());
  const HandOver next = hand_over_all(request->command, arrival);
  Watcher watcher(ChainTracker(Trace(run, file.path()), arrival.record->fds, ChainTracker::Launcher::seen,
                               follow_payload_of(request->follow_payload)));
  const pid_t command = start(next, signals.mask_before);
  let_go(arrival);
  const WaitStatus status = attend(command, signals.fd);
  watcher.finish();
  Judged judged = report_all(*request, status.exit_status(), file.path(), run);
  if (judged.chains == 0) {
    print_error(Hop::launcher, "no container was started, or none was seen: there is nothing to judge");
    judged.verdict.not_seen = "no container was seen: nothing can be said";
  }
  return checked_status(status.exit_status(), judged.verdict, request->judging);
}

}  // namespace fdchain
