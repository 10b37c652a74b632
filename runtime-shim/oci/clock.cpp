#include "runtime-shim/oci/clock.h"

#include <chrono>
#include <ctime>

namespace fdchain::oci {

std::string utc_now(Precision precision) {
  const auto time = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  const std::time_t seconds = micros / 1'000'000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[64];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::string result(text, length);
  if (precision == Precision::microseconds)
    result += '.' + std::to_string(1'000'000 + micros % 1'000'000).substr(1);
  return result + 'Z';
}

}  // namespace fdchain::oci
