#include "launcher/report/list_profiles.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "fdchain/plan/edits/profile.h"
#include "fdchain/program/options.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

namespace json = boost::json;
namespace po = boost::program_options;

constexpr std::string_view usage =
    "Usage: launcher profiles [--json]\n\n"
    "Lists what `launcher --profile NAME`, or `--profile HOP=NAME` for one hop, has real versions do.\n";

std::string_view or_ideal(std::string_view name) { return name.empty() ? ideal_profile : name; }

std::string as_text() {
  std::string text =
      fmt::format("{:<12} {:<12} {:<12} {:<14}\n", "NAME", "launcher", "monitor", "runtime-shim");
  for (const ChainProfile& chain : chain_profiles()) {
    text += fmt::format("{:<12} {:<12} {:<12} {:<14} {}\n", chain.name, or_ideal(chain.launcher),
                        or_ideal(chain.monitor), or_ideal(chain.runtime_shim), chain.summary);
  }
  text += '\n';
  for (const Profile& profile : all_profiles())
    text += fmt::format("{}={}: {}\n", to_string(profile.hop), profile.name, profile.summary);
  return text;
}

std::string as_json() {
  json::array chains;
  for (const ChainProfile& chain : chain_profiles()) {
    chains.push_back(json::object{{"name", chain.name},
                                  {"launcher", or_ideal(chain.launcher)},
                                  {"monitor", or_ideal(chain.monitor)},
                                  {"runtime-shim", or_ideal(chain.runtime_shim)},
                                  {"summary", chain.summary}});
  }
  json::array hops;
  for (const Profile& profile : all_profiles()) {
    hops.push_back(
        json::object{{"name", profile.name}, {"hop", to_string(profile.hop)}, {"summary", profile.summary}});
  }
  return json::serialize(json::object{{"profiles", std::move(chains)}, {"hops", std::move(hops)}}) + '\n';
}

}  // namespace

int list_profiles(const std::vector<std::string>& words) {
  bool wants_json = false;
  po::options_description own("Options");
  own.add_options()("json", po::bool_switch(&wants_json), "for scripts");
  own.add(common_options());
  const CommandLine command_line = parse_command_line(words, own);
  if (!answered(command_line, Hop::launcher, usage, own))
    write_all_patiently(STDOUT_FILENO, wants_json ? as_json() : as_text(), "stdout");
  return 0;
}

}  // namespace fdchain
