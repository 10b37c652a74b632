// One small function per rule. Each adds what it finds; none knows of the others.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/judge/rules/evidence.h"
#include "fdchain/model/expectation.h"
#include "fdchain/model/finding.h"

namespace fdchain::rules {

/// Gathers findings, and makes one of those that have the same cause: same id, same culprit, same place.
class Findings {
 public:
  /// Adds one, or its evidence to an equal one: what is known is never mixed with what is not. The first
  /// descriptor and the worst severity win.
  void add(Finding finding);

  /// Sorted by hop, then by severity.
  [[nodiscard]] std::vector<Finding> take();

 private:
  std::vector<Finding> findings_;
};

/// A finding about a hop, and about one of its descriptors.
Finding make(std::string id, Hop hop, Severity severity = Severity::error);
Finding make(std::string id, Hop hop, int fd, Severity severity = Severity::error);

/// The row, with the name that any record of the run has for its object: a child between fork and exec cannot
/// look names up.
FdRow with_name(const Evidence& evidence, FdRow row);

/// Whether something of the host's can be read or reached by it: a file, a directory, an O_PATH descriptor.
bool reaches_into_the_host(const FdRow& row);

/// Who did it, when it can only be one; else nothing, and the evidence says which ones it could be.
void blame(Finding& finding, const Evidence& evidence, const std::vector<Actor>& actors);

/// Which real version is known to do what a finding says when `usual` is all that it says; empty for none.
/// Who did it must have been blamed before.
std::string known_of(const Finding& finding, bool usual);

// environment.cpp: what is announced.
void listen_pid(const Evidence& evidence, Findings& findings);
void listen_pidfdid(const Evidence& evidence, Findings& findings);
void pid_variables(const Evidence& evidence, Findings& findings);
void announced_variables(const Evidence& evidence, Findings& findings);
void announced_number(const Evidence& evidence, Findings& findings);
void preserve_option(const Evidence& evidence, Findings& findings);
void fdnames(const Evidence& evidence, Findings& findings);
void leaked_variables(const Evidence& evidence, Findings& findings);
void handshake_numbers(const Evidence& evidence, Findings& findings);
void notify_socket(const Evidence& evidence, Findings& findings);

// descriptors.cpp: what is passed.
void sockets(const Evidence& evidence, Findings& findings);
void preserved(const Evidence& evidence, Findings& findings);
void strangers(const Evidence& evidence, Findings& findings);
void access(const Evidence& evidence, Findings& findings);

// expectations.cpp: what the user expects.
void expectation(const Evidence& evidence, const Expectation& expected, Findings& findings);

// stdio.cpp: 0, 1 and 2.
void stdio(const Evidence& evidence, Findings& findings);

// process.cpp: what a process has beside descriptors, and how it ends.
void nofile(const Evidence& evidence, Findings& findings);
void ignored_signals(const Evidence& evidence, Findings& findings);
void retained(const Evidence& evidence, Findings& findings);
void bystanders(const Evidence& evidence, Findings& findings);
void children(const Evidence& evidence, Findings& findings);
void growth(const Evidence& evidence, Findings& findings);
void lost_words(const Evidence& evidence, Findings& findings);

// payload.cpp: what the payload made of what it was given.
void waiting_clients(const Evidence& evidence, Findings& findings);
void lost_by_payload(const Evidence& evidence, Findings& findings);
void forked(const Evidence& evidence, Findings& findings);
void left_by_payload(const Evidence& evidence, Findings& findings);

}  // namespace fdchain::rules
