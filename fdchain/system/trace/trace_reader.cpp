#include "fdchain/system/trace/trace_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <list>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/protocol/trace.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

constexpr int unusable = 2;
constexpr std::size_t longest_line = 8U << 20;
constexpr std::size_t most_bytes = 64U << 20;

/// The records of a run, with the memory they take.
struct Run {
  std::string name;
  std::size_t bytes = 0;
  std::vector<HopRecord> records;
};

// What a text needs beside the string itself.
std::size_t memory_of(const std::string& text) { return text.capacity() + 1; }

std::size_t memory_of(const FdRow& row) {
  std::size_t bytes =
      sizeof row + memory_of(row.type) + memory_of(row.mode) + memory_of(row.name) + memory_of(row.error);
  if (row.socket) bytes += memory_of(row.socket->local) + memory_of(row.socket->peer);
  return bytes;
}

// About; the length of a line says little, since a short one can hold a lot of small things.
std::size_t memory_of(const HopRecord& record) {
  constexpr std::size_t node = 64;  // what a map or the heap adds to each entry
  std::size_t bytes =
      sizeof record + memory_of(record.run) + memory_of(record.exe) + memory_of(record.program);
  for (const auto& [name, value] : record.environment)
    bytes += node + 2 * sizeof(std::string) + memory_of(name) + memory_of(value);
  bytes += record.ignored_signals.capacity() * sizeof(int);
  for (const FdRow& row : record.fds) bytes += memory_of(row);
  for (const auto* const texts : {&record.heard, &record.told}) {
    for (const std::string& text : *texts) bytes += sizeof(std::string) + memory_of(text);
  }
  for (const ProcessRow& child : record.children)
    bytes += sizeof child + memory_of(child.state) + memory_of(child.command);
  if (record.ended) bytes += memory_of(*record.ended);
  if (!record.contract) return bytes;
  for (const FdRow& row : record.contract->preserved) bytes += memory_of(row);
  for (const ContractSocket& socket : record.contract->sockets)
    bytes += sizeof socket + memory_of(socket.name) + memory_of(socket.row);
  return bytes;
}

class Reader {
 public:
  Reader(std::string path, const std::optional<std::string>& only) : path_(std::move(path)), only_(only) {}

  TraceContent read() {
    try {
      read_lines();
    } catch (const std::system_error& error) {
      throw Failure(printable(path_) + ": " + error.code().message(), unusable);
    }
    return finish();
  }

 private:
  void read_lines() {
    const OwnedFd file(check(::open(path_.c_str(), O_RDONLY | O_CLOEXEC), "open", path_));
    std::array<char, 1U << 16> buffer{};
    while (true) {
      const ssize_t got =
          check(retry([&] { return ::read(file.get(), buffer.data(), buffer.size()); }), "read");
      if (got == 0) break;
      split({buffer.data(), static_cast<std::size_t>(got)});
    }
    if (!line_.empty() || skipping_) end_line(false);
  }

  // Takes every line that ends within `bytes`, and keeps the beginning of the one that does not.
  void split(std::string_view bytes) {
    for (std::size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
      lengthen(bytes.substr(0, end));
      end_line(true);
      bytes.remove_prefix(end + 1);
    }
    lengthen(bytes);
  }

  // A line that is too long is skipped and counted instead of kept.
  void lengthen(std::string_view bytes) {
    skipping_ |= line_.size() + bytes.size() > longest_line;
    if (skipping_)
      line_.clear();
    else
      line_.append(bytes);
  }

  void end_line(bool whole) {
    if (std::exchange(skipping_, false))
      ++too_long_;
    else
      take(whole);
    line_.clear();
  }

  void take(bool whole) {
    if (line_.empty()) return;
    auto decoded = decode_record(line_);
    if (auto* const record = std::get_if<HopRecord>(&decoded)) return keep(std::move(*record));
    const auto& bad = std::get<BadRecord>(decoded);
    if (bad.kind == BadRecord::Kind::newer_schema) throw Failure(printable(path_) + ": " + bad.why, unusable);
    if (bad.kind == BadRecord::Kind::not_json && !whole) {
      cut_short_ = true;
      return;
    }
    if (not_records_++ == 0) first_reason_ = printable(bad.why);
  }

  void keep(HopRecord record) {
    if (only_ && record.run != *only_) return;
    const std::size_t bytes = memory_of(record);
    Run& run = run_of(record.run);
    while (bytes_ + bytes > most_bytes && runs_.size() > 1) drop_oldest_but(run);
    if (bytes_ + bytes > most_bytes) {
      ++records_left_out_;
      return;
    }
    bytes_ += bytes;
    run.bytes += bytes;
    run.records.push_back(std::move(record));
  }

  Run& run_of(const std::string& name) {
    if (const auto known = by_name_.find(name); known != by_name_.end()) return *known->second;
    runs_.push_back({name, 0, {}});
    by_name_.emplace(name, std::prev(runs_.end()));
    return runs_.back();
  }

  void drop_oldest_but(const Run& kept) {
    const auto oldest = &runs_.front() == &kept ? std::next(runs_.begin()) : runs_.begin();
    bytes_ -= oldest->bytes;
    ++runs_left_out_;
    by_name_.erase(oldest->name);
    runs_.erase(oldest);
  }

  void remark(std::size_t count, const char* thing, const char* fate) {
    if (count == 0) return;
    remarks_.push_back(fmt::format("{} {}{} {}", count, thing, count == 1 ? "" : "s", fate));
  }

  TraceContent finish() {
    remark(not_records_, "line", ("left out: no record; the first one: " + first_reason_).c_str());
    remark(too_long_, "line", "left out: longer than 8 MiB");
    remark(runs_left_out_, "older run", "left out: the trace does not fit into 64 MiB");
    remark(records_left_out_, "record", "left out: the run does not fit into 64 MiB");
    if (cut_short_) remarks_.emplace_back("the last line is cut short, and is left out");
    TraceContent content;
    for (Run& run : runs_) {
      if (!run.records.empty()) content.runs.push_back(std::move(run.records));
    }
    content.remarks = std::move(remarks_);
    content.lines_rejected = not_records_ + too_long_;
    if (!content.runs.empty()) return content;
    throw Failure(printable(path_) +
                      (only_ ? ": no record of the run " + printable(*only_) : ": no record of a hop in it") +
                      (content.remarks.empty() ? "" : "; " + content.remarks.front()),
                  unusable);
  }

  std::string path_;
  std::optional<std::string> only_;
  std::string line_;
  bool skipping_ = false;
  std::list<Run> runs_;  // in the order in which they began
  std::unordered_map<std::string, std::list<Run>::iterator> by_name_;
  std::size_t bytes_ = 0;
  std::size_t not_records_ = 0;
  std::string first_reason_;
  std::size_t too_long_ = 0;
  std::size_t runs_left_out_ = 0;
  std::size_t records_left_out_ = 0;
  bool cut_short_ = false;
  std::vector<std::string> remarks_;
};

}  // namespace

TraceContent read_trace(const std::string& path, const std::optional<std::string>& only) {
  return Reader(path, only).read();
}

}  // namespace fdchain
