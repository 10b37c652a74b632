#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "launcher/oci/plan.h"
#include "launcher/shared/caretaker.h"

namespace fdchain {

/// How long a runtime may take to remove a container.
inline constexpr auto clean_up_patience = std::chrono::seconds(20);

/// The words for the two below.
std::vector<std::string> clean_up_words(const ContainerRun& run, const Sockets& sockets);

/// `launcher clean-up-container …`: the last thing that a container's monitor does. Waits until the launcher,
/// if it is there, has seen the end, and removes what is left.
int clean_up_container(const std::vector<std::string>& words);

/// What is left to do, with the same words, for a launcher that was killed before it had started its
/// container: one that was created and never started is removed, so that its monitor ends, and what is being
/// created is waited for, but not for ever. A container that runs after all is left to its monitor. `monitor`
/// is that program; `notes` name what was made for the sockets.
void clean_up_unstarted(const std::vector<std::string>& words, const std::string& monitor,
                        const Caretaker::Notes& notes);

}  // namespace fdchain
