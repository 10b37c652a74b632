#include "launcher/report/listing.h"

#include <unistd.h>

#include "fdchain/program/options.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {

namespace po = boost::program_options;

int print_listing(const Listing& listing, const std::vector<std::string>& words) {
  bool wants_json = false;
  po::options_description own("Options");
  own.add_options()("json", po::bool_switch(&wants_json), "for scripts");
  own.add(common_options());
  const CommandLine command_line = parse_command_line(words, own);
  if (!answered(command_line, Hop::launcher, listing.usage, own))
    write_all_patiently(STDOUT_FILENO, wants_json ? listing.as_json() : listing.as_text(), "stdout");
  return 0;
}

}  // namespace fdchain
