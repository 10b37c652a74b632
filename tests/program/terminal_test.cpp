#include "fdchain/program/terminal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {
namespace {

constexpr std::array heeded{"NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM", "COLUMNS"};

/// A terminal so many columns wide, a file that is none, and an environment without a word about them.
class Terminal : public ::testing::Test {
 protected:
  Terminal() {
    for (std::size_t i = 0; i < heeded.size(); ++i) {
      if (const char* const value = std::getenv(heeded[i])) before_[i] = value;
      ::unsetenv(heeded[i]);
    }
  }
  ~Terminal() override {
    for (std::size_t i = 0; i < heeded.size(); ++i) {
      ::unsetenv(heeded[i]);
      if (before_[i]) ::setenv(heeded[i], before_[i]->c_str(), 1);
    }
  }

  static void set(const char* name, const char* value) { ::setenv(name, value, 1); }

  [[nodiscard]] int terminal(unsigned short columns = 0) const {
    const winsize size{24, columns, 0, 0};
    EXPECT_EQ(::ioctl(terminal_.get(), TIOCSWINSZ, &size), 0);
    return terminal_.get();
  }
  [[nodiscard]] int file() const { return file_.get(); }

 private:
  OwnedFd terminal_{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  OwnedFd file_{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  std::array<std::optional<std::string>, heeded.size()> before_;
};

TEST_F(Terminal, SaysHowWideItIs) {
  EXPECT_EQ(columns_of(terminal(133), 100), 133U);
  EXPECT_EQ(columns_of(terminal(0), 100), 100U);
  EXPECT_EQ(columns_of(file(), 80), 80U);
}

TEST_F(Terminal, ColumnsOverridesIt) {
  set("COLUMNS", "70");
  EXPECT_EQ(columns_of(terminal(133), 100), 70U);
  EXPECT_EQ(columns_of(file(), 100), 70U);
  for (const char* const nonsense : {"", "0", "-3", "wide", "99999999999"}) {
    set("COLUMNS", nonsense);
    EXPECT_EQ(columns_of(terminal(133), 100), 133U) << nonsense;
  }
}

TEST_F(Terminal, IsNeverTooNarrowToLayOutATable) {
  EXPECT_EQ(columns_of(terminal(5), 100), 40U);
  EXPECT_EQ(columns_of(terminal(5000), 100), 1000U);
}

TEST_F(Terminal, AloneIsColoured) {
  EXPECT_TRUE(wants_colour(terminal()));
  EXPECT_FALSE(wants_colour(file()));
  set("TERM", "dumb");
  EXPECT_FALSE(wants_colour(terminal()));
}

TEST_F(Terminal, VariablesForceColour) {
  for (const char* const name : {"FORCE_COLOR", "CLICOLOR_FORCE"}) {
    set(name, "0");
    EXPECT_FALSE(wants_colour(file())) << name;
    set(name, "1");
    EXPECT_TRUE(wants_colour(file())) << name;
    set("NO_COLOR", "");
    EXPECT_TRUE(wants_colour(file())) << "empty is as good as not there";
    set("NO_COLOR", "1");
    EXPECT_FALSE(wants_colour(file())) << name;
    ::unsetenv(name);
    EXPECT_FALSE(wants_colour(terminal()));
    ::unsetenv("NO_COLOR");
  }
}

TEST_F(Terminal, AChoiceOverridesEveryVariable) {
  set("NO_COLOR", "1");
  EXPECT_TRUE(wants_colour(file(), parse_colour_choice("always")));
  ::unsetenv("NO_COLOR");
  set("FORCE_COLOR", "1");
  EXPECT_FALSE(wants_colour(terminal(), parse_colour_choice("never")));
  EXPECT_TRUE(wants_colour(file(), parse_colour_choice("auto")));
}

TEST(ColourChoice, IsOneOfThree) {
  for (const char* const text : {"", "yes", "Always", "on"}) {
    try {
      parse_colour_choice(text);
      ADD_FAILURE() << text;
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.what(), "--color " + std::string(text) + ": not one of auto, always, never");
    }
  }
}

}  // namespace
}  // namespace fdchain
