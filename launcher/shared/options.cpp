#include "launcher/shared/options.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/isolation_options.h"
#include "fdchain/program/terminal.h"
#include "fdchain/system/fs/files.h"
#include "launcher/shared/commands.h"
#include "launcher/shared/unit.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

constexpr std::string_view run_usage =
    "Usage: launcher [run] [OPTIONS] [--] [PAYLOAD [ARG...]]\n"
    "\n"
    "Starts PAYLOAD behind the chain launcher, monitor, runtime-shim, and hands it the sockets of "
    "LISTEN_FDS, "
    "those of --listen, or both. Without PAYLOAD, or with the word `payload`, fdchain's own echo service "
    "runs. "
    "`fdchain` is another name of this program.\n"
    "\n"
    "  systemd-socket-activate -l 8080 launcher mydaemon --its-options\n"
    "  launcher --listen tcp:8080,name=web --listen unix:/run/admin.sock mydaemon\n"
    "\n"
    "Commands, each with a --help of its own:\n"
    "dry-run\teach hop's plan, with reasons; runs nothing\n"
    "trace\tthe same report of a real podman, conmon and runtime\n"
    "diagnose\twhat is wrong in a trace, and which hop did it\n"
    "report\tthe report of a trace\n"
    "faults\tthe mistakes that --fault can have a hop make\n"
    "profiles\twhat --profile has real versions do, hop by hop\n"
    "generate systemd\tthe units for a run\n"
    "\n"
    "Words:\n"
    "hop\ta program of the chain: launcher, monitor, runtime-shim, payload\n"
    "payload\tthe last hop: the service that gets the sockets\n"
    "trace\ta file of records: what each hop held when it started, and when it passed on\n"
    "judge\tthe part of launcher that reads a trace and says which hop is at fault\n"
    "finding\twhat the judge says: one problem, where it is seen, who caused it, what helps\n"
    "fault\ta mistake that a hop makes because you asked for it, as a real program made it\n"
    "profile\twhat a real version of podman, conmon, crun or runc does, mistakes included\n"
    "\n"
    "Exit status:\n"
    "N\tthe payload's; 128+n when signal n ended it\n"
    "122\twith --check: a hop was not seen, so nothing can be said\n"
    "123\twith --check: the judge has a finding that counts, whatever else happened\n"
    "124\t--timeout was over\n"
    "125\ta hop failed\n"
    "126, 127\tthe payload could not be invoked; was not found\n";

constexpr std::string_view dry_run_usage =
    "Usage: launcher dry-run [OPTIONS] [--] [PAYLOAD [ARG...]]\n"
    "\n"
    "Prints what each hop of `launcher run` with the same options would do, step by step, with a reason for "
    "each "
    "step: what it passes on, at which number, and what it closes. Starts nothing, and opens no socket.\n"
    "\n"
    "  launcher dry-run --listen tcp:8080 mydaemon\n"
    "  launcher dry-run --fault monitor:set-cloexec=3 --listen tcp:8080 mydaemon\n"
    "\n"
    "The options are those of a run; those that say what is done after it have no effect.\n";

constexpr std::string_view own_payload = "payload";
constexpr std::string_view descriptor_mark = "fd:";
constexpr std::uint64_t most_descriptors = 1'000'000;

/// Options whose values need reading before they are values.
struct Texts {
  std::vector<std::string> listen;
  std::vector<std::string> units;
  std::vector<std::string> reports;
  std::vector<std::string> faults;
  std::vector<std::string> profiles;
  std::string log;
  std::string sdnotify;
  std::string dialect;
  std::string colour;
  JudgeTexts judging;
  IsolationTexts isolation;
};

