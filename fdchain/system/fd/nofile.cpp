#include "fdchain/system/fd/nofile.h"

namespace fdchain {

RaisedNofile::RaisedNofile() noexcept {
  if (::getrlimit(RLIMIT_NOFILE, &before_) < 0 || before_.rlim_cur == before_.rlim_max) return;
  const rlimit most{before_.rlim_max, before_.rlim_max};
  raised_ = ::setrlimit(RLIMIT_NOFILE, &most) == 0;
}

RaisedNofile::~RaisedNofile() {
  if (raised_) (void)::setrlimit(RLIMIT_NOFILE, &before_);  // lowering is never refused
}

}  // namespace fdchain
