#pragma once
// How result_schema.cpp and its kin write a column.
#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// A column that `spec` describes but for name and type.
template <class T>
ColumnSpec define(ColumnKey<T> key, ColumnSpec spec) {
  spec.name = key.name;
  spec.type = static_cast<ColumnType>(ColumnValues(std::vector<T>()).index());
  return spec;
}

}  // namespace rvsweep
