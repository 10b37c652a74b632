#include "fdchain/program/guard.h"

#include <exception>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/stderr.h"

namespace fdchain {

void print_line(std::string_view text) { write_to_stderr(printable(text, 4000) + '\n'); }

void print_error(Hop hop, std::string_view text) {
  print_line(std::string(to_string(hop)).append(": ").append(text));
}

int guarded(const std::function<int()>& body, const std::function<void(std::string_view, int)>& report) {
  try {
    return body();
  } catch (const Failure& failure) {
    report(failure.what(), failure.status());
    return failure.status();
  } catch (const std::exception& error) {
    report(error.what(), exit_status::hop_failed);
    return exit_status::hop_failed;
  }
}

int guarded(Hop hop, const std::function<int()>& body) {
  return guarded(body, [hop](std::string_view text, int) { print_error(hop, text); });
}

}  // namespace fdchain
