#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "fdchain/judge/rules/rules.h"

namespace fdchain::rules {
namespace {

enum class Language { other, shell, python };

Language language_of(const HopRecord& wrapper) {
  const std::string_view program = std::string_view(wrapper.exe).substr(wrapper.exe.rfind('/') + 1);
  constexpr std::array shells{"sh", "bash", "dash", "busybox", "zsh", "ksh"};
  if (std::ranges::find(shells, program) != shells.end()) return Language::shell;
  return program.starts_with("python") ? Language::python : Language::other;
}

struct Fix {
  Language language;
  std::string_view id;
  std::string_view text;
};

constexpr std::array fixes{
    Fix{Language::shell, "listen-pid-stale", "in the script: make `exec PROGRAM \"$@\"` its last command"},
    Fix{Language::shell, "listen-pidfdid-stale",
        "in the script: make `exec PROGRAM \"$@\"` its last command"},
    Fix{Language::shell, "fd-lost-closed", "in the script: take out the `N>&-` or `N<&-` that closes it"},
    Fix{Language::shell, "fd-substituted",
        "in the script: redirect to a number behind those that are passed"},
    Fix{Language::shell, "fd-leaked",
        "in the script: close it with `exec N<&-` before the program is started"},
    Fix{Language::shell, "env-dropped", "in the script: no `unset`, and no `env -i`, for LISTEN_*"},
    Fix{Language::shell, "fdnames-mismatch", "in the script: no `unset`, and no `env -i`, for LISTEN_*"},
    Fix{Language::shell, "signal-ignored",
        "in the script: `trap - SIGNAL` before the program is started, and no `&`, which ignores INT and "
        "QUIT"},
    Fix{Language::shell, "stdio-hole", "in the script: `N</dev/null` instead of `N<&-`"},
    Fix{Language::shell, "nofile-exceeded", "in the script: no `ulimit -n`"},
    Fix{Language::python, "listen-pid-stale", "in Python: os.execvp() instead of subprocess, which forks"},
    Fix{Language::python, "listen-pidfdid-stale",
        "in Python: os.execvp() instead of subprocess, which forks"},
    Fix{Language::python, "fd-lost-closed",
        "in Python: subprocess closes everything from 3 on, unless close_fds=False or pass_fds= is given"},
    Fix{Language::python, "handshake-collision",
        "in Python: subprocess closes everything from 3 on, unless close_fds=False or pass_fds= is given"},
    Fix{Language::python, "env-dropped", "in Python: pass os.environ on in env="},
    Fix{Language::python, "signal-ignored", "in Python: leave restore_signals=True"},
};

std::string in_its_language(const HopRecord& wrapper, std::string_view id) {
  const auto found = std::ranges::find_if(
      fixes, [&](const Fix& fix) { return fix.id == id && fix.language == language_of(wrapper); });
  return found == fixes.end() ? "" : "; " + std::string(found->text);
}

}  // namespace

void Findings::add(Finding finding) {
  const auto same = std::ranges::find_if(findings_, [&](const Finding& known) {
    return known.id == finding.id && known.culprit == finding.culprit && known.hop == finding.hop &&
           known.culprit_pid == finding.culprit_pid && known.known == finding.known;
  });
  if (same == findings_.end()) {
    findings_.push_back(std::move(finding));
    return;
  }
  same->severity = std::max(same->severity, finding.severity);
  same->evidence.append("; ").append(finding.evidence);
}

std::vector<Finding> Findings::take() {
  std::ranges::stable_sort(findings_, [](const Finding& left, const Finding& right) {
    if (left.hop != right.hop) return left.hop < right.hop;
    return left.severity > right.severity;
  });
  return std::move(findings_);
}

Finding make(std::string id, Hop hop, Severity severity) {
  Finding finding;
  finding.id = std::move(id);
  finding.hop = hop;
  finding.severity = severity;
  return finding;
}

Finding make(std::string id, Hop hop, int fd, Severity severity) {
  Finding finding = make(std::move(id), hop, severity);
  finding.fd = fd;
  return finding;
}

FdRow with_name(const Evidence& evidence, FdRow row) {
  for (const Hop hop : all_hops) {
    const HopEvidence& seen = evidence.of(hop);
    for (const HopRecord* const record : {seen.arrival, seen.departure, seen.outside, seen.after_exit}) {
      if (!row.name.empty() || record == nullptr) continue;
      for (const FdRow* const same : evidence.rows_with(*record, row)) {
        if (row.name.empty()) row.name = same->name;
      }
    }
  }
  return row;
}

bool reaches_into_the_host(const FdRow& row) {
  return row.type == "DIR" || row.mode == "--" || row.type == "REG";
}

void blame(Finding& finding, const Evidence& evidence, const std::vector<Actor>& actors) {
  if (actors.size() == 1) {
    const auto& [hop, wrapper] = actors.front();
    finding.culprit = hop;
    finding.culprit_is_wrapper = wrapper != nullptr;
    const HopRecord* const record = wrapper != nullptr ? wrapper : evidence.of(hop).received();
    if (record == nullptr) return;
    if (wrapper != nullptr) finding.advice += in_its_language(*wrapper, finding.id);
    finding.culprit_program = program_of(*record);
    finding.culprit_pid = record->pid;
    return;
  }
  if (actors.empty()) {
    finding.evidence += "; the hop before departed with it as it should be: who ran between was not seen";
    return;
  }
  finding.evidence += "; no record tells which of them did it:";
  for (const auto& [hop, wrapper] : actors)
    finding.evidence.append(" ").append(wrapper != nullptr ? program_of(*wrapper) : to_string(hop));
}

std::string known_of(const Finding& finding, bool usual) {
  // conmon 2.1 leaves its runtime its own _OCI_* variables, and an ignored SIGPIPE.
  const bool is_conmons =
      finding.culprit == Hop::monitor && !finding.culprit_is_wrapper && finding.culprit_program == "conmon";
  return usual && is_conmons ? "conmon 2.1" : "";
}

}  // namespace fdchain::rules
