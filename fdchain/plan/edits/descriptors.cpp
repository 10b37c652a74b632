// Faults of the descriptors themselves, and of what a process has beside them: signals and limits.

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/number.h"
#include "fdchain/plan/edits/catalogue.h"
#include "fdchain/plan/edits/edits.h"

namespace fdchain::faults {
namespace {

constexpr int stdio_numbers = 3;

void leave_cloexec(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  single(plan.next, numbers[0]);
  add_extra(plan, Step::set_cloexec(numbers[0]), "fault: the close-on-exec flag is not cleared");
}

void close_one(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  single(plan.next, numbers[0]);
  add_extra(plan, Step::close(numbers[0]), "fault: closed before it was passed on");
}

// As closefrom(3): the socket at FD and everything behind it.
void close_from(HopPlan& plan, const Numbers& numbers, const HopContext& context) {
  need_sockets(context);
  if (numbers[0] >= listen_fds_start + context.sockets) nothing_to_do("no socket is at or above that number");
  for (int target = numbers[0]; target < listen_fds_start + context.sockets; ++target) {
    if (is_passed(plan.next, target))
      add_extra(plan, Step::close(target), "fault: everything from here on is closed");
  }
}

// Where a hop's own descriptor ends up when it is passed by accident: above everything that is announced, and
// not so close that it could be taken for one announced more.
int stray_number(const HopPlan& plan, const Numbers& numbers) {
  const int number = numbers[0] > 0 ? numbers[0] : end_of_passed(plan.next) + 4;
  if (is_passed(plan.next, number))
    nothing_to_do("descriptor " + std::to_string(number) + " is announced here");
  return number;
}

template <NewFd made>
void leak(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  add_extra(plan, Step::make(made, stray_number(plan, numbers)), "fault: opened without O_CLOEXEC");
}

void pass_strays(HopPlan& plan, const Numbers&, const HopContext& context) {
  bool any = false;
  for (const int stray : context.strays) {
    if (is_passed(plan.next, stray)) continue;
    plan.next.passed.push_back({stray, stray, 1, false, "fault: inherited, and not closed"});
    any = true;
  }
  if (!any) nothing_to_do("this hop was started with nothing that nobody announced");
}

// The window counted twice: as LISTEN_FDS and as --preserve-fds.
void double_preserve(HopPlan& plan, const Numbers&, const HopContext& context) {
  need_sockets(context);
  const int end = listen_fds_start + context.sockets + context.preserved;
  bool any = false;
  for (int number = end; number < end + context.sockets; ++number) {
    if (is_passed(plan.next, number) || number == plan.next.ready_fd) continue;
    add_extra(plan, Step::make(NewFd::file, number), "fault: LISTEN_FDS counted twice keeps what is here");
    any = true;
  }
  if (!any) nothing_to_do("only the sync pipe is there; it takes two sockets");
}

// The number that follows --preserve-fds, or follows it as another word for the runtime.
void preserve_more(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  auto& argv = plan.next.argv;
  bool any = false;
  for (auto word = argv.begin(); word != argv.end(); ++word) {
    if (*word != "--preserve-fds") continue;
    auto number = word + 1;
    if (number != argv.end() && *number == "--runtime-opt") ++number;
    const auto count = number == argv.end() ? std::nullopt : parse_decimal(*number, 65536);
    if (!count) continue;
    *number = std::to_string(*count + static_cast<std::uint64_t>(std::max(0, numbers[0])));
    any = true;
  }
  if (!any) nothing_to_do("nobody is told of --preserve-fds here");
}

void drop_preserved(HopPlan& plan, const Numbers&, const HopContext& context) {
  if (context.preserved == 0) nothing_to_do("nothing is preserved here");
  const int first = listen_fds_start + context.sockets;
  for (int number = first; number < first + context.preserved; ++number) {
    add_extra(plan, Step::close(number), "fault: --preserve-fds is not heeded");
  }
}

void move_one(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  if (is_passed(plan.next, numbers[1]))
    nothing_to_do("descriptor " + std::to_string(numbers[1]) + " is taken");
  FdPass& moved = single(plan.next, numbers[0]);
  moved.target = numbers[1];
}

void swap_two(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  if (numbers[0] == numbers[1]) nothing_to_do("that is one descriptor, not two");
  const int first_source = single(plan.next, numbers[0]).source;
  FdPass& second = single(plan.next, numbers[1]);
  const int second_source = std::exchange(second.source, first_source);
  single(plan.next, numbers[0]).source = second_source;
}

void substitute(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  stop_passing(plan.next, numbers[0]);
  add_extra(plan, Step::make(NewFd::socket, numbers[0]), "fault: closed, and the number was used again");
}

// Slot B of a list filled from slot A: an index off by one.
void repeat(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  if (numbers[0] == numbers[1]) nothing_to_do("that is one descriptor, not two");
  const FdPass first = single(plan.next, numbers[0]);
  FdPass& second = single(plan.next, numbers[1]);
  second.source = first.source;
  second.inheritable = false;
}

void need_stdio(int number) {
  if (number < 0 || number >= stdio_numbers) nothing_to_do("stdio is 0, 1 and 2");
}

void close_stdio(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  need_stdio(numbers[0]);
  add_extra(plan, Step::close(numbers[0]), "fault: started with a hole in stdio");
}

void stdio_socket(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  need_stdio(numbers[0]);
  add_extra(plan, Step::make(NewFd::socket, numbers[0]), "fault: a socket that was opened into a hole");
}

void nonblock(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  if (numbers[0] >= stdio_numbers) single(plan.next, numbers[0]);
  add_extra(plan, Step::set_nonblock(numbers[0]), "fault: O_NONBLOCK set on what others share");
}

void shut_down_one(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  single(plan.next, numbers[0]);
  add_extra(plan, Step::shut_down(numbers[0]), "fault: shutdown(2) of a socket that is the activator's");
}

void nofile(HopPlan& plan, const Numbers& numbers, const HopContext& context) {
  const int highest = listen_fds_start + context.sockets + context.preserved;
  if (numbers[0] >= highest) nothing_to_do("everything that is passed fits below that limit");
  if (numbers[0] < stdio_numbers) nothing_to_do("stdio needs 3");
  plan.next.limit_nofile = numbers[0];
}

void ignore(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  if (numbers[0] < 1 || numbers[0] > 64 || numbers[0] == SIGKILL || numbers[0] == SIGSTOP)
    nothing_to_do("no signal that can be ignored");
  add_extra(plan, Step::ignore(numbers[0]), "fault: ignored for itself, and not reset for the next");
}

void deny(HopPlan& plan, const Numbers&, const HopContext& context) {
  need_sockets(context);
  add_extra(plan, Step::deny_sockets(), "fault: a policy that knows nothing of passed sockets");
}

constexpr std::array table{
    Fault{
        .name = "set-cloexec",
        .argument = "FD",
        .standard = {3},
        .hops = every_hop,
        .bug_class = 'B',
        .bug = "a blanket O_CLOEXEC hit what was meant for the child (crun 1367)",
        .finding = "fd-lost-cloexec",
        .summary = "leave FD close-on-exec, so it is gone after exec",
        .edit = leave_cloexec,
    },
    Fault{
        .name = "close",
        .argument = "FD",
        .standard = {3},
        .hops = every_hop,
        .bug_class = 'B',
        .bug = "an entrypoint used descriptor 3 and closed it (docker-nginx 702)",
        .finding = "fd-lost-closed",
        .summary = "close FD before the exec",
        .edit = close_one,
    },
    Fault{
        .name = "close-from",
        .argument = "FD",
        .standard = {3},
        .hops = every_hop,
        .bug_class = 'B',
        .bug = "sudo, python's close_fds and youki close everything from 3 (sudo 317, podman-compose PR "
               "1135, youki PR 2893)",
        .finding = "fd-lost-closed",
        .summary = "close every socket from FD on",
        .edit = close_from,
    },
    Fault{
        .name = "leak-directory",
        .argument = "FD",
        .standard = {0},
        .hops = every_hop,
        .bug_class = 'C',
        .bug = "a handle on a host directory reached the container (CVE-2024-21626, CVE-2016-9962)",
        .finding = "fd-leaked",
        .summary = "pass on a directory handle of its own",
        .edit = leak<NewFd::directory>,
    },
    Fault{
        .name = "leak-file",
        .argument = "FD",
        .standard = {0},
        .hops = every_hop,
        .bug_class = 'C',
        .bug = "crun's log was opened without O_CLOEXEC (crun 0f0d5bea, conmon f269c2f)",
        .finding = "fd-leaked",
        .summary = "pass on a file of its own",
        .edit = leak<NewFd::file>,
    },
    Fault{
        .name = "leak-pipe",
        .argument = "FD",
        .standard = {0},
        .hops = every_hop,
        .bug_class = 'C',
        .bug = "youki closed nothing before exec (youki PR 177)",
        .finding = "fd-leaked",
        .summary = "pass on a pipe of its own",
        .edit = leak<NewFd::pipe>,
    },
    Fault{
        .name = "leak-socket",
        .argument = "FD",
        .standard = {0},
        .hops = every_hop,
        .bug_class = 'C',
        .bug = "crun passed a socket of its own and its caller's files (CVE-2019-16884)",
        .finding = "fd-leaked",
        .summary = "pass on a socket of its own",
        .edit = leak<NewFd::socket>,
    },
    Fault{
        .name = "leak-eventfd",
        .argument = "FD",
        .standard = {0},
        .hops = every_hop,
        .bug_class = 'C',
        .bug = "docker's libcontainer set close-on-exec after opening, and forked between (docker 4493)",
        .finding = "fd-leaked",
        .summary = "pass on an eventfd of its own",
        .edit = leak<NewFd::eventfd>,
    },
    Fault{
        .name = "leak-epoll",
        .argument = "FD",
        .standard = {0},
        .hops = every_hop,
        .bug_class = 'C',
        .bug = "runc handed its epoll to the container (runc 5474)",
        .finding = "fd-leaked",
        .summary = "pass on an epoll of its own",
        .edit = leak<NewFd::epoll>,
    },
    Fault{
        .name = "pass-strays",
        .hops = {Hop::launcher},
        .bug_class = 'C',
        .bug = "Go keeps what its caller left open, and conmon holds it (golang 37857, bats PR 65)",
        .finding = "fd-leaked",
        .summary = "pass on whatever it was started with",
        .edit = pass_strays,
    },
    Fault{
        .name = "double-preserve",
        .hops = {Hop::monitor, Hop::runtime_shim},
        .bug_class = 'D',
        .bug = "podman 4.8 passes LISTEN_FDS and --preserve-fds, crun adds them",
        .finding = "preserve-count-wrong",
        .summary = "keep twice as many descriptors as there are sockets",
        .edit = double_preserve,
    },
    Fault{
        .name = "preserve-more",
        .argument = "N",
        .standard = {2},
        .hops = {Hop::launcher},
        .bug_class = 'D',
        .bug = "runc keeps its own descriptors where --preserve-fds counts more than there are (runc 5474)",
        .finding = "preserve-count-wrong",
        .summary = "tell the next hops to preserve N more than are passed",
        .edit = preserve_more,
    },
    Fault{
        .name = "drop-preserved",
        .hops = every_hop,
        .bug_class = 'D',
        .bug = "--preserve-fds stopped working after a security fix (youki PR 2893)",
        .finding = "preserve-count-wrong",
        .summary = "close what --preserve-fds asks for",
        .edit = drop_preserved,
    },
    Fault{
        .name = "move",
        .argument = "FD:TO",
        .hops = every_hop,
        .bug_class = 'E',
        .bug = "an internal pipe took number 3 and pushed the user's away (libcontainer PR 496)",
        .finding = "fd-renumbered",
        .summary = "pass FD on at another number",
        .edit = move_one,
    },
    Fault{
        .name = "swap",
        .argument = "FD:FD",
        .standard = {3, 4},
        .hops = every_hop,
        .bug_class = 'E',
        .bug = "two lists of descriptors were renumbered independently (flatpak PR 4322)",
        .finding = "fd-renumbered",
        .summary = "exchange two descriptors",
        .edit = swap_two,
    },
    Fault{
        .name = "substitute",
        .argument = "FD",
        .standard = {3},
        .hops = every_hop,
        .bug_class = 'F',
        .bug = "the first container of a pod took the sockets, the number was used again (podman kube play)",
        .finding = "fd-substituted",
        .summary = "put another socket at FD",
        .edit = substitute,
    },
    Fault{
        .name = "repeat",
        .argument = "FD:FD",
        .standard = {3, 4},
        .hops = every_hop,
        .bug_class = 'F',
        .bug = "an index into a list of descriptors was off by one (runc PR 3511)",
        .finding = "fd-substituted",
        .summary = "put the first descriptor at the second's number too",
        .edit = repeat,
    },
    Fault{
        .name = "close-stdio",
        .argument = "FD",
        .standard = {2},
        .hops = every_hop,
        .bug_class = 'J',
        .bug = "crun assumes that 0, 1 and 2 are open (crun 1702)",
        .finding = "stdio-hole",
        .summary = "close 0, 1 or 2",
        .edit = close_stdio,
    },
    Fault{
        .name = "stdio-socket",
        .argument = "FD",
        .standard = {2},
        .hops = every_hop,
        .bug_class = 'J',
        .bug = "a log socket landed on a closed descriptor 2 (polkit 429)",
        .finding = "stdio-hole",
        .summary = "put a socket at 0, 1 or 2",
        .edit = stdio_socket,
    },
    Fault{
        .name = "set-nonblock",
        .argument = "FD",
        .standard = {3},
        .hops = every_hop,
        .bug_class = 'M',
        .bug = "O_NONBLOCK was set on a shared stdin and not restored (buildah 3152, containerd 353)",
        .finding = "nonblock-changed",
        .summary = "set O_NONBLOCK on FD, for everybody who shares it",
        .edit = nonblock,
    },
    Fault{
        .name = "shut-down",
        .argument = "FD",
        .standard = {3},
        .hops = every_hop,
        .bug_class = 'N',
        .bug = "never call shutdown() on an activated socket: it is shared (sd_listen_fds(3))",
        .finding = "socket-kind-wrong",
        .summary = "shut a socket down, so that it listens no more",
        .edit = shut_down_one,
    },
    Fault{
        .name = "nofile",
        .argument = "N",
        .hops = every_hop,
        .bug_class = 'P',
        .bug = "a low limit at one hop lets another fail (runc 4195, podman 18714)",
        .finding = "nofile-exceeded",
        .summary = "lower RLIMIT_NOFILE to N",
        .edit = nofile,
    },
    Fault{
        .name = "deny-sockets",
        .hops = {Hop::runtime_shim},
        .bug_class = 'S',
        .bug = "SELinux did not let the container use its socket (container-selinux 172)",
        .finding = "fd-access-denied",
        .summary = "have the kernel refuse the use of sockets",
        .edit = deny,
    },
    Fault{
        .name = "ignore-signal",
        .argument = "N",
        .standard = {SIGPIPE},
        .hops = every_hop,
        .bug_class = '-',
        .bug = "conmon ignores SIGPIPE, and what it starts inherits that",
        .finding = "signal-ignored",
        .summary = "leave signal N ignored",
        .edit = ignore,
    },
};

}  // namespace

std::span<const Fault> descriptor_faults() { return table; }

}  // namespace fdchain::faults
