#pragma once

namespace fdchain {

// Each takes this process out of a namespace of the host's, or throws Failure with a sentence that says which
// namespace was refused, and what to do.

/// A user namespace with one user and one group: root, which is the caller.
void enter_user_namespace();

/// A network namespace with loopback up and nothing else.
void enter_network_namespace();

/// A mount namespace. It hears of the host's changes, and the host does not hear of its.
void enter_mount_namespace();

/// The next child will be process 1 of a new pid namespace.
void make_pid_namespace_for_child();

}  // namespace fdchain
