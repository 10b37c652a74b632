// What the scenarios cover: every fault, and every finding a judge can make.

#include "integration/runner/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "fdchain/model/finding.h"
#include "fdchain/plan/edits/fault.h"
#include "fdchain/plan/edits/profile.h"

namespace fdchain::test {
namespace {

std::vector<Scenario> all_scenarios() {
  std::vector<Scenario> scenarios;
  for (const std::string& file : scenario_files(FDCHAIN_SOURCE_DIR "/integration/scenarios"))
    scenarios.push_back(read_scenario(file));
  return scenarios;
}

TEST(Scenarios, ShowEveryFaultWithItsFinding) {
  std::set<std::string> shown;
  for (const Scenario& scenario : all_scenarios()) {
    for (const std::string& text : faults_in(scenario)) {
      const FaultRequest request = parse_fault(text);
      const Fault& fault = *find_fault(request.name);
      for (const ExpectedFinding& finding : scenario.findings) {
        const std::string culprit = finding.culprit.substr(finding.culprit.rfind('/') + 1);
        if (finding.id == fault.finding && culprit == to_string(culprit_of(request)))
          shown.insert(request.name);
      }
    }
  }
  std::set<std::string> expected;
  for (const Fault& fault : all_faults()) expected.emplace(fault.name);
  EXPECT_EQ(shown, expected);
}

TEST(Scenarios, ShowEveryProfile) {
  std::set<std::string> shown;
  for (const Scenario& scenario : all_scenarios()) {
    for (const ChainProfile& chain : chain_profiles()) {
      const std::string option = "--profile " + std::string(chain.name) + ' ';
      if (scenario.run.find(option) != std::string::npos) shown.emplace(chain.name);
    }
  }
  std::set<std::string> expected;
  for (const ChainProfile& chain : chain_profiles()) expected.emplace(chain.name);
  EXPECT_EQ(shown, expected);
}

TEST(Scenarios, ProduceEveryFinding) {
  std::set<std::string> produced;
  for (const Scenario& scenario : all_scenarios()) {
    for (const ExpectedFinding& finding : scenario.findings) produced.insert(finding.id);
  }
  produced.insert("expectation-failed");  // not of a hop's making alone: a user has to expect something
  EXPECT_EQ(produced, std::set<std::string>(finding_ids.begin(), finding_ids.end()));
}

TEST(Faults, AreFortyAtLeastAndOneOfEveryClass) {
  std::set<char> classes;
  for (const Fault& fault : all_faults()) classes.insert(fault.bug_class);
  EXPECT_GE(all_faults().size(), 40U);
  for (char wanted = 'A'; wanted <= 'R'; ++wanted) EXPECT_TRUE(classes.contains(wanted)) << wanted;
}

TEST(Faults, GiveAFindingThatExists) {
  for (const Fault& fault : all_faults())
    EXPECT_THAT(finding_ids, ::testing::Contains(fault.finding)) << fault.name;
}

}  // namespace
}  // namespace fdchain::test
