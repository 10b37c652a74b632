#include "launcher/report/list_faults.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <set>

#include "fdchain/plan/edits/fault.h"
#include "fdchain/program/options.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

namespace json = boost::json;
namespace po = boost::program_options;

constexpr std::string_view usage =
    "Usage: launcher faults [--json]\n"
    "\n"
    "Lists the mistakes that `launcher --fault HOP:NAME[=ARG]` can have a hop make: the class and the name, "
    "what it "
    "does, the hops that can make it, the finding that the judge then has, and the real bug that it "
    "replays.\n";

std::string hops_of(const Fault& fault) {
  std::string text;
  for (const Hop hop : fault.hops) text.append(text.empty() ? "" : ", ").append(to_string(hop));
  return text;
}

// What the letters mean, of those that there are.
std::string legend() {
  std::set<char> classes;
  for (const Fault& fault : all_faults()) classes.insert(fault.bug_class);
  std::string text = "Each fault has the letter of its class:\n";
  for (const char bug_class : classes) text += fmt::format("  {}  {}\n", bug_class, class_meaning(bug_class));
  return text + '\n';
}

std::string as_text() {
  std::string text = legend();
  for (const Fault& fault : all_faults()) {
    const std::string name =
        std::string(fault.name) + (fault.argument.empty() ? "" : "=" + std::string(fault.argument));
    text += fmt::format("{}  {:<28} {}\n   {:<28} at {}; gives {}\n   {:<28} {}\n", fault.bug_class, name,
                        fault.summary, "", hops_of(fault), fault.finding, "", fault.bug);
  }
  return text;
}

std::string as_json() {
  json::array faults;
  for (const Fault& fault : all_faults()) {
    json::array hops;
    for (const Hop hop : fault.hops) hops.emplace_back(to_string(hop));
    faults.push_back(json::object{{"name", fault.name},
                                  {"argument", fault.argument},
                                  {"hops", std::move(hops)},
                                  {"class", std::string(1, fault.bug_class)},
                                  {"bug", fault.bug},
                                  {"finding", fault.finding},
                                  {"summary", fault.summary}});
  }
  return json::serialize(json::object{{"faults", std::move(faults)}}) + '\n';
}

}  // namespace

int list_faults(const std::vector<std::string>& words) {
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
