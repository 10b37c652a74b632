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
  const std::pair object(device, inode);
  const auto first = std::ranges::lower_bound(rows_, object, {}, object_of);
  const auto last = std::ranges::upper_bound(first, rows_.end(), object, {}, object_of);
  return {rows_.data() + (first - rows_.begin()), static_cast<std::size_t>(last - first)};
}

const FdRow* ObjectIndex::first_like(dev_t device, ino_t inode) const {
  const auto rows = rows_like(device, inode);
  return rows.empty() ? nullptr : rows.front();
}

}  // namespace fdchain
