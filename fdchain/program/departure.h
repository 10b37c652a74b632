// From a plan to the next hop: what users may ask of a plan is done to it, and then it is carried out.
#pragma once

#include "fdchain/plan/edits/asked.h"
#include "fdchain/program/announcement.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/trace/arrival.h"
#include "fdchain/system/trace/trace_file.h"

namespace fdchain {

/// Edits the plan as it was asked for, and as the environment asks: FDCHAIN_STOP and FDCHAIN_DELAY. `sockets`
/// and `preserved` are what the hop passes on; of profiles it knows nothing.
void edit_plan(HopPlan& plan, const Arrival& arrival, const AskedEdits& asked, int sockets, int preserved);

/// What a profile has to know beside.
struct ProfileFacts {
  int own_sockets = 0;                   ///< how many of the sockets this hop has opened itself
  bool replace_listen_pid = false;       ///< LISTEN_PID is to be rewritten whomever it names
  std::vector<std::string> config = {};  ///< the payload's LISTEN_* by configuration, NAME=VALUE
};

/// The same with this hop's profile, if it has one.
void edit_plan(HopPlan& plan, const Arrival& arrival, const AskedEdits& asked, const AcceptedFds& accepted,
               const ProfileFacts& facts);

/// Spawns the next hop, by a double fork when `detached`, and writes the record of the departure.
///
/// Throws Failure when it could not become the program: 125, or 126 when the command line was too long for
/// it.
Spawned depart(HandOver next, const sigset_t& signal_mask, const Trace& trace, bool detached = false);

/// Makes the next program process 1 of a new pid namespace, in the way of depart(), as this process's child
/// or sibling. `files` is what it will find; exec's own verdicts are 126 and 127.
pid_t depart_as_process_1(HandOver next, const sigset_t& signal_mask, const Trace& trace, Kin kin,
                          const FileSystem& files);

/// Becomes the next program in place, in the way of depart(). Returns only by an exception.
[[noreturn]] void depart_in_place(HandOver next, const Trace& trace, const FileSystem& files = {});

}  // namespace fdchain
