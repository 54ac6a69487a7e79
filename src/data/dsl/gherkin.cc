#include "data/dsl/gherkin.h"

namespace runink::dsl {

const Literal* Annotation::positional(size_t index) const {
  if (index >= arguments.size() || !arguments[index].key.empty()) return nullptr;
  return &arguments[index].value;
}

const Literal* Annotation::find(std::string_view key) const {
  for (const auto& argument : arguments) {
    if (!key.empty() && argument.key == key) return &argument.value;
  }
  return nullptr;
}

size_t Annotation::positional_count() const {
  size_t count = 0;
  while (count < arguments.size() && arguments[count].key.empty()) ++count;
  return count;
}

}  // namespace runink::dsl