po::options_description describe(RunOptions& options, Texts& texts) {
  po::options_description own("Options");
  own.add_options()  //
      ("listen,l", po::value(&texts.listen)->value_name("KIND:ADDRESS[,OPTION...]"),
       "open a socket, as an activator would; repeatable. KIND is tcp, udp, unix, unix-dgram, "
       "unix-seqpacket, vsock, "
       "fifo, netlink, mqueue or special; addresses as in systemd.socket(5). OPTION is name=NAME, mode=MODE, "
       "backlog=N or another one of docs/socket-options.md; port 0 is one that the kernel chooses")  //
      ("unit", po::value(&texts.units)->value_name("FILE.socket"),
       "open what a .socket unit of systemd's asks for, behind what --listen does; repeatable")  //
      ("listen-report", po::value(&options.listen_report)->value_name("FILE|fd:N"),
       "say what is listened on, ports that the kernel chose included, as JSON, before the payload starts")  //
      ("detach,d", po::bool_switch(&options.detach), "return when the payload runs, and print its pid")  //
      ("preserve-fds", po::value(&options.preserve_fds)->value_name("N"),
       "pass on N descriptors after the sockets")  //
      ("sdnotify", po::value(&texts.sdnotify)->value_name("MODE"),
       "who tells systemd READY=1: container (the payload; the default), conmon (the launcher) or ignore")  //
      ("log", po::value(&texts.log)->value_name("TARGET"), log_target_help)                                 //
      ("timeout", po::value(&options.timeout)->value_name("SECONDS"),
       "kill the payload with SIGKILL when that time is over, and exit 124")                        //
      ("monitor", po::value(&options.monitor)->value_name("PATH"), "another monitor, or a conmon")  //
      ("runtime", po::value(&options.runtime)->value_name("PATH"),
       "another runtime shim, or an OCI runtime: crun, runc")  //
      ("dialect", po::value(&texts.dialect)->value_name("native|oci"),
       "in which words the hops talk; oci is conmon's command line and an OCI bundle. Default: native when "
       "monitor and runtime are fdchain's, as their --version says")  //
      ("env", po::value(&options.environment)->value_name("NAME=VALUE"),
       "set a variable for the payload; repeatable")                                                   //
      ("workdir", po::value(&options.workdir)->value_name("DIR"), "the payload's working directory")   //
      ("name", po::value(&options.name)->value_name("NAME"), "the container's name, for messages")     //
      ("pidfile", po::value(&options.pidfile)->value_name("FILE"), "write the payload's pid to FILE")  //
      ("exit-file", po::value(&options.exit_file)->value_name("FILE"),
       "have the monitor write the exit status to FILE; for --detach")  //
      ("trace", po::value(&options.trace)->value_name("FILE"),
       "append what every hop really held to FILE")  //
      ("report", po::value(&texts.reports)->value_name("FORMAT[:FILE|:fd:N]"),
       "after the run, say what happened as text, json, mermaid or dot; to stderr, where the payload may "
       "write too, without FILE; `-` is stdout, fd:N an open descriptor, which the payload does not get; "
       "repeatable")                                       //
      ("color", colour_option(texts.colour), colour_help)  //
      ("follow-payload", po::bool_switch(&options.follow_payload),
       "record and judge what the payload executes and begins after its start, and how it ends; with "
       "--trace, "
       "--report or --check")  //
      ("fault", po::value(&texts.faults)->value_name("HOP:NAME[=ARG]"),
       "have a hop make a mistake that a real one made; repeatable; `launcher faults` lists them")  //
      ("profile", po::value(&texts.profiles)->value_name("NAME|HOP=NAME"),
       "do as a real version does, mistakes included: podman-4.3, podman-4.8, conmon, crun, runc, cri-o or "
       "ideal; for one hop HOP=NAME; repeatable; `launcher profiles` lists them. Makes --pid private the "
       "default, as in a container");
  return own.add(judge_options(texts.judging)).add(isolation_options(texts.isolation)).add(common_options());
}

SdNotify parse_sdnotify(const std::string& text) {
  if (text == "container") return SdNotify::container;
  if (text == "conmon") return SdNotify::conmon;
  if (text == "ignore") return SdNotify::ignore;
  throw Failure("--sdnotify " + printable(text) + ": not one of container, conmon, ignore");
}

std::optional<Dialect> parse_dialect(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text == "native") return Dialect::native;
  if (text == "oci") return Dialect::oci;
  throw Failure("--dialect " + printable(text) + ": not one of native, oci");
}

// Whoever detaches gives the terminal back.
LogTarget log_target(const Texts& texts, bool detach) {
  if (!texts.log.empty()) return parse_log_target(texts.log);
  return {detach ? LogTarget::Kind::none : LogTarget::Kind::passthrough, {}};
}

// LISTEN_PID=1 is what the real ones make for a container: process 1 of a pid namespace. Who is not root has
// that in a user namespace.
void contain(IsolationTexts& texts, const ProfileChoice& profiles, const CommandLine& given) {
  const bool makes_containers =
      profiles.of(Hop::launcher) != nullptr || profiles.of(Hop::runtime_shim) != nullptr;
  if (!makes_containers || given.options.count("pid") != 0) return;
  texts.pid = "private";
  if (::geteuid() != 0 && given.options.count("userns") == 0) texts.userns = "private";
}

