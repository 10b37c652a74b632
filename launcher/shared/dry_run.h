// What each hop would do, told without doing it.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "fdchain/plan/edits/profile.h"
#include "fdchain/plan/hop_plan.h"
#include "fdchain/program/announcement.h"
#include "fdchain/system/trace/arrival.h"
#include "launcher/shared/options.h"
#include "launcher/shared/plan.h"

namespace fdchain {

/// The plans of one run, hop after hop, as text for people and as JSON for programs.
class DryRun {
 public:
  DryRun(const RunOptions& options, Arrival& arrival);

  [[nodiscard]] const RunOptions& options() const { return options_; }
  [[nodiscard]] const Arrival& arrival() const { return arrival_; }
  [[nodiscard]] const AcceptedFds& accepted() const { return accepted_; }  ///< by the launcher
  [[nodiscard]] int sockets() const { return sockets_; }                   ///< how many the payload gets

  /// Descriptors at the numbers that the kernel would give them.
  [[nodiscard]] Handles handles() const;

  /// What the launcher knows when its plan is edited.
  [[nodiscard]] HopContext launcher_context() const;

  /// Adds a hop's plan, edited by its profile and the faults that were asked for. Returns what is handed
  /// over.
  HandOver add(HopPlan plan, const Profile* profile, HopContext& context);

  /// Adds what a hop is told whose plan is its own.
  void add_told(std::string_view text, boost::json::object hop);

  /// All of it, as --json asks for.
  [[nodiscard]] std::string text() const;

 private:
  RunOptions options_;
  Arrival& arrival_;
  AcceptedFds accepted_;
  int sockets_ = 0;
  std::string text_;
  boost::json::array hops_;
};

/// What a process knows of the announcement it was given, before anything else.
HopContext context_of(const Environment& arrived, const AcceptedFds& accepted,
                      const Announcement& announcement);

/// A command line for people.
std::string join_printable(const std::vector<std::string>& words);

/// The hops of one dialect, added to a dry run.
using PlanHops = void (*)(DryRun& run);

/// Prints what each hop would do, step by step, with a reason for each; opens, forks and executes nothing.
void dry_run(const RunOptions& options, Arrival& arrival, PlanHops plan_hops);

}  // namespace fdchain
