#include "fdchain/plan/bundle_paths.h"

#include <algorithm>
#include <filesystem>

namespace fdchain {
namespace {

bool is_below(const std::string& directory, const std::string& path) {
  return path.starts_with(directory.ends_with('/') ? directory : directory + '/');
}

}  // namespace

bool is_bind(const oci::Mount& mount) {
  return mount.type == "bind" || std::ranges::any_of(mount.options, [](const std::string& option) {
           return option == "bind" || option == "rbind";
         });
}

std::string path_in_bundle(const std::string& bundle, const std::string& path) {
  return path.starts_with('/') ? path : bundle + '/' + path;
}

void resolve_bind_sources(std::vector<oci::Mount>& mounts, const std::string& bundle) {
  for (oci::Mount& mount : mounts) {
    if (is_bind(mount) && !mount.source.empty()) mount.source = path_in_bundle(bundle, mount.source);
  }
}

bool link_leads_out(const std::string& bundle, const std::string& path, const std::string& real) {
  const std::string written = std::filesystem::path(path).lexically_normal();
  return is_below(bundle, written) && !is_below(bundle, real);
}

}  // namespace fdchain