// `launcher --report json dry-run …` would run a program of that name.
void refuse_late_command(const std::vector<std::string>& words, const CommandLine& given) {
  if (given.rest.empty() || !is_command(given.rest.front())) return;
  const std::size_t before = words.size() - given.rest.size();
  if (before == 0 || words[before - 1] == "--") return;
  const std::string& command = given.rest.front();
  throw Failure(command + ": a command, and it stands before its options: launcher " + command +
                " [OPTIONS]; a payload of that name: launcher [OPTIONS] -- " + command);
}

// In a root file system of its own only what is in there can run.
std::vector<std::string> payload_command(std::vector<std::string> words, bool has_rootfs) {
  if (words.empty()) words.emplace_back(own_payload);
  if (words.front() == own_payload)
    words.front() = has_rootfs ? "/" + std::string(own_payload) : find_own_program(own_payload);
  return words;
}

// `fd:N`; stdout and stderr have names of their own.
void set_descriptor(ReportRequest& request, const std::string& text) {
  const auto number = parse_decimal(request.file.substr(descriptor_mark.size()), most_descriptors);
  if (!number || *number == 0) throw Failure("--report " + printable(text) + ": not FORMAT:fd:NUMBER");
  request.file.clear();
  if (*number == STDOUT_FILENO) request.file = "-";
  if (*number > STDERR_FILENO) request.fd = static_cast<int>(*number);
}

}  // namespace

std::optional<RunOptions> parse_run_options(const std::vector<std::string>& words, Purpose purpose) {
  RunOptions options;
  Texts texts;
  auto description = describe(options, texts);
  if (purpose == Purpose::dry_run)
    description.add_options()("json", po::bool_switch(&options.json), "print the plan as JSON");
  const CommandLine command_line = parse_command_line(words, description);
  const std::string_view usage = purpose == Purpose::dry_run ? dry_run_usage : run_usage;
  if (answered(command_line, Hop::launcher, usage, description)) return std::nullopt;
  if (purpose == Purpose::unnamed) refuse_late_command(words, command_line);
  for (const std::string& listen : texts.listen) options.listen.push_back(parse_listen_spec(listen));
  for (const std::string& unit : texts.units) {
    for (ListenSpec& spec : read_socket_unit(unit)) options.listen.push_back(std::move(spec));
  }
  options.sdnotify_given = !texts.sdnotify.empty();
  if (options.sdnotify_given) options.sdnotify = parse_sdnotify(texts.sdnotify);
  options.log = log_target(texts, options.detach);
  options.dialect = parse_dialect(texts.dialect);
  for (const std::string& profile : texts.profiles) options.profiles.choose(profile);
  contain(texts.isolation, options.profiles, command_line);
  options.isolation = parse_isolation(texts.isolation);
  options.pid_given = command_line.options.count("pid") != 0;
  options.payload_words = command_line.rest.size();
  options.payload = payload_command(command_line.rest, !options.isolation.rootfs.empty());
  for (const std::string& report : texts.reports) options.reports.push_back(parse_report_request(report));
  options.colour = parse_colour_choice(texts.colour);
  options.judging = parse_judge_options(texts.judging, !options.reports.empty());
  for (const std::string& fault : texts.faults) options.faults.push_back(parse_fault(fault));
  if (options.monitor.empty()) options.monitor = find_own_program("monitor");
  if (options.runtime.empty()) options.runtime = find_own_program("runtime-shim");
  check_range("--timeout", options.timeout, 0, longest_timeout);
  check_range("--preserve-fds", options.preserve_fds, 0, most_preserved_fds);
  for (const std::string& assignment : options.environment) check_assignment("--env", assignment);
  return options;
}

ReportRequest parse_report_request(const std::string& text) {
  const std::size_t colon = text.find(':');
  const auto format = parse_report_format(std::string_view(text).substr(0, colon));
  if (!format)
    throw Failure("--report " + printable(text) +
                  ": not one of text, json, mermaid, dot, with :FILE, with :fd:N or without");
  if (colon + 1 == text.size()) throw Failure("--report " + printable(text) + ": its FILE is empty");
  ReportRequest request{*format, colon == std::string::npos ? "" : text.substr(colon + 1), -1,
                        text.substr(0, colon)};
  if (request.file.starts_with(descriptor_mark)) set_descriptor(request, text);
  return request;
}

bool may_observe(const std::vector<std::string>& words) {
  if (!words.empty() && words.front() == "trace") return true;
  static constexpr std::array asking{"--trace",         "--report", "--check",
                                     "--save-baseline", "--fault",  "--profile"};
  return std::ranges::any_of(words, [](const std::string& word) {
    return std::ranges::any_of(asking, [&](const char* option) { return word.starts_with(option); });
  });
}

}  // namespace fdchain
