#include "integration/harness/user_manager.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "integration/harness/chain_test.h"
#include "integration/harness/wait_until.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;

// A control group of its own, that goes with it. Where the host has the old hierarchies too, systemd would
// take those: it gets the unified one alone. It will not be process 1 itself: that is for a system's manager.
constexpr const char* script = R"(
umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 1
group=/sys/fs/cgroup/fdchain-test-$$
mkdir $group || exit 1
sh -c 'echo $$ > $0/cgroup.procs; exec unshare -C -m -p -f --kill-child --mount-proc sh -c "
  umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup &&
  mount -t tmpfs none /run && mkdir -p /run/systemd/system || exit 1
  NOTIFY_SOCKET=$1/manager XDG_RUNTIME_DIR=$1/run HOME=$1/home /lib/systemd/systemd --user & wait"' $group "$0"
find $group -depth -type d -exec rmdir {} +
)";

std::string prepared(std::string directory) {
  fs::create_directories(directory + "/home/.config/systemd/user");
  fs::create_directory(directory + "/run");
  fs::permissions(directory + "/run", fs::perms::owner_all);
  return directory;
}

std::vector<pid_t> children_of(pid_t pid) {
  std::istringstream list(
      read_file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children"));
  std::vector<pid_t> children;
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

// The process below `pid` that is process 1 of a pid namespace.
pid_t first_process_below(pid_t pid) {
  for (const pid_t child : children_of(pid)) {
    std::istringstream status(read_file("/proc/" + std::to_string(child) + "/status"));
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("NSpid:") && line.ends_with("\t1")) return child;
    }
    if (const pid_t found = first_process_below(child); found != 0) return found;
  }
  return 0;
}

std::string without_newline(std::string text) {
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

UserManager::UserManager(std::string directory)
    : directory_(prepared(std::move(directory))), started_(directory_ + "/manager") {
  Start start;
  start.argv = {"unshare", "-m", "sh", "-c", script, directory_};
  program_ = std::make_unique<Program>(start);
  for (std::string said; said.find("READY=1") == std::string::npos;) {
    said = started_.receive();
    if (said.empty()) throw std::runtime_error("systemd --user does not start: " + program_->err());
  }
  first_ = first_process_below(program_->pid());
}

UserManager::~UserManager() { end(); }

void UserManager::end() {
  if (!program_) return;
  // With its process 1 the namespace ends, and what is in it.
  if (first_ != 0) ::kill(first_, SIGKILL);
  try {
    program_->finish();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "the user manager does not end: " << error.what();
  }
  program_.reset();
}

void UserManager::write_unit(const std::string& name, const std::string& text) const {
  fs::create_directories(fs::path(unit_directory() + '/' + name).parent_path());
  std::ofstream(unit_directory() + '/' + name) << text;
}

Result UserManager::inside(std::vector<std::string> command, std::chrono::seconds within) const {
  command.insert(command.begin(), {"nsenter", "-t", std::to_string(first_), "-m", "-p", "-C"});
  Start start;
  start.argv = std::move(command);
  start.environment = {"XDG_RUNTIME_DIR=" + directory_ + "/run", "HOME=" + home()};
  return run(start, within);
}

Result UserManager::systemctl(std::vector<std::string> words) const {
  words.insert(words.begin(), {"systemctl", "--user", "--no-pager"});
  return inside(std::move(words));
}

void UserManager::must(std::vector<std::string> words) const {
  const Result result = systemctl(words);
  if (result.status == WaitStatus::for_exit_code(0)) return;
  std::string unit = words.size() > 1 ? words.back() : "";
  throw std::runtime_error("systemctl " + words.front() + ' ' + unit + ": " + result.err +
                           (unit.empty() ? "" : systemctl({"status", unit}).out));
}

std::string UserManager::property(const std::string& unit, const std::string& name) const {
  return without_newline(systemctl({"show", "--value", "--property", name, unit}).out);
}

void UserManager::wait_for(const std::string& unit, const std::string& name, const std::string& value) const {
  wait_until(unit + ": " + name + '=' + value, [&] { return property(unit, name) == value; });
}

std::string UserManager::main_process(const std::string& unit) const {
  return without_newline(inside({"cat", "/proc/" + property(unit, "MainPID") + "/comm"}).out);
}

std::vector<std::string> UserManager::processes(const std::string& unit) const {
  const std::string group = property(unit, "ControlGroup");
  if (group.empty()) return {};
  std::istringstream names(
      inside({"sh", "-c", "for pid in $(cat /sys/fs/cgroup$0/cgroup.procs); do cat /proc/$pid/comm; done",
              group})
          .out);
  std::vector<std::string> found;
  for (std::string name; names >> name;) found.push_back(name);
  std::ranges::sort(found);
  return found;
}

}  // namespace fdchain::test
