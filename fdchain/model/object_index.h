#pragma once

#include <span>
#include <vector>

#include "fdchain/model/fd_table.h"

namespace fdchain {

/// The rows of a table by the object that they are, so that one is found without a look at all others: a
/// process can hold many thousands. Refers to the table.
class ObjectIndex {
 public:
  explicit ObjectIndex(const FdTable& table);

  /// Those with this device and inode, in ascending order of their numbers.
  [[nodiscard]] std::span<const FdRow* const> rows_like(dev_t device, ino_t inode) const;
  [[nodiscard]] std::span<const FdRow* const> rows_like(const FdRow& row) const {
    return rows_like(row.device, row.inode);
  }

  /// The first of them; null when there is none.
  [[nodiscard]] const FdRow* first_like(dev_t device, ino_t inode) const;

 private:
  std::vector<const FdRow*> rows_;
};

}  // namespace fdchain
