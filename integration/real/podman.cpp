#include "integration/real/podman.h"

#include <filesystem>
#include <fstream>

#include "integration/harness/program.h"
#include "integration/harness/rootfs.h"
#include "integration/real/monitored.h"

namespace fdchain::test {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

Podman::Podman(std::string directory, std::string conmon, std::string runtime)
    : directory_(std::move(directory)), conmon_(std::move(conmon)), runtime_(std::move(runtime)) {
  make_rootfs(file("root"), true);
  for (const auto* const name : {"proc", "dev", "sys", "tmp", "etc", "run", "usr"})
    fs::create_directories(file(std::string("root/") + name));
  std::ofstream(file("root/etc/passwd")) << "root:x:0:0:root:/:/bin/sh\n";
}

Podman::~Podman() {
  Start start;
  start.argv = placed(command({"rm", "--all", "--force", "--time", "0"}));
  test::run(start);
  // Its overlay of nothing stays mounted otherwise.
  start.argv = {"umount", file("storage/overlay")};
  test::run(start);
}

Words Podman::command(const Words& words) const {
  Words all{"podman",        "--root",           file("storage"), "--runroot",
            file("runroot"), "--tmpdir",         file("tmp"),     "--storage-driver",
            "vfs",           "--cgroup-manager", "cgroupfs",      "--events-backend",
            "none",          "--conmon",         conmon_,         "--runtime",
            runtime_};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

Words Podman::run(const Words& options, const Words& command) const {
  // Limits below the usual ones: not every machine lets a container's be raised.
  Words words{"run", "--network=none", "--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000"};
  if (is_crun()) words.emplace_back("--cgroups=disabled");
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--rootfs", file("root")});
  words.insert(words.end(), command.begin(), command.end());
  return this->command(words);
}

Words Podman::placed(Words command) const {
  return is_crun() ? with_cgroup2(std::move(command)) : std::move(command);
}

bool Podman::is_crun() const { return fs::path(runtime_).filename() == "crun"; }

}  // namespace fdchain::test
