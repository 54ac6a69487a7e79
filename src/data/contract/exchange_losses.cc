// What an exported text does not bring back: not what a writer thinks it left out, but what reading the text shows.
#include <fmt/format.h>

#include <algorithm>

#include "data/contract/canonical.h"
#include "data/contract/exchange_common.h"
#include "data/contract/field_diff.h"
#include "data/contract/parse.h"

namespace runink::contract {
namespace {

// Attributes that say the same kind of thing are told as one that became another.
std::string word_of(const std::string& attribute) {
  const std::string word = attribute.substr(0, attribute.find('('));
  return word == "min" || word == "max" ? "range" : word == "key" ? "required" : word;
}

class Losses {
 public:
  std::vector<std::string> find(const Contract& before, const Contract& after) {
    if (before.name != after.name) became("the contract", "the name " + before.name, after.name);
    attributes("the contract", attribute_texts(before), attribute_texts(after));
    fields(before.fields, after.fields, "");
    order(before.fields, after.fields);
    rules("check", before.checks, after.checks);
    rules("quality", before.qualities, after.qualities);
    for (const auto& rule : before.qualities) {
      const auto* const back = find_rule(after.qualities, rule.name);
      if (back != nullptr && back->severity != rule.severity) lost("quality " + rule.name, "its severity");
    }
    return std::move(out_);
  }

 private:
  void lost(const std::string& where, const std::string& what) { out_.push_back(where + ": " + what); }
  void became(const std::string& where, const std::string& what, const std::string& now) {
    out_.push_back(fmt::format("{}: {} comes back as {}", where, what, now));
  }

  void attributes(const std::string& where, const std::vector<std::string>& before,
                  const std::vector<std::string>& after) {
    std::vector<std::string> gone, fresh;
    const auto without = [](const auto& all, const auto& others, auto& into) {
      std::copy_if(all.begin(), all.end(), std::back_inserter(into),
                   [&](const auto& a) { return std::find(others.begin(), others.end(), a) == others.end(); });
    };
    without(before, after, gone);
    without(after, before, fresh);
    for (const auto& attribute : gone) {
      const auto at =
          std::find_if(fresh.begin(), fresh.end(), [&](const auto& f) { return word_of(f) == word_of(attribute); });
      if (at == fresh.end()) {
        lost(where, attribute);
      } else {
        became(where, attribute, *at);
        fresh.erase(at);
      }
    }
    for (const auto& attribute : fresh) became(where, "nothing", attribute);
  }

  void fields(const std::vector<ContractField>& before, const std::vector<ContractField>& after,
              const std::string& prefix) {
    for (const auto& field : before) {
      const std::string name = prefix + field.name;
      const ContractField* const back = find_field(after, field.name);
      if (back == nullptr) {
        lost(name, "the whole field");
        continue;
      }
      const size_t told = out_.size();
      attributes(name, attribute_texts(field), attribute_texts(*back));
      const bool members = !field.elements.empty() && !back->elements.empty();
      if (members) fields(field.elements, back->elements, name + ".");
      // Lists whose members differ have been told by them.
      if (field.type != back->type && (!members || out_.size() == told)) {
        became(name, type_text(field), type_text(*back));
      }
    }
    for (const auto& field : after) {
      if (find_field(before, field.name) == nullptr) became(prefix + field.name, "nothing", "a field");
    }
  }
  void order(const std::vector<ContractField>& before, const std::vector<ContractField>& after) {
    std::vector<std::string> was, is;
    for (const auto& f : before) was.push_back(f.name);
    for (const auto& f : after) is.push_back(f.name);
    if (was != is && std::is_permutation(was.begin(), was.end(), is.begin(), is.end())) {
      lost("the contract", "the order of its fields");
    }
  }

  template <typename RuleType>
  static const RuleType* find_rule(const std::vector<RuleType>& rules, const std::string& name) {
    const auto at = std::find_if(rules.begin(), rules.end(), [&](const auto& r) { return r.name == name; });
    return at == rules.end() ? nullptr : &*at;
  }
  template <typename RuleType>
  void rules(const std::string& kind, const std::vector<RuleType>& before, const std::vector<RuleType>& after) {
    for (const auto& rule : before) {
      const RuleType* const back = find_rule(after, rule.name);
      const std::string name = kind + " " + rule.name;
      if (back == nullptr) {
        lost(name, "the whole rule");
      } else if (back->canonical != rule.canonical) {
        became(name, rule.canonical, back->canonical);
      } else if (back->description != rule.description) {
        lost(name, "its description");
      }
    }
  }

  std::vector<std::string> out_;
};

}  // namespace

std::vector<std::string> find_losses(const Contract& contract, const Result<Exchanged>& imported) {
  const auto unreadable = [](const Status& status) {
    return std::vector<std::string>{fmt::format("the contract: its text cannot be read back ({})", status.message())};
  };
  if (!imported.ok()) return unreadable(imported.status());
  const auto back = parse_contract_text(imported->text);
  return back.ok() ? Losses().find(contract, **back) : unreadable(back.status());
}

void add_losses(const Contract& contract, const Result<Exchanged>& imported, std::vector<std::string>* notes) {
  std::vector<std::string> found = find_losses(contract, imported);
  const auto subject = [](const std::string& sentence) { return sentence.substr(0, sentence.find(": ")); };
  for (auto& note : *notes) {
    const bool told =
        std::any_of(found.begin(), found.end(), [&](const auto& f) { return subject(f) == subject(note); });
    if (!told) found.push_back(std::move(note));
  }
  *notes = std::move(found);
}

}  // namespace runink::contract
