#include "launcher/shared/witness.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "fdchain/judge/judge.h"
#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/variables.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/program/observed.h"
#include "fdchain/program/options.h"
#include "fdchain/system/fd/stderr.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/observe_process.h"
#include "fdchain/system/proc/processes.h"
#include "fdchain/system/trace/trace_reader.h"

namespace fdchain {
namespace {

constexpr std::string_view to_stdout = "-";

OwnedFd open_report(const std::string& file, bool append = false) {
  try {
    const int how = append ? O_APPEND : O_TRUNC;
    return OwnedFd(
        check(::open(file.c_str(), O_WRONLY | O_CREAT | how | O_NONBLOCK | O_CLOEXEC, 0644), "open", file));
  } catch (const std::system_error& error) {
    throw Failure(std::string("--report: ") + error.what());
  }
}

bool goes_to_stderr(const ReportRequest& request) { return request.file.empty() && request.fd < 0; }

// The first number that the payload does not get; a real launcher counts from 3 on, whoever LISTEN_PID names.
int end_of_passed(const RunOptions& options, const Arrival& arrival) {
  const auto* const env = std::get_if<ListenEnv>(&arrival.listen);
  int sockets = env != nullptr ? env->count : 0;
  if (options.profiles.of(Hop::launcher) != nullptr) {
    const auto told = parse_int_as_systemd(arrival.environment.get(listen_fds_name).value_or("0"));
    sockets = std::max(sockets, told.error == 0 ? std::min(told.value, most_preserved_fds) : 0);
  }
  return listen_fds_start + sockets + options.preserve_fds;
}

std::string name_of(const ReportRequest& request) {
  return "--report " + request.format_name + ":fd:" + std::to_string(request.fd);
}

// From now on nobody else has it.
void take_descriptor(const ReportRequest& request, int end) {
  const auto refuse = [&](std::string_view why) {
    throw Failure(name_of(request) + ": " + std::string(why));
  };
  if (request.fd < end) refuse("that descriptor is passed on");
  const int flags = ::fcntl(request.fd, F_GETFL);
  if (flags < 0) refuse("that descriptor is not open");
  if ((flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH) != 0) refuse("that descriptor is not for writing");
  check(::fcntl(request.fd, F_SETFD, FD_CLOEXEC), "fcntl F_SETFD");
}

// Behind what is in the file already when it is `another` of the same command.
void write_out(const ReportRequest& request, const std::string& text, bool another) {
  constexpr std::size_t piece = 4096;
  if (request.fd >= 0) return write_all_patiently(request.fd, text, name_of(request));
  if (request.file == to_stdout) return write_all_patiently(STDOUT_FILENO, text, "stdout");
  if (!request.file.empty())
    return write_all_patiently(open_report(request.file, another).get(), text, request.file);
  for (std::size_t at = 0; at < text.size(); at += piece) {
    if (!write_to_stderr(std::string_view(text).substr(at, piece)))
      throw Failure("--report: it could not be written to stderr");
  }
}

// What cannot be done after the run is refused before it.
void check_requests(const RunOptions& options, const Arrival& arrival) {
  const bool judged = options.judging.wants_judge() || !options.reports.empty();
  if (judged && options.detach)
    throw Failure(
        "--detach: nobody waits for the end to report or check it; use --trace, and `launcher report` "
        "afterwards");
  if (options.follow_payload && options.detach)
    throw Failure("--follow-payload: with --detach nobody waits for the payload's end");
  if (options.follow_payload && !judged && options.trace.empty() && !arrival.environment.get(trace_name))
    throw Failure("--follow-payload: it needs --trace, --report or --check");
  const bool to_stderr = std::ranges::any_of(options.reports, goes_to_stderr);
  if (to_stderr && !arrival.stdio_open[STDERR_FILENO])
    throw Failure("--report: stderr is closed; name a FILE");
  check_reports(options.reports, options.trace, options.judging.contract.save_baseline,
                end_of_passed(options, arrival));
}

Page page_for(const ReportRequest& request, ColourChoice colour) {
  if (goes_to_stderr(request)) return page_of(STDERR_FILENO, colour);
  if (request.file == to_stdout) return page_of(STDOUT_FILENO, colour);
  if (request.fd >= 0) return page_of(request.fd, colour);
  // Nothing forces colour upon a file but --color: what is in it is read by programs too.
  return {colour == ColourChoice::always, usual_columns};
}

}  // namespace

std::string new_run_name() {
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return fmt::format("{:x}-{:x}-{:x}", now.tv_sec, now.tv_nsec, ::getpid());
}

void check_reports(std::span<const ReportRequest> requests, const std::string& trace,
                   const std::string& baseline, int end) {
  if (!baseline.empty() && baseline == trace)
    throw Failure("--save-baseline: " + baseline + ": that is the trace, which it would overwrite");
  for (const ReportRequest& request : requests) {
    if (request.fd >= 0) take_descriptor(request, end);
    if (request.file.empty() || request.file == to_stdout) continue;
    if (request.file == trace)
      throw Failure("--report: " + request.file + ": that is the trace, which the report would overwrite");
    open_report(request.file);
  }
}

Verdict report_run(const std::vector<HopRecord>& records, int status, const ReportOptions& options,
                   bool another) {
  JudgedRun run = judge_by(options.judging.contract, records);
  run.status = status;
  if (is_failure_of_chain(status)) put_explanations_first(run.diagnosis.findings);
  for (const ReportRequest& request : options.requests) {
    const bool apart = another && request.format == ReportFormat::text;
    const Page page = page_for(request, options.colour);
    write_out(request, (apart ? "\n" : "") + write_report(request.format, run, page), another);
  }
  return verdict_of(run.diagnosis, options.judging);
}

Witness::Witness(const RunOptions& options, const Arrival& arrival) : options_(options), arrival_(arrival) {
  check_requests(options, arrival);
  const bool judged = options.judging.wants_judge() || !options.reports.empty();
  if (!options.trace.empty()) {
    // The hops may have another working directory than this launcher.
    trace_ = Trace(new_run_name(), std::filesystem::absolute(options.trace));
  } else if (arrival.environment.get(trace_name)) {
    // A name of its own: the variable may be that of a chain which this launcher is the payload of.
    trace_ = Trace(new_run_name(), Trace(arrival.environment).path());
  } else if (judged) {
    temporary_.emplace();
    trace_ = Trace(new_run_name(), temporary_->path());
  }
  if (trace_.on() && has_children()) came_with_ = children_of_this_process();
}

void Witness::saw_arrival(const std::optional<Contract>& contract) {
  if (!trace_.on() || arrival_written_) return;
  HopRecord record = *arrival_.record;
  record.contract = contract;
  try {
    trace_.append(std::move(record));
  } catch (...) {
    trace_ = Trace();  // said once is enough
    throw;
  }
  arrival_written_ = true;
}

void Witness::saw_end(const std::vector<std::string>& heard, std::span<const pid_t> spared) {
  append_if_possible(trace_, [&] {
    saw_arrival(std::nullopt);  // of a run that was over before there was a contract
    HopRecord record = observe_process(Hop::launcher, Moment::after_exit);
    record.heard = heard;
    record.children = observe_children();
    std::erase_if(record.children, [&](const ProcessRow& child) {
      return std::ranges::find(spared, child.pid) != spared.end() ||
             std::ranges::find(came_with_, child.pid) != came_with_.end();
    });
    return record;
  });
}

int Witness::conclude(int status) const {
  // Without a record, the run was over before it began, and has said why.
  const bool checks = options_.judging.check.has_value();
  if (!arrival_written_ || (!options_.judging.wants_judge() && options_.reports.empty())) return status;
  const int unseen = checks ? exit_status::not_seen : exit_status::hop_failed;
  if (!trace_.on()) throw Failure("the trace is incomplete: there is nothing to judge by", unseen);
  const TraceContent content = read_trace(trace_.path(), trace_.run());
  for (const std::string& remark : content.remarks) log::warn("trace: {}", remark);
  const auto& records = content.runs.front();
  const bool has_begun = std::ranges::any_of(records, [](const HopRecord& record) {
    return record.hop != Hop::launcher || record.moment == Moment::departure;
  });
  if (!has_begun && status != 0 && judge(records).findings.empty()) {
    // "No findings" would be said of a run that never was.
    print_error(Hop::launcher, "no report: nothing was handed over");
    return status;
  }
  if (records.front().hop != Hop::launcher || records.front().moment != Moment::arrival)
    throw Failure(trace_.path() + ": somebody has removed what was recorded: there is nothing to judge by",
                  unseen);
  const Verdict verdict = report_run(records, status, {options_.reports, options_.colour, options_.judging});
  return checked_status(status, verdict, options_.judging);
}

Page page_of(int fd, ColourChoice colour) {
  return {wants_colour(fd, colour), columns_of(fd, usual_columns)};
}

}  // namespace fdchain
