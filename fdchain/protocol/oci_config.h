// config.json of an OCI bundle, and the process file of `exec`, as text.
#pragma once

#include <string>
#include <string_view>

#include "fdchain/model/oci_config.h"

namespace fdchain::oci {

/// More than this is no configuration: it is refused before anything is parsed.
inline constexpr std::size_t config_max = 32UL * 1024 * 1024;

/// Reads a configuration. What it does not know it passes over in silence, as the specification asks for.
///
/// Throws Failure, naming `file` and the property, for what is no JSON, for a value of the wrong type, for
/// what is missing, and for a version of the specification that is not 1.x.
Config decode_config(std::string_view text, std::string_view file);

/// Reads a `process` object alone: the file of `exec --process`.
Process decode_process(std::string_view text, std::string_view file);

/// The configuration as JSON, one line. Of `resources` only what is empty can be written: nothing.
std::string encode(const Config& config);

/// A `process` object alone.
std::string encode(const Process& process);

}  // namespace fdchain::oci
