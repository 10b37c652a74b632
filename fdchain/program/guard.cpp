#include "fdchain/program/guard.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/fd/stderr.h"
#include "fdchain/system/proc/process_info.h"

namespace fdchain {
namespace {

// Where descriptors have run out, the limit is the reason, and the way out.
std::string with_limit(std::string_view text) {
  const std::string_view reason = std::strerror(EMFILE);
  const std::size_t at = text.find(reason);
  if (at == std::string_view::npos || text.find("RLIMIT_NOFILE") != std::string_view::npos)
    return std::string(text);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return std::string(text.substr(0, at + reason.size()))
      .append(", RLIMIT_NOFILE is ")
      .append(std::to_string(limit.rlim_cur))
      .append("; a hop needs 16, and one more for each descriptor that it passes on");
}

// In our form: what, then why.
std::string words_of(const std::filesystem::filesystem_error& error) {
  return (error.path1().empty() ? "" : error.path1().native() + ": ") + error.code().message();
}

}  // namespace

void print_line(std::string_view text) { write_to_stderr(printable(text, 4000) + '\n'); }

void print_error(Hop hop, std::string_view text) {
  print_line(std::string(to_string(hop)).append(": ").append(text));
}

int guarded(const std::function<int()>& body, const std::function<void(std::string_view, int)>& report) {
  try {
    return body();
  } catch (const Failure& failure) {
    report(with_limit(failure.what()), failure.status());
    return failure.status();
  } catch (const std::filesystem::filesystem_error& error) {
    report(with_limit(words_of(error)), exit_status::hop_failed);
    return exit_status::hop_failed;
  } catch (const std::exception& error) {
    report(with_limit(error.what()), exit_status::hop_failed);
    return exit_status::hop_failed;
  }
}

int guarded(Hop hop, const std::function<int()>& body) {
  return guarded(body, [hop](std::string_view text, int) { print_error(hop, text); });
}

}  // namespace fdchain

#ifdef __SANITIZE_ADDRESS__
// The leak checker looks at a process by ptrace(2), and cannot at one that is followed for its trace.
extern "C" int __lsan_is_turned_off();  // NOLINT(bugprone-reserved-identifier): its name for this question
extern "C" int __lsan_is_turned_off() {
  const auto self = fdchain::proc::Process::self();
  const auto status = self ? self->text("status") : std::nullopt;
  const auto tracer = status ? fdchain::proc::value_of(*status, "TracerPid:") : std::nullopt;
  return tracer && *tracer != "0" ? 1 : 0;
}
#endif
