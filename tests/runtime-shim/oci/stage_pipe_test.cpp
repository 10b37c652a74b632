// What the runtime and the container in the making say to each other.

#include "runtime-shim/oci/stage_pipe.h"

#include <gtest/gtest.h>

#include "fdchain/model/failure.h"
#include "fdchain/system/fd/handshake.h"

namespace fdchain::oci {
namespace {

TEST(StagePipe, AMessageIsOneWordAndItsText) {
  const SocketPair pair = make_socket_pair();
  send(pair.ours, StageMessage::Kind::warning, "a text\nof two lines");
  send(pair.ours, StageMessage::Kind::ready);
  const StageMessage first = receive(pair.theirs);
  EXPECT_EQ(first.kind, StageMessage::Kind::warning);
  EXPECT_EQ(first.text, "a text\nof two lines");
  const StageMessage second = receive(pair.theirs);
  EXPECT_EQ(second.kind, StageMessage::Kind::ready);
  EXPECT_EQ(second.text, "");
}

TEST(StagePipe, WhatIsTooLongIsCut) {
  const SocketPair pair = make_socket_pair();
  send(pair.ours, StageMessage::Kind::failed, std::string(100'000, 'x'));
  EXPECT_EQ(receive(pair.theirs).text, std::string(16'383, 'x'));
}

TEST(StagePipe, TheEndOfTheOtherSideIsAnEnd) {
  SocketPair pair = make_socket_pair();
  pair.theirs.close();
  send(pair.ours, StageMessage::Kind::go);  // nobody is there, and no signal says so
  EXPECT_EQ(receive(pair.ours).kind, StageMessage::Kind::end);
}

std::string refusal_of_wait(const OwnedFd& pipe) try {
  receive(pipe, StageMessage::Kind::go);
  return "";
} catch (const Failure& failure) {
  return failure.what();
}

TEST(StagePipe, AnotherWordThanTheExpectedOneIsRefused) {
  SocketPair pair = make_socket_pair();
  send(pair.ours, StageMessage::Kind::go);
  EXPECT_EQ(refusal_of_wait(pair.theirs), "");
  send(pair.ours, StageMessage::Kind::ready);
  EXPECT_EQ(refusal_of_wait(pair.theirs), "an unexpected word on the stage pipe");
  pair.ours.close();
  EXPECT_EQ(refusal_of_wait(pair.theirs), "the runtime has died");
}

}  // namespace
}  // namespace fdchain::oci
