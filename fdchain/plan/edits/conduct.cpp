// Faults of what a hop does around its hand-over.

#include <algorithm>
#include <array>

#include "fdchain/plan/edits/catalogue.h"
#include "fdchain/plan/edits/edits.h"

namespace fdchain::faults {
namespace {

void keep_sockets(HopPlan& plan, const Numbers&, const HopContext& context) {
  need_sockets(context);
  std::erase(plan.conduct.after_fork, AfterFork::drop_sockets);
  std::erase(plan.conduct.after_exit, AtEnd::drop_sockets);
}

void publish_first(HopPlan& plan, const Numbers&, const HopContext& context) {
  need_sockets(context);
  auto& steps = plan.conduct.after_exit;
  std::stable_partition(steps.begin(), steps.end(), [](AtEnd step) {
    return step == AtEnd::tell_status || step == AtEnd::write_exit_file;
  });
}

void swallow_failure(HopPlan& plan, const Numbers&, const HopContext&) {
  std::erase(plan.conduct.after_failed_start, AtEnd::tell_failure);
}

void swallow_status(HopPlan& plan, const Numbers&, const HopContext&) {
  std::erase(plan.conduct.after_exit, AtEnd::tell_status);
}

void leak_per_signal(HopPlan& plan, const Numbers&, const HopContext&) {
  plan.conduct.on_signal.push_back(OnSignal::open_eventfd);
}

void leave_zombie(HopPlan& plan, const Numbers&, const HopContext&) {
  std::erase(plan.conduct.after_fork, AfterFork::reap_intermediate);
}

void leave_orphans(HopPlan& plan, const Numbers&, const HopContext&) {
  std::erase(plan.conduct.after_exit, AtEnd::end_leftovers);
}

constexpr std::array table{
    Fault{
        .name = "keep-sockets",
        .hops = {Hop::launcher, Hop::monitor},
        .bug_class = 'K',
        .bug = "conmon held the port after its container had died (conmon 144, 240)",
        .finding = "fd-retained",
        .summary = "keep copies of the sockets to the end",
        .edit = keep_sockets,
    },
    Fault{
        .name = "publish-first",
        .hops = {Hop::monitor},
        .bug_class = 'K',
        .bug = "the exit file was there before the descriptors were closed (podman 3696, 9447)",
        .finding = "fd-retained",
        .summary = "publish the exit status before dropping the sockets",
        .trigger = Trigger::end,
        .edit = publish_first,
    },
    Fault{
        .name = "swallow-failure",
        .hops = {Hop::monitor, Hop::runtime_shim},
        .bug_class = 'L',
        .bug = "nothing on the sync pipe when the runtime fails silently (conmon 2.1.6, crun dc9627cd)",
        .finding = "handshake-lost-error",
        .summary = "tell nobody why the payload did not start",
        .trigger = Trigger::failed_start,
        .edit = swallow_failure,
    },
    Fault{
        .name = "swallow-status",
        .hops = {Hop::monitor},
        .bug_class = 'L',
        .bug = "the sync pipe was closed before the exit code was written (conmon 911c786)",
        .finding = "handshake-lost-error",
        .summary = "tell nobody how the payload ended",
        .trigger = Trigger::end,
        .edit = swallow_status,
    },
    Fault{
        .name = "leak-per-signal",
        .hops = {Hop::monitor},
        .bug_class = 'Q',
        .bug = "one descriptor more for each event (conmon bz 1671622, containerd 3949)",
        .finding = "fd-growth",
        .summary = "leak a descriptor with every signal it forwards",
        .trigger = Trigger::signal,
        .edit = leak_per_signal,
    },
    Fault{
        .name = "leave-zombie",
        .hops = {Hop::launcher},
        .bug_class = 'R',
        .bug = "the API service did not wait for conmon (podman 9777, runc eab533090)",
        .finding = "zombie-left",
        .summary = "do not reap the intermediate of the double fork",
        .edit = leave_zombie,
    },
    Fault{
        .name = "leave-orphans",
        .hops = {Hop::monitor},
        .bug_class = 'R',
        .bug = "children were not reaped, or left behind (conmon 290, 310)",
        .finding = "zombie-left",
        .summary = "leave what the payload started",
        .trigger = Trigger::leftovers,
        .edit = leave_orphans,
    },
};

}  // namespace

std::span<const Fault> conduct_faults() { return table; }

}  // namespace fdchain::faults
