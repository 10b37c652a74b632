// The calls that mounts are made of: fsopen(2), open_tree(2), mount_setattr(2), move_mount(2). Everything
// goes by descriptor, and `subject` is for the message.
#pragma once

#include <cstdint>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/plan/mount_options.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::oci {

/// A file system that the kernel did not want to make.
class NoFileSystem : public Failure {
 public:
  NoFileSystem(const std::string& text, int error) : Failure(text), error_(error) {}

  [[nodiscard]] int error() const noexcept { return error_; }

 private:
  int error_;
};

/// A new file system that is mounted nowhere yet. Throws NoFileSystem.
OwnedFd new_file_system(const std::string& type, const std::string& source, const MountOptions& options,
                        const std::string& subject);

/// A copy of a mount that is mounted nowhere yet: of the one that `path` of `directory` leads to, or of
/// `directory` itself when that is empty.
OwnedFd clone_of(int directory, const std::string& path, bool recursive, const std::string& subject);

/// The number of the mount that a descriptor, or `path` of its directory, is of.
int mount_of(int directory, const char* path = "");

void set_attributes(int tree, const MountAttributes& attributes, bool recursive, const std::string& subject);
void set_propagation(int tree, std::uint64_t propagation, bool recursive, const std::string& subject);

/// Mounts `tree` on `target`. Both descriptors stay what they were: the one of the mount, and the one of what
/// it hides.
void attach(int tree, int target, const std::string& subject);

}  // namespace fdchain::oci
