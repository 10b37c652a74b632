#include "fdchain/program/help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fdchain {
namespace {

namespace po = boost::program_options;

po::options_description described() {
  po::options_description options;
  options.add_options()                                                                            //
      ("listen,l", po::value<std::string>()->value_name("ADDRESS"), "open a socket of one's own")  //
      ("report", po::value<std::string>()->value_name("FORMAT[:FILE]"),
       "after the run, say what happened as text, json, mermaid or dot; to stderr without FILE")  //
      ("help,h", "print this and exit");
  return options;
}

constexpr const char* usage =
    "Usage: thing [OPTIONS] WORD\n"
    "\n"
    "Does what a thing of its kind does, and says with a sentence of some length that it has done it.\n"
    "\n"
    "  thing --listen 8080 word\n"
    "word\twhat the thing is done with, whatever it may be that it is done with, and nothing else\n";

TEST(Help, FitsEightyColumns) {
  EXPECT_EQ(help_text(usage, described(), 80),
            "Usage: thing [OPTIONS] WORD\n"
            "\n"
            "Does what a thing of its kind does, and says with a sentence of some length that\n"
            "it has done it.\n"
            "\n"
            "  thing --listen 8080 word\n"
            "  word                  what the thing is done with, whatever it may be that it\n"
            "                        is done with, and nothing else\n"
            "\n"
            "Options:\n"
            "  -l, --listen ADDRESS  open a socket of one's own\n"
            "      --report FORMAT[:FILE]\n"
            "                        after the run, say what happened as text, json, mermaid\n"
            "                        or dot; to stderr without FILE\n"
            "  -h, --help            print this and exit\n");
}

TEST(Help, IsReadableInFiftyColumns) {
  EXPECT_EQ(help_text(usage, described(), 50),
            "Usage: thing [OPTIONS] WORD\n"
            "\n"
            "Does what a thing of its kind does, and says with\n"
            "a sentence of some length that it has done it.\n"
            "\n"
            "  thing --listen 8080 word\n"
            "  word  what the thing is done with, whatever it\n"
            "        may be that it is done with, and nothing\n"
            "        else\n"
            "\n"
            "Options:\n"
            "  -l, --listen ADDRESS\n"
            "        open a socket of one's own\n"
            "      --report FORMAT[:FILE]\n"
            "        after the run, say what happened as text,\n"
            "        json, mermaid or dot; to stderr without\n"
            "        FILE\n"
            "  -h, --help\n"
            "        print this and exit\n");
}

}  // namespace
}  // namespace fdchain
