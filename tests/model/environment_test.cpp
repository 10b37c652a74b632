#include "fdchain/model/environment.h"

#include <gtest/gtest.h>

namespace fdchain {
namespace {

using Strings = std::vector<std::string>;

TEST(Environment, TheFirstAssignmentWinsAsWithGetenv) {
  const Environment environment({"A=1", "A=2", "AB=3"});
  EXPECT_EQ(environment.get("A"), "1");
  EXPECT_EQ(environment.get("AB"), "3");
  EXPECT_EQ(environment.get("B"), std::nullopt);
}

TEST(Environment, SetLeavesOneAssignmentWhereTheFirstWas) {
  Environment environment({"X=0", "A=1", "A=2", "Y=9", "A=3"});
  environment.set("A", "new");
  EXPECT_EQ(environment.assignments(), (Strings{"X=0", "A=new", "Y=9"}));
  environment.set("B", "");
  EXPECT_EQ(environment.assignments(), (Strings{"X=0", "A=new", "Y=9", "B="}));
}

TEST(Environment, UnsetTakesEveryDuplicateAndNoNameThatOnlyBeginsAlike) {
  Environment environment({"A=1", "AA=2", "A=3", "A"});
  environment.unset("A");
  EXPECT_EQ(environment.assignments(), (Strings{"AA=2", "A"}));
}

TEST(Environment, TheLastOfEachNameCanBeTheOneThatIsKept) {
  Environment environment({"A=1", "noequals", "B=1", "A=2", "AB=1", "B=", "noequals"});
  environment.keep_last_of_each();
  EXPECT_EQ(environment.assignments(), (Strings{"noequals", "A=2", "AB=1", "B=", "noequals"}));
}

}  // namespace
}  // namespace fdchain
