// What the runtime and the container in the making say to each other.

#include "runtime-shim/oci/stage_pipe.h"

#include <gtest/gtest.h>

#include "fdchain/model/failure.h"
#include "fdchain/system/fd/handshake.h"

namespace fdchain::oci {
namespace {

TEST(StagePipe, AMessageIsOneWordAndItsText) {
  const SocketPair pair = make_socket_pair();
  say(pair.ours, Word::warning, "a text\nof two lines");
  say(pair.ours, Word::ready);
  const StageMessage first = hear(pair.theirs);
  EXPECT_EQ(first.word, Word::warning);
  EXPECT_EQ(first.text, "a text\nof two lines");
  const StageMessage second = hear(pair.theirs);
  EXPECT_EQ(second.word, Word::ready);
  EXPECT_EQ(second.text, "");
}

TEST(StagePipe, WhatIsTooLongIsCut) {
  const SocketPair pair = make_socket_pair();
  say(pair.ours, Word::failed, std::string(100'000, 'x'));
  EXPECT_EQ(hear(pair.theirs).text, std::string(16'383, 'x'));
}

TEST(StagePipe, TheEndOfTheOtherSideIsAnEnd) {
  SocketPair pair = make_socket_pair();
  pair.theirs.close();
  say(pair.ours, Word::go);  // nobody is there, and no signal says so
  EXPECT_EQ(hear(pair.ours).word, Word::end);
}

std::string refusal_of_wait(const OwnedFd& pipe) try {
  await(pipe, Word::go);
  return "";
} catch (const Failure& failure) {
  return failure.what();
}

TEST(StagePipe, AnotherWordThanTheExpectedOneIsRefused) {
  SocketPair pair = make_socket_pair();
  say(pair.ours, Word::go);
  EXPECT_EQ(refusal_of_wait(pair.theirs), "");
  say(pair.ours, Word::ready);
  EXPECT_EQ(refusal_of_wait(pair.theirs), "an unexpected word on the stage pipe");
  pair.ours.close();
  EXPECT_EQ(refusal_of_wait(pair.theirs), "the runtime has died");
}

}  // namespace
}  // namespace fdchain::oci
