#include "fdchain/program/isolation_options.h"

#include <fmt/format.h>

#include <filesystem>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

bool is_isolated(std::string_view option, const std::string& text, std::string_view isolated) {
  if (text == isolated) return true;
  if (text == "host") return false;
  throw Failure(fmt::format("{} {}: not one of {}, host", option, printable(text), isolated));
}

}  // namespace

po::options_description isolation_options(IsolationTexts& texts) {
  po::options_description options("Isolation of the payload");
  options.add_options()  //
      ("network", po::value(&texts.network)->value_name("none|host"),
       "none: a network with nothing in it but loopback; the sockets work as ever")  //
      ("pid", po::value(&texts.pid)->value_name("private|host"),
       "private: the payload is process 1 of a pid namespace with a /proc of its own")  //
      ("userns", po::value(&texts.userns)->value_name("private|host"),
       "private: the payload is root of a user namespace, and the caller outside; lets an ordinary user have "
       "the others")  //
      ("rootfs", po::value(&texts.rootfs)->value_name("DIR"),
       "DIR becomes the payload's /, with a /proc, a small /dev and the notify socket");
  return options;
}

Isolation parse_isolation(const IsolationTexts& texts) {
  Isolation isolation;
  isolation.network = is_isolated("--network", texts.network, "none");
  isolation.pid = is_isolated("--pid", texts.pid, "private");
  isolation.user = is_isolated("--userns", texts.userns, "private");
  // The next program may have another working directory.
  if (!texts.rootfs.empty()) isolation.rootfs = std::filesystem::absolute(texts.rootfs);
  return isolation;
}

std::vector<std::string> to_words(const Isolation& isolation) {
  std::vector<std::string> words;
  const auto add = [&](bool asked, const char* option, const std::string& value) {
    if (asked) words.insert(words.end(), {option, value});
  };
  add(isolation.network, "--network", "none");
  add(isolation.pid, "--pid", "private");
  add(isolation.user, "--userns", "private");
  add(!isolation.rootfs.empty(), "--rootfs", isolation.rootfs);
  return words;
}

}  // namespace fdchain
