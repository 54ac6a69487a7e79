// Masks that show a part of a value (mask(passport, "last4")), as opposed to those that show nothing of it.
//
// They protect a field only where they are applied to the field itself: of a computed value they can show anything, as
// mask(name + repeat("x", 200), "first9") does. So taint() (check.h, aggregate.h) takes what stands under such a mask
// for shown unless it is a field, and here is what whoever knows the fields needs besides: a field may itself have been
// computed by an earlier step.
#pragma once

#include <vector>

#include "data/expr/aggregate.h"
#include "data/expr/check.h"

namespace runink::expr {

struct PartMasks {
  std::vector<int> fields;    // columns to which one is applied directly (or to their text, or to their min, max, first, last)
  std::vector<int> computed;  // columns from which a value is computed that one is applied to
};  // both ascending, each once

PartMasks part_masks(const TypedExpr& expr);
// Of the rows' columns; keys of the group are left out (taint() takes a key under such a mask for shown).
PartMasks part_masks(const AggregateExpr& expr, int keys);

}  // namespace runink::expr
