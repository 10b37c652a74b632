#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/isolation.h"
#include "fdchain/model/listen_spec.h"
#include "fdchain/model/log_target.h"
#include "fdchain/plan/edits/fault.h"
#include "fdchain/plan/edits/profile.h"
#include "fdchain/program/terminal.h"
#include "fdchain/report/report.h"
#include "launcher/shared/judging.h"

namespace fdchain {

/// How systemd learns of the payload's state; podman's words.
enum class SdNotify {
  container,  ///< the payload itself tells
  conmon,     ///< the launcher tells, as soon as the payload runs
  ignore,     ///< nobody tells, and the payload cannot
};

/// In which words launcher, monitor and runtime talk.
enum class Dialect {
  native,  ///< chain loading, each hop named on the command line of the one before
  oci,     ///< conmon's command line and an OCI bundle
};

/// A report to be written after the run.
struct ReportRequest {
  ReportFormat format = ReportFormat::text;
  std::string file;         ///< empty for stderr
  int fd = -1;              ///< a descriptor of the caller's instead of a file
  std::string format_name;  ///< as it was typed
};

/// What `launcher run` was asked to do.
struct RunOptions {
  std::vector<ListenSpec> listen;
  std::string listen_report;  ///< where to say what is listened on: a file, or fd:N; empty for nowhere
  bool detach = false;
  int preserve_fds = 0;
  SdNotify sdnotify = SdNotify::container;
  bool sdnotify_given = false;  ///< or is the above the default
  LogTarget log;
  int timeout = 0;      ///< seconds; 0 for none
  std::string monitor;  ///< paths of the other hops
  std::string runtime;
  std::optional<Dialect> dialect;        ///< nothing: whichever both understand
  std::vector<std::string> environment;  ///< NAME=VALUE, for the payload alone
  std::string workdir;
  Isolation isolation;
  bool pid_given = false;  ///< --pid was; or is the above a default
  std::string name;
  std::string pidfile;
  std::string exit_file;
  std::string trace;  ///< empty for none
  std::vector<ReportRequest> reports;
  ColourChoice colour = ColourChoice::automatic;  ///< of the reports
  JudgeOptions judging;
  bool follow_payload = false;
  std::vector<FaultRequest> faults;
  ProfileChoice profiles;
  bool json = false;  ///< of a dry run
  std::vector<std::string> payload;
  std::size_t payload_words = 0;  ///< how many words at the end of the command line are the payload's
};

/// Reads `FORMAT[:FILE|:fd:N]`. Throws Failure.
ReportRequest parse_report_request(const std::string& text);

/// What the options are read for; --help says which. With `unnamed` no command was given.
enum class Purpose { unnamed, run, dry_run };

/// Reads the words behind `run` or `dry-run`, or, when no command was named, all of them. Nothing when
/// --help or --version has been answered. Throws Failure for a command line it cannot use: also for a command
/// behind options, which is no payload by mistake.
std::optional<RunOptions> parse_run_options(const std::vector<std::string>& words,
                                            Purpose purpose = Purpose::run);

/// Whether the words ask for something that takes a look at the arrival, before it is known what they mean: a
/// look too many is thrown away.
bool may_observe(const std::vector<std::string>& words);

}  // namespace fdchain
