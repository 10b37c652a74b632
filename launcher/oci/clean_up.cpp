// What a container's monitor runs when the container has ended, and what is done in the place of a launcher
// that was killed.

#include "launcher/oci/clean_up.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <boost/program_options.hpp>
#include <csignal>
#include <cstddef>
#include <filesystem>

#include "fdchain/program/log.h"
#include "fdchain/program/options.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/processes.h"
#include "fdchain/system/socket/listening_socket.h"
#include "launcher/oci/command.h"
#include "launcher/oci/directory.h"
#include "launcher/shared/sockets.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

constexpr std::string_view usage =
    "Usage: launcher clean-up-container --directory DIR --id ID --runtime-word WORD... [OPTIONS]\n\n"
    "What a monitor runs when a container of `launcher --dialect oci` has ended. Not for people.\n";

struct CleanUp {
  std::string directory;
  std::string id;
  std::vector<std::string> runtime;
  std::string exit_file;
  std::vector<std::string> paths;
  std::vector<std::string> queues;
};

po::options_description describe(CleanUp& job) {
  po::options_description own("Options");
  own.add_options()                                                                                       //
      ("directory", po::value(&job.directory)->value_name("DIR"), "the container's")                      //
      ("id", po::value(&job.id)->value_name("ID"), "its name at the runtime")                             //
      ("runtime-word", po::value(&job.runtime)->value_name("WORD"), "the runtime, and its options")       //
      ("exit-file", po::value(&job.exit_file)->value_name("FILE"), "where the exit status shall be too")  //
      ("remove-path", po::value(&job.paths)->value_name("PATH"), "made for the run")                      //
      ("remove-queue", po::value(&job.queues)->value_name("NAME"), "made for the run");
  return own.add(common_options());
}

Outcome call_runtime(const CleanUp& job, const std::vector<std::string>& words) {
  std::vector<std::string> command = job.runtime;
  command.insert(command.end(), words.begin(), words.end());
  sigset_t none;
  ::sigemptyset(&none);
  return run_command(command, {}, none, clean_up_patience);
}

// The container's status, in the specification's words; empty when there is none yet, or none any more.
std::string status_of(const CleanUp& job) {
  const Outcome outcome = call_runtime(job, {"state", job.id});
  if (outcome.status != WaitStatus::for_exit_code(0)) return {};
  boost::system::error_code wrong;
  const auto state = boost::json::parse(outcome.said, wrong);
  const auto* const status = wrong || !state.is_object() ? nullptr : state.as_object().if_contains("status");
  return status != nullptr && status->is_string() ? std::string(status->as_string()) : "";
}

void clean_up(const CleanUp& job) {
  const ContainerPlace place{job.directory};
  const OwnedFd lock = hold(place);
  if (!lock) return;  // somebody else has done it
  for (const std::string& path : job.paths) MadeName::known(MadeName::Kind::path, path).remove();
  for (const std::string& queue : job.queues) MadeName::known(MadeName::Kind::message_queue, queue).remove();
  const Outcome outcome = call_runtime(job, {"delete", "--force", job.id});
  if (outcome.status != WaitStatus::for_exit_code(0)) log::warn("{}: {}", job.runtime.front(), outcome.said);
  if (const std::string status = read_file(place.exits() + '/' + job.id);
      !job.exit_file.empty() && !status.empty())
    write_file_atomically(job.exit_file, status, "--exit-file", Durable::yes);
  remove(place);
}

using Processes = std::vector<OwnedFd>;  // pidfds

// By its file's name: a script that stands in for a program may become it. The script itself is called by its
// interpreter first.
bool is_called(const std::vector<std::string>& words, const std::vector<std::string>& programs) {
  const auto name = [](const std::string& path) { return std::filesystem::path(path).filename(); };
  const auto first_two = words.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(words.size(), 2));
  return std::any_of(words.begin(), first_two, [&](const std::string& word) {
    return std::ranges::find(programs, name(word), name) != programs.end();
  });
}

// Any user can have any word on a command line, and this may be root.
Processes processes_of_run(const std::vector<std::string>& programs, const std::string& argument) {
  Processes found;
  for (const proc::Process& process : processes_with_argument(argument)) {
    const auto words = process.command_line();
    if (process.owner() != ::geteuid() || !words || !is_called(*words, programs)) continue;
    if (OwnedFd pidfd = process.pidfd()) found.push_back(std::move(pidfd));
  }
  return found;
}

// Each step of the making ends with a process; what else happens is looked for once a second.
void wait_for_one_of(const Processes& busy, const Processes& cleaning, Deadline end) {
  std::vector<pollfd> waiting;
  for (const Processes* const list : {&busy, &cleaning})
    for (const OwnedFd& process : *list) waiting.push_back({process.get(), POLLIN, 0});
  (void)poll_until(waiting, std::min(end, after(std::chrono::seconds(1))));
}

}  // namespace

std::vector<std::string> clean_up_words(const ContainerRun& run, const Sockets& sockets) {
  std::vector<std::string> words{"--directory", run.place.path, "--id", run.id};
  const auto add = [&](const char* option, const std::string& value) {
    words.insert(words.end(), {option, value});
  };
  add("--runtime-word", run.runtime);
  for (const std::string& word : runtime_words(run)) add("--runtime-word", word);
  if (!run.options.exit_file.empty()) add("--exit-file", std::filesystem::absolute(run.options.exit_file));
  for (const Opened& opened : sockets.opened) {
    for (const MadeName& made : opened.made)
      add(made.kind() == MadeName::Kind::path ? "--remove-path" : "--remove-queue", made.to_words());
  }
  return words;
}

int clean_up_container(const std::vector<std::string>& words) {
  CleanUp job;
  const auto description = describe(job);
  const CommandLine command_line = parse_command_line(words, description);
  if (answered(command_line, Hop::launcher, usage, description)) return 0;
  clean_up(job);
  return 0;
}

// Monitor and runtime cannot be asked how far they have come, nor be waited for as children. But they are of
// this user's, are called by the names that the launcher has called them by, and have the bundle on their
// command lines. The exit command is this program, has the directory, and does the rest when there was a
// container to end.
void clean_up_unstarted(const std::vector<std::string>& words, const std::string& monitor,
                        const Caretaker::Notes& notes) {
  CleanUp job;
  parse_command_line(words, describe(job));
  const std::string bundle = ContainerPlace{job.directory}.bundle();
  const Deadline end = after(clean_up_patience);
  while (true) {
    const Processes busy = processes_of_run({monitor, job.runtime.front()}, bundle);
    const Processes cleaning = processes_of_run({find_own_program("launcher")}, job.directory);
    if (busy.empty() && cleaning.empty()) break;
    const std::string status = status_of(job);
    if (status == "running") return;
    if (status == "created") call_runtime(job, {"delete", "--force", job.id});
    if (std::chrono::steady_clock::now() >= end) {
      // Stopped, or it hangs.
      for (const Processes* const late : {&busy, &cleaning})
        for (const OwnedFd& process : *late) signal_pidfd(process.get(), SIGKILL);
      break;
    }
    wait_for_one_of(busy, cleaning, end);
  }
  remove_names(notes);
  clean_up(job);  // the directory last: when it has gone, all is done
}

}  // namespace fdchain
