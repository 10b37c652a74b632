// What a container's monitor runs when the container has ended.

#include <sys/wait.h>
#include <unistd.h>

#include <boost/program_options.hpp>
#include <fstream>

#include "fdchain/program/log.h"
#include "fdchain/program/options.h"
#include "fdchain/system/files.h"
#include "fdchain/system/listening_socket.h"
#include "fdchain/system/signals.h"
#include "launcher/container/command.h"
#include "launcher/container/container.h"
#include "launcher/container/directory.h"

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

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int clean_up_container(const std::vector<std::string>& words) {
  CleanUp job;
  const auto description = describe(job);
  const CommandLine command_line = parse_command_line(words, description);
  if (answered(command_line, Hop::launcher, usage, description)) return 0;
  const ContainerPlace place{job.directory};
  const OwnedFd lock = hold(place);
  if (!lock) return 0;  // the launcher has done it
  for (const std::string& path : job.paths) MadeName::known(MadeName::Kind::path, path).remove();
  for (const std::string& queue : job.queues) MadeName::known(MadeName::Kind::message_queue, queue).remove();
  std::vector<std::string> command = job.runtime;
  command.insert(command.end(), {"delete", "--force", job.id});
  constexpr auto patience = std::chrono::seconds(20);
  const Outcome outcome = run_command(command, {}, current_signal_mask(), patience);
  if (outcome.status != WaitStatus::for_exit_code(0)) log::warn("{}: {}", command.front(), outcome.said);
  if (const std::string status = read_all(place.exits() + '/' + job.id);
      !job.exit_file.empty() && !status.empty())
    write_file_atomically(job.exit_file, status, "--exit-file", Durable::yes);
  remove(place);
  return 0;
}

}  // namespace fdchain
