#include "launcher/oci/runtime.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/protocol/runtime_log.h"

namespace fdchain {
namespace {

// Of the run itself nobody is to hear who has no part in it.
Environment plain(Environment environment) {
  unset_listen_env(environment);
  for (const auto name : {trace_name, fault_name, profile_name, notify_socket_name}) environment.unset(name);
  return environment;
}

}  // namespace

Outcome call_runtime(const ContainerRun& run, const std::vector<std::string>& words,
                     const sigset_t& signal_mask, std::chrono::milliseconds limit,
                     const std::function<bool()>& given_up) {
  std::vector<std::string> command{run.runtime};
  for (std::string& word : runtime_words(run)) command.push_back(std::move(word));
  command.insert(command.end(), words.begin(), words.end());
  return run_command(command, plain(run.environment), signal_mask, limit, given_up);
}

std::optional<std::string> last_error_in(const std::string& runtime_log) {
  std::optional<std::string> said;
  std::ifstream log(runtime_log);
  for (std::string line; std::getline(log, line);) {
    if (auto text = decode_runtime_error(line)) said = std::move(text);
  }
  return said;
}

int status_of_refusal(std::string said) {
  std::ranges::transform(said, said.begin(), [](unsigned char letter) { return std::tolower(letter); });
  const auto says = [&](const char* words) { return said.find(words) != std::string::npos; };
  if (says("permission denied")) return exit_status::cannot_invoke;
  if (says("not found") || says("no such file")) return exit_status::not_found;
  return exit_status::hop_failed;
}

std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return printable(text, 1000);
}

std::string why_not(const Outcome& outcome) {
  const std::string said = one_line(outcome.said);
  return said.empty() ? outcome.status.describe() + " without a word" : said;
}

}  // namespace fdchain
