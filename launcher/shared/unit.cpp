#include "launcher/shared/unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/log.h"
#include "fdchain/protocol/socket_unit.h"
#include "fdchain/protocol/unit_syntax.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/accounts.h"
#include "fdchain/system/fs/host_facts.h"

namespace fdchain {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_unit = 1 << 20;  // systemd's limit for a single line

[[noreturn]] void refuse(const std::string& path, std::string_view why) {
  throw Failure("--unit " + printable(path) + ": " + std::string(why));
}

bool is_null_device(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

// Nothing for a file that masks: an empty one, or /dev/null.
std::optional<std::string> read_unit_text(const std::string& path) {
  // Whoever names a FIFO is not to wait for its other end.
  const OwnedFd file(
      check(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), "--unit", path));
  struct stat status {};
  check(::fstat(file.get(), &status), "fstat", path);
  if (is_null_device(status)) return std::nullopt;
  if (!S_ISREG(status.st_mode)) refuse(path, "not a regular file");
  std::string text(longest_unit + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got =
        check(retry([&] { return ::read(file.get(), &text[size], text.size() - size); }), "read", path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > longest_unit) refuse(path, "longer than 1 MiB");
  text.resize(size);
  if (text.find('\0') != std::string::npos) refuse(path, "a zero byte");
  return size == 0 ? std::nullopt : std::optional(text);
}

// The directories whose files are laid over a unit, the one that is for it alone first.
std::vector<std::string> drop_in_directories(const std::string& name) {
  std::vector<std::string> names{name};
  const std::size_t at = name.find('@');
  const std::string stem = name.substr(0, std::min(at, name.size() - std::string_view(".socket").size()));
  const std::string rest = at == std::string::npos ? ".socket" : "@.socket";
  if (at != std::string::npos && stem + rest != name) names.push_back(stem + rest);
  for (std::size_t dash = stem.rfind('-'); dash != std::string::npos && dash > 0;
       dash = stem.rfind('-', dash - 1))
    names.push_back(stem.substr(0, dash + 1) + rest);
  names.emplace_back("socket");
  for (std::string& each : names) each += ".d";
  return names;
}

// Where systemd looks for units, and so for their drop-ins: of those directories, all. Of any other, it
// alone.
std::vector<fs::path> unit_directories(const fs::path& directory) {
  for (const std::string manager : {"system", "user"}) {
    std::vector<fs::path> all;
    for (const char* const place :
         {"/etc/systemd/", "/run/systemd/", "/usr/local/lib/systemd/", "/usr/lib/systemd/"})
      all.push_back(place + manager);
    const bool is_old_name = directory == fs::path("/lib/systemd/" + manager);
    if (is_old_name || std::ranges::find(all, directory) != all.end()) return all;
  }
  return {directory};
}

// By the names of the files, whatever directory they are in; one of the same name in a more special directory
// stands for the other. What cannot be read is left out, as by systemd.
std::vector<UnitText> read_drop_ins(const fs::path& directory, const std::string& name) {
  std::map<std::string, std::string> found;
  for (const std::string& drop_ins : drop_in_directories(name)) {
    for (const fs::path& place : unit_directories(directory)) {
      std::error_code unknown;
      for (const auto& entry : fs::directory_iterator(place / drop_ins, unknown)) {
        const std::string file = entry.path().filename();
        if (file.ends_with(".conf") && !file.starts_with('.')) found.emplace(file, entry.path());
      }
    }
  }
  std::vector<UnitText> texts;
  for (const auto& [file, path] : found) {
    try {
      if (auto text = read_unit_text(path)) texts.push_back({printable(path), std::move(*text), true});
    } catch (const std::exception& error) {
      log::warn("{}; the drop-in is left out", error.what());
    }
  }
  return texts;
}

std::string variable(const char* name, const std::string& otherwise) {
  const char* const value = ::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

void add_os_release(Specifiers& specifiers, const std::map<std::string, std::string>& values) {
  static const std::map<std::string, char> letters{{"ID", 'o'},       {"VERSION_ID", 'w'},
                                                   {"BUILD_ID", 'B'}, {"VARIANT_ID", 'W'},
                                                   {"IMAGE_ID", 'M'}, {"IMAGE_VERSION", 'A'}};
  for (const auto& [key, letter] : letters) {
    const auto value = values.find(key);
    const auto words = value == values.end() ? std::nullopt : split_unit_words(value->second);
    specifiers[letter] = words && words->size() == 1 ? words->front() : "";
  }
}

// systemd's names, where they are not the kernel's.
std::string architecture(const std::string& machine) {
  if (machine == "x86_64") return "x86-64";
  if (machine == "aarch64") return "arm64";
  if (machine.size() == 4 && machine.starts_with('i') && machine.ends_with("86")) return "x86";
  return machine;
}

void add_host(Specifiers& specifiers, const HostFacts& host) {
  specifiers['H'] = host.name;
  specifiers['l'] = host.name.substr(0, host.name.find('.'));
  specifiers['q'] = host.name;
  specifiers['v'] = host.release;
  specifiers['a'] = architecture(host.machine);
  if (!host.machine_id.empty()) specifiers['m'] = host.machine_id;
  specifiers['b'] = host.boot_id;
  add_os_release(specifiers, host.os_release);
}

void add_directories(Specifiers& specifiers, bool of_user, const std::string& home, uid_t uid) {
  const std::string temporary = variable("TMPDIR", variable("TEMP", variable("TMP", "")));
  specifiers['T'] = temporary.empty() ? "/tmp" : temporary;
  specifiers['V'] = temporary.empty() ? "/var/tmp" : temporary;
  if (!of_user) {
    specifiers.insert(
        {{'t', "/run"}, {'S', "/var/lib"}, {'C', "/var/cache"}, {'L', "/var/log"}, {'E', "/etc"}});
    return;
  }
  const std::string config = variable("XDG_CONFIG_HOME", home + "/.config");
  specifiers['t'] = variable("XDG_RUNTIME_DIR", "/run/user/" + std::to_string(uid));
  specifiers['C'] = variable("XDG_CACHE_HOME", home + "/.cache");
  specifiers['S'] = specifiers['E'] = config;
  specifiers['L'] = config + "/log";
}

Specifiers specifiers_for(const fs::path& path, bool of_user) {
  Specifiers specifiers;
  const uid_t uid = of_user ? ::geteuid() : 0;
  const gid_t gid = of_user ? ::getegid() : 0;
  const auto user = find_user(uid);
  specifiers['u'] = user ? user->name : std::to_string(uid);
  specifiers['U'] = std::to_string(uid);
  specifiers['g'] = find_group(gid).value_or(std::to_string(gid));
  specifiers['G'] = std::to_string(gid);
  specifiers['h'] = user ? user->home : "/";
  if (of_user) specifiers['h'] = variable("HOME", specifiers['h']);
  specifiers['s'] = user ? user->shell : "/bin/sh";
  specifiers['y'] = path;
  specifiers['Y'] = path.parent_path();
  add_directories(specifiers, of_user, specifiers['h'], uid);
  add_host(specifiers, host_facts());
  return specifiers;
}

// A user's own units are in .../systemd/user; and who is not root has no others.
bool is_of_user(const fs::path& path) {
  return ::geteuid() != 0 || (path.parent_path() / "").native().find("/systemd/user/") != std::string::npos;
}

// `echo@one.socket` is read from echo@.socket where it has no file of its own.
std::string file_of(const std::string& path) {
  const std::size_t at = path.find('@', path.rfind('/') + 1);
  if (at == std::string::npos || ::access(path.c_str(), F_OK) == 0) return path;
  const std::string of_all = path.substr(0, at) + "@.socket";
  return ::access(of_all.c_str(), F_OK) == 0 ? of_all : path;
}

}  // namespace

std::vector<ListenSpec> read_socket_unit(const std::string& path) {
  const std::string name = fs::path(path).filename();
  if (is_socket_template(name)) refuse(path, "a template; name an instance: NAME@INSTANCE.socket");
  if (!is_socket_unit_name(name)) refuse(path, "not a unit's NAME.socket");
  const std::string file = file_of(path);
  const fs::path absolute = fs::absolute(file).lexically_normal();
  auto text = read_unit_text(file);
  if (!text) refuse(path, "masked: it is empty, or /dev/null");
  std::vector<UnitText> texts{{printable(file), std::move(*text), false}};
  for (UnitText& drop_in : read_drop_ins(absolute.parent_path(), name)) texts.push_back(std::move(drop_in));
  SocketUnit unit = parse_socket_unit(name, path, texts, specifiers_for(absolute, is_of_user(absolute)));
  for (const std::string& note : unit.notes) log::warn("{}", note);
  return std::move(unit.listen);
}

}  // namespace fdchain
