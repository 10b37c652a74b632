#include "fdchain/system/fd/sys.h"

#include "fdchain/model/printable.h"

namespace fdchain {

void fail(int error, std::string_view call, std::string_view subject) {
  std::string what(call);
  if (!subject.empty()) what.append(" ").append(printable(subject));
  throw std::system_error(error, std::generic_category(), what);
}

}  // namespace fdchain
