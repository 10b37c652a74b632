#include "fdchain/system/trace_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/protocol/trace.h"

namespace fdchain {
namespace {

constexpr int unusable = 2;
constexpr std::size_t longest_line = 16U << 20;
constexpr std::size_t most_bytes = 64U << 20;

/// The records of a run, with the size of their text.
struct Run {
  std::string name;
  std::size_t bytes = 0;
  std::vector<HopRecord> records;
};

class Reader {
 public:
  Reader(std::string path, const std::optional<std::string>& only) : path_(std::move(path)), only_(only) {}

  TraceContent read() {
    std::ifstream file(path_);
    if (!file) throw Failure(printable(path_) + ": " + std::strerror(errno), unusable);
    std::string line;
    while (next_line(file, line)) take(line, !file.eof());
    if (file.bad()) throw Failure(printable(path_) + ": cannot be read: " + std::strerror(errno), unusable);
    return finish();
  }

 private:
  // As getline, but a line that is too long is skipped and counted instead of kept.
  bool next_line(std::istream& file, std::string& line) {
    line.clear();
    bool any = false;
    bool skip = false;
    for (int character = file.get(); character != std::char_traits<char>::eof(); character = file.get()) {
      any = true;
      if (character == '\n') break;
      if (line.size() == longest_line)
        skip = true;
      else
        line.push_back(static_cast<char>(character));
    }
    if (skip) {
      ++too_long_;
      line.clear();
    }
    return any;
  }

  void take(const std::string& line, bool whole) {
    if (line.empty()) return;
    auto decoded = decode_record(line);
    if (auto* const record = std::get_if<HopRecord>(&decoded)) return keep(std::move(*record), line.size());
    const auto& bad = std::get<BadRecord>(decoded);
    switch (bad.kind) {
      case BadRecord::Kind::newer_schema: throw Failure(printable(path_) + ": " + bad.why, unusable);
      case BadRecord::Kind::not_json:
        if (whole)
          ++not_records_;
        else
          cut_short_ = true;
        break;
      case BadRecord::Kind::not_a_record: ++not_records_; break;
    }
  }

  void keep(HopRecord record, std::size_t bytes) {
    if (only_ && record.run != *only_) return;
    auto run = std::ranges::find(runs_, record.run, &Run::name);
    if (run == runs_.end()) run = runs_.insert(runs_.end(), Run{record.run, 0, {}});
    while (bytes_ + bytes > most_bytes && runs_.size() > 1) {
      const auto oldest = run == runs_.begin() ? runs_.begin() + 1 : runs_.begin();
      bytes_ -= oldest->bytes;
      ++runs_left_out_;
      const std::string name = run->name;
      runs_.erase(oldest);
      run = std::ranges::find(runs_, name, &Run::name);
    }
    if (bytes_ + bytes > most_bytes) {
      ++records_left_out_;
      return;
    }
    bytes_ += bytes;
    run->bytes += bytes;
    run->records.push_back(std::move(record));
  }

  TraceContent finish() {
    TraceContent content;
    for (Run& run : runs_) content.runs.push_back(std::move(run.records));
    const auto remark = [&](std::size_t count, const char* what) {
      if (count > 0) content.remarks.push_back(fmt::format("{} {}", count, what));
    };
    remark(not_records_, "lines are no records, and are left out");
    remark(too_long_, "lines are longer than 16 MiB, and are left out");
    remark(runs_left_out_, "older runs did not fit into 64 MiB, and are left out");
    remark(records_left_out_, "records did not fit into 64 MiB, and are left out");
    if (cut_short_) content.remarks.emplace_back("the last line is cut short, and is left out");
    if (!content.runs.empty()) return content;
    throw Failure(printable(path_) + (only_ ? ": no record of this run" : ": no record of a hop in it") +
                      (content.remarks.empty() ? "" : "; " + content.remarks.front()),
                  unusable);
  }

  std::string path_;
  std::optional<std::string> only_;
  std::vector<Run> runs_;
  std::size_t bytes_ = 0;
  std::size_t not_records_ = 0;
  std::size_t too_long_ = 0;
  std::size_t runs_left_out_ = 0;
  std::size_t records_left_out_ = 0;
  bool cut_short_ = false;
};

}  // namespace

TraceContent read_trace(const std::string& path, const std::optional<std::string>& only) {
  return Reader(path, only).read();
}

}  // namespace fdchain
