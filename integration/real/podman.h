// The real podman, with storage of its own and whichever conmon and runtime.
#pragma once

#include <string>
#include <vector>

namespace fdchain::test {

/// A podman whose containers and mounts are gone with it.
class Podman {
 public:
  /// Everything of it is in `directory`, which is to be there; a root file system with a shell and fdchain's
  /// payload is made in it.
  Podman(std::string directory, std::string conmon, std::string runtime);
  ~Podman();
  Podman(const Podman&) = delete;
  Podman& operator=(const Podman&) = delete;

  /// `podman WORDS`
  [[nodiscard]] std::vector<std::string> command(const std::vector<std::string>& words) const;

  /// `podman run OPTIONS --rootfs … COMMAND`, without a network and within this machine's limits.
  [[nodiscard]] std::vector<std::string> run(const std::vector<std::string>& options,
                                             const std::vector<std::string>& command) const;

  /// The command where the runtime can do its work: crun refuses a mixture of cgroup versions.
  [[nodiscard]] std::vector<std::string> placed(std::vector<std::string> command) const;

 private:
  [[nodiscard]] std::string file(const std::string& name) const { return directory_ + '/' + name; }
  [[nodiscard]] bool is_crun() const;

  std::string directory_;
  std::string conmon_;
  std::string runtime_;
};

}  // namespace fdchain::test
