// The life of a container's first process, and of one that joins it, up to their exec.
//
// It is a fork of the runtime, which is single-threaded, with an address space of its own: ordinary code is
// allowed in it. When everything is arranged, the last steps are a plan like every hop's, carried out by
// become() of the child side.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/oci_config.h"
#include "fdchain/system/fd/owned_fd.h"
#include "runtime-shim/oci/console.h"
#include "runtime-shim/oci/hooks.h"
#include "runtime-shim/oci/privileges.h"
#include "runtime-shim/oci/stage_pipe.h"

namespace fdchain::oci {

/// A namespace to join.
struct Joined {
  int kind = 0;  ///< CLONE_NEW…
  OwnedFd fd;
};

/// What the container's process is made with. All descriptors are close-on-exec.
struct ExecParams {
  Process process;
  Groups groups = Groups::as_configured;
  int preserved = 0;                   ///< descriptors from 3 upwards to pass on
  std::optional<ListenEnv> announced;  ///< sockets among them that the payload is to be told of
  OwnedFd pipe;                        ///< to the runtime
  OwnedFd console;                     ///< where the terminal is to be sent
  Newlines newlines = Newlines::with_return;
};

/// The same for a first process.
struct InitParams : ExecParams {
  Config config;
  std::string id;
  std::string root;
  std::vector<Joined> joined;
  std::vector<std::string> own_namespaces;  ///< the types of those that are not the runtime's too
  int new_namespaces = 0;                   ///< CLONE_NEW…, but for those that it is forked into
  bool makes_users = false;                 ///< it is forked into a new user namespace
  bool in_user_namespace = false;
  bool no_pivot = false;
  bool no_new_keyring = false;
  HookFiles hook_files;
  OwnedFd state;  ///< a file in memory where hooks find the state, once the runtime says go
  OwnedFd fifo;   ///< where `start` will write; none: the runtime says it
};

/// The whole life of a first process.
[[noreturn]] void run_init(InitParams& params) noexcept;

/// The whole life of a process that joins a container, forked into its namespaces.
[[noreturn]] void run_exec(ExecParams& params, bool in_user_namespace) noexcept;

/// The flag of clone(2) for a type of namespace as config.json names it. Throws Failure for another.
int namespace_flag(const std::string& type);

}  // namespace fdchain::oci
