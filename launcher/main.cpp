// The launcher, podman's part of the chain, and the user's front end.

#include "fdchain/program/checkpoint.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/system/arrival.h"
#include "launcher/options.h"
#include "launcher/run.h"

int main(int argc, char** argv) {
  using namespace fdchain;
  return guarded(Hop::launcher, [&] {
    Arrival arrival = arrive();
    checkpoint(arrival.environment, Hop::launcher, Moment::arrival);
    log::start(Hop::launcher);
    std::vector<std::string> words(argv + 1, argv + argc);
    if (!words.empty() && words.front() == "run") words.erase(words.begin());
    const auto options = parse_run_options(words);
    return options ? run_chain(*options, std::move(arrival)) : 0;
  });
}
