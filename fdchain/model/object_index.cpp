#include "fdchain/model/object_index.h"

#include <algorithm>
#include <utility>

namespace fdchain {
namespace {

std::pair<dev_t, ino_t> object_of(const FdRow* row) { return {row->device, row->inode}; }

}  // namespace

ObjectIndex::ObjectIndex(const FdTable& table) {
  rows_.reserve(table.size());
  for (const FdRow& row : table) rows_.push_back(&row);
  std::ranges::stable_sort(rows_, {}, object_of);
}

std::span<const FdRow* const> ObjectIndex::rows_like(dev_t device, ino_t inode) const {
  const auto found = std::ranges::equal_range(rows_, std::pair(device, inode), {}, object_of);
  return {found.begin(), found.end()};
}

const FdRow* ObjectIndex::first_like(dev_t device, ino_t inode) const {
  const auto rows = rows_like(device, inode);
  return rows.empty() ? nullptr : rows.front();
}

}  // namespace fdchain
