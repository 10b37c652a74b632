#include "fdchain/plan/edits/asked.h"

#include "fdchain/model/variables.h"

namespace fdchain {

AskedEdits asked_edits(const Environment& environment) {
  AskedEdits asked;
  if (const auto faults = environment.get(fault_name)) asked.faults = parse_faults(*faults);
  if (const auto profiles = environment.get(profile_name)) asked.profiles = parse_profiles(*profiles);
  return asked;
}

}  // namespace fdchain
