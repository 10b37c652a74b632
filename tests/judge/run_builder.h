// A healthy run as a trace has it, made by hand, to be spoilt by a test.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fdchain/judge/judge.h"
#include "fdchain/model/hop_record.h"

namespace fdchain::test {

/// What a run is made with.
struct RunShape {
  int sockets = 2;         ///< named s0, s1, …, listening, at 3 and above
  int preserved = 0;       ///< files after them
  bool inherited = false;  ///< by the launcher, from an activator; else it opens them itself
  bool named = true;       ///< LISTEN_FDNAMES is set
  bool notify = false;     ///< NOTIFY_SOCKET is there and goes to the payload
  bool foreign = false;    ///< the payload is somebody else's: seen from outside only
};

class RunBuilder {
 public:
  explicit RunBuilder(const RunShape& shape = {});

  /// The record of this hop and moment. Throws when it has been dropped.
  HopRecord& at(Hop hop, Moment moment);

  /// Edits every record of a hand-over from this one on, in the order of travel.
  RunBuilder& from(Hop hop, Moment moment, const std::function<void(HopRecord&)>& edit);

  /// Removes a record.
  RunBuilder& drop(Hop hop, Moment moment);

  /// Removes every record of a hop.
  RunBuilder& drop(Hop hop);

  /// The judge's findings, `fd-lost-closed 3 by monitor at runtime-shim` each: id, descriptor, culprit (`?`
  /// for none), hop.
  [[nodiscard]] std::vector<std::string> findings() const;

  std::vector<HopRecord> records;

 private:
  void add(Hop hop, Moment moment, const RunShape& shape);
};

/// The numbers of what a run of this shape has.
inline constexpr pid_t launcher_pid = 100;
inline constexpr pid_t monitor_pid = 201;
inline constexpr pid_t payload_pid = 301;

/// A listening TCP socket that is like no other: number 3 is the same object in every record that has it.
FdRow socket_row(int number, int index);

/// Something that is none of the run's: a directory of the host.
FdRow directory_row(int number);

/// A row of this table.
FdRow& row_of(HopRecord& record, int number);
void remove_row(HopRecord& record, int number);
/// Puts a row where its number belongs, instead of what is there.
void put_row(HopRecord& record, const FdRow& row);

/// A diagnosis in the words of RunBuilder::findings().
std::vector<std::string> summary(const Diagnosis& diagnosis);

}  // namespace fdchain::test
