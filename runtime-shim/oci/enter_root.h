// The way from the host's root to the container's.
#pragma once

#include "fdchain/system/fs/rootfs.h"

namespace fdchain::oci {

/// Makes `root`, a mount, this process's /, and lets go of the host's. With `no_pivot` by moving it there,
/// for a host's root that pivot_root(2) cannot leave: an initramfs. Of what is mounted on that nothing stays
/// then either; of the host's /proc and /sys nothing may, for to whoever has one in his mount namespace the
/// kernel gives another, without masks.
void enter_root(const RootDirectory& root, bool no_pivot);

}  // namespace fdchain::oci
