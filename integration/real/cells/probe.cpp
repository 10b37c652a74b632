// Stands in for a program of a real chain: writes down what it was started with, and becomes that program.
//
// A copy of it has the program's name, since podman goes by that, and beside it a file NAME.probe with four
// lines: the hop, the trace (RUN:FILE), the program, and a word without which a call is not recorded.

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "fdchain/system/observe_process.h"
#include "fdchain/system/trace_file.h"

int main(int argc, char** argv) {
  using namespace fdchain;
  HopRecord record = observe_process(Hop::runtime_shim, Moment::arrival);
  std::string hop;
  std::string trace;
  std::string program;
  std::string word;
  std::ifstream file(record.exe + ".probe");
  std::getline(file, hop);
  std::getline(file, trace);
  std::getline(file, program);
  std::getline(file, word);
  file.close();
  record.hop = record.seen_by = parse_hop(hop).value_or(Hop::runtime_shim);
  const std::vector<std::string> words(argv, argv + argc);
  if (std::ranges::find(words, word) != words.end()) {
    const std::size_t colon = trace.find(':');
    Trace(trace.substr(0, colon), trace.substr(colon + 1)).append(record);
  }
  argv[0] = program.data();
  ::execv(program.c_str(), argv);
  ::_exit(127);
}
