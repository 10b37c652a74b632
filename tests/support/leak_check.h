#pragma once

#include <gtest/gtest.h>

#include <vector>

namespace fdchain::test {

/// Fails any test that ends with other open descriptors, or other children, than it started with.
class LeakListener : public ::testing::EmptyTestEventListener {
 public:
  void OnTestStart(const ::testing::TestInfo& test) override;
  void OnTestEnd(const ::testing::TestInfo& test) override;

 private:
  std::vector<int> fds_;
};

}  // namespace fdchain::test
