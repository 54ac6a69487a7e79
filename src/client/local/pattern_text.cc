#include "client/local/pattern_text.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace runink::local {

struct Range {
  uint32_t lo, hi;
};

struct PatternText::Node {
  enum class Kind { kClass, kSequence, kChoice, kRepeat } kind = Kind::kSequence;
  std::vector<Range> ranges;  // kClass: not empty
  uint64_t characters = 0;    // in the ranges
  std::vector<std::shared_ptr<const Node>> children;
  uint32_t min = 0, max = 0;  // kRepeat; max UINT32_MAX: unbounded
};

namespace {

using Node = PatternText::Node;
using NodePtr = std::shared_ptr<const Node>;

constexpr int kMaxDepth = 200;
constexpr uint32_t kMaxRepeat = 1000;  // RE2's own bound
constexpr uint32_t kUsualExtra = 8;    // how much longer than its least an unbounded repetition gets
constexpr size_t kMaxText = 1 << 16;   // bytes of one text: nested repetitions multiply

const std::vector<Range> kPrintable = {{0x20, 0x7e}};

void add_word(std::vector<Range>* out) {
  for (const Range r : {Range{'0', '9'}, Range{'A', 'Z'}, Range{'_', '_'}, Range{'a', 'z'}}) out->push_back(r);
}

// Sorted, joined, without overlaps.
std::vector<Range> normal(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.lo < b.lo; });
  std::vector<Range> out;
  for (const Range r : ranges) {
    if (!out.empty() && r.lo <= out.back().hi + 1)
      out.back().hi = std::max(out.back().hi, r.hi);
    else
      out.push_back(r);
  }
  return out;
}

// What a negated class draws from: printable ASCII; where that is all excluded, letters beyond it.
std::vector<Range> complement(std::vector<Range> excluded) {
  excluded = normal(std::move(excluded));
  for (const std::vector<Range>& from :
       {kPrintable, std::vector<Range>{{0xa1, 0x17f}}, std::vector<Range>{{0x391, 0x3a1}}}) {
    std::vector<Range> out;
    for (const Range r : from) {
      uint32_t at = r.lo;
      for (const Range x : excluded) {
        if (x.hi < at || x.lo > r.hi) continue;
        if (x.lo > at) out.push_back({at, x.lo - 1});
        at = x.hi + 1;
      }
      if (at <= r.hi) out.push_back({at, r.hi});
    }
    if (!out.empty()) return out;
  }
  return {};
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<NodePtr> run() {
    NodePtr root = RUNINK_TRY(choice(0));
    if (at_ < text_.size()) return fail("an unmatched )");
    return root;
  }

 private:
  Status fail(std::string_view what) const {
    return invalid_argument("cannot make texts for the pattern {}: {} at byte {}", escape_control(text_), what, at_);
  }
  bool more() const { return at_ < text_.size(); }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  uint32_t code_point() {
    const std::string_view one = code_point_slice(text_.substr(at_), 0, 1);
    at_ += std::max<size_t>(one.size(), 1);
    const auto b = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(one[i])); };
    if (one.size() <= 1) return one.empty() ? 0 : b(0);
    if (one.size() == 2) return (b(0) & 0x1f) << 6 | (b(1) & 0x3f);
    if (one.size() == 3) return (b(0) & 0x0f) << 12 | (b(1) & 0x3f) << 6 | (b(2) & 0x3f);
    return (b(0) & 0x07) << 18 | (b(1) & 0x3f) << 12 | (b(2) & 0x3f) << 6 | (b(3) & 0x3f);
  }

  Result<NodePtr> choice(int depth) {
    if (depth > kMaxDepth) return fail("groups nested too deep");
    auto out = std::make_shared<Node>();
    out->kind = Node::Kind::kChoice;
    out->children.push_back(RUNINK_TRY(sequence(depth)));
    while (take("|")) out->children.push_back(RUNINK_TRY(sequence(depth)));
    return out->children.size() == 1 ? out->children[0] : NodePtr(out);
  }

  Result<NodePtr> sequence(int depth) {
    auto out = std::make_shared<Node>();
    while (more() && text_[at_] != '|' && text_[at_] != ')') {
      NodePtr piece = RUNINK_TRY(atom(depth));
      if (piece == nullptr) continue;  // an anchor, or flags
      piece = RUNINK_TRY(repeated(std::move(piece)));
      out->children.push_back(std::move(piece));
    }
    return NodePtr(out);
  }

  Result<NodePtr> repeated(NodePtr piece) {
    for (;;) {
      uint32_t min = 0, max = UINT32_MAX;
      if (take("*")) {
      } else if (take("+")) {
        min = 1;
      } else if (take("?")) {
        max = 1;
      } else if (!counts(&min, &max)) {
        return piece;
      }
      take("?");  // lazy: the same texts
      if (min > kMaxRepeat || (max != UINT32_MAX && (max > kMaxRepeat || max < min)))
        return fail("a repetition out of range");
      auto out = std::make_shared<Node>();
      out->kind = Node::Kind::kRepeat;
      out->min = min;
      out->max = max;
      out->children.push_back(std::move(piece));
      piece = out;
    }
  }

  // {n}, {n,}, {n,m}; anything else after { is a literal brace.
  bool counts(uint32_t* min, uint32_t* max) {
    const size_t start = at_;
    const auto number = [&](uint32_t* out) {
      const size_t from = at_;
      *out = 0;
      while (more() && text_[at_] >= '0' && text_[at_] <= '9' && *out < 100'000)
        *out = *out * 10 + static_cast<uint32_t>(text_[at_++] - '0');
      return at_ > from;
    };
    if (take("{") && number(min)) {
      *max = *min;
      if (take(",") && !number(max)) *max = UINT32_MAX;
      if (take("}")) return true;
    }
    at_ = start;
    return false;
  }

  static NodePtr of_class(std::vector<Range> ranges) {
    auto out = std::make_shared<Node>();
    out->kind = Node::Kind::kClass;
    out->ranges = normal(std::move(ranges));
    for (const Range r : out->ranges) out->characters += r.hi - r.lo + 1;
    return out;
  }

  // Null for what matches no character of its own.
  Result<NodePtr> atom(int depth) {
    if (take("(")) return group(depth);
    if (take("[")) return bracket();
    if (take(".")) return of_class(kPrintable);
    if (take("^") || take("$")) return NodePtr();
    if (take("\\")) return escape();
    if (text_[at_] == '*' || text_[at_] == '+' || text_[at_] == '?') return fail("nothing to repeat");
    const uint32_t c = code_point();
    return of_class({{c, c}});
  }

  Result<NodePtr> group(int depth) {
    if (take("?")) {
      if (take("P<") || take("<")) {
        while (more() && text_[at_] != '>') ++at_;
        if (!take(">")) return fail("an unfinished name");
      } else {
        while (more() && text_[at_] != ':' && text_[at_] != ')') {
          if (std::strchr("imsU-", text_[at_]) == nullptr) return fail("an unknown group");
          ++at_;
        }
        if (take(")")) return NodePtr();  // flags for the rest: texts as written match in any case
        if (!take(":")) return fail("an unfinished group");
      }
    }
    NodePtr inside = RUNINK_TRY(choice(depth + 1));
    if (!take(")")) return fail("a missing )");
    return inside;
  }

  // After a backslash: a class, one character, or (an empty value) nothing.
  Result<std::vector<Range>> escaped() {
    if (!more()) return fail("a backslash at the end");
    const char c = text_[at_++];
    std::vector<Range> out;
    switch (c) {
      case 'd':
        return std::vector<Range>{{'0', '9'}};
      case 'D':
        return complement({{'0', '9'}});
      case 'w':
        add_word(&out);
        return out;
      case 'W':
        add_word(&out);
        return complement(std::move(out));
      case 's':
        return std::vector<Range>{{' ', ' '}};
      case 'S':
        return complement({{' ', ' '}});
      case 'n':
        return std::vector<Range>{{'\n', '\n'}};
      case 't':
        return std::vector<Range>{{'\t', '\t'}};
      case 'r':
        return std::vector<Range>{{'\r', '\r'}};
      case 'f':
        return std::vector<Range>{{'\f', '\f'}};
      case 'v':
        return std::vector<Range>{{'\v', '\v'}};
      case 'a':
        return std::vector<Range>{{'\a', '\a'}};
      case 'A':
      case 'z':
      case 'b':
      case 'B':
        return out;
      case 'x':
        return hexadecimal();
      case 'p':
      case 'P':
        return property(c == 'P');
      default:
        break;
    }
    if (std::isalnum(static_cast<unsigned char>(c))) return fail("an unknown escape");
    const auto byte = static_cast<uint32_t>(static_cast<unsigned char>(c));
    return std::vector<Range>{{byte, byte}};
  }
  Result<std::vector<Range>> hexadecimal() {
    const bool braces = take("{");
    uint32_t value = 0;
    size_t digits = 0;
    while (more() && std::isxdigit(static_cast<unsigned char>(text_[at_])) && digits < (braces ? 6u : 2u)) {
      const char c = static_cast<char>(std::tolower(static_cast<unsigned char>(text_[at_++])));
      value = value * 16 + static_cast<uint32_t>(c <= '9' ? c - '0' : c - 'a' + 10);
      ++digits;
    }
    if (digits == 0 || (braces && !take("}")) || value > 0x10ffff) return fail("a broken \\x");
    return std::vector<Range>{{value, value}};
  }
  // Unicode properties by some of their characters.
  Result<std::vector<Range>> property(bool negated) {
    std::string name;
    if (take("{")) {
      while (more() && text_[at_] != '}') name += text_[at_++];
      if (!take("}")) return fail("an unfinished property");
    } else if (more()) {
      name = text_[at_++];
    }
    if (name.starts_with("^")) {
      negated = !negated;
      name.erase(0, 1);
    }
    std::vector<Range> out;
    if (name == "L" || name == "Latin")
      out = {{'A', 'Z'}, {'a', 'z'}};
    else if (name == "Lu")
      out = {{'A', 'Z'}};
    else if (name == "Ll")
      out = {{'a', 'z'}};
    else if (name == "N" || name == "Nd")
      out = {{'0', '9'}};
    else if (name == "P" || name == "Po")
      out = {{'!', '#'}, {'%', '\''}, {'*', '*'}, {',', ','}, {'.', '/'}, {':', ';'}, {'?', '@'}};
    else if (name == "Z" || name == "Zs")
      out = {{' ', ' '}};
    else if (name == "S" || name == "Sm")
      out = {{'+', '+'}, {'<', '>'}};
    else if (name == "Greek")
      out = {{0x391, 0x3a1}, {0x3b1, 0x3c9}};
    else if (name == "Cyrillic")
      out = {{0x410, 0x44f}};
    else if (name == "Han")
      out = {{0x4e00, 0x4fff}};
    else
      return fail("a property that is not known here");
    return negated ? complement(std::move(out)) : out;
  }
  Result<NodePtr> escape() {
    if (take("Q")) {
      auto out = std::make_shared<Node>();
      while (more() && !take("\\E")) {
        const uint32_t c = code_point();
        out->children.push_back(of_class({{c, c}}));
      }
      return NodePtr(out);
    }
    std::vector<Range> ranges = RUNINK_TRY(escaped());
    return ranges.empty() ? NodePtr() : of_class(std::move(ranges));
  }

  Result<NodePtr> bracket() {
    const bool negated = take("^");
    std::vector<Range> ranges;
    for (bool first = true; first || !text_.substr(at_).starts_with("]"); first = false) {
      if (!more()) return fail("a missing ]");
      if (take("[:")) {
        RUNINK_RETURN_IF_ERROR(posix(&ranges));
        continue;
      }
      std::vector<Range> one;
      if (take("\\")) {
        one = RUNINK_TRY(escaped());
      } else {
        const uint32_t c = code_point();
        one = {{c, c}};
      }
      const bool single = one.size() == 1 && one[0].lo == one[0].hi;
      if (single && at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
        ++at_;
        uint32_t hi = 0;
        if (take("\\")) {
          const std::vector<Range> end = RUNINK_TRY(escaped());
          if (end.size() != 1 || end[0].lo != end[0].hi) return fail("a range that ends in a class");
          hi = end[0].lo;
        } else {
          hi = code_point();
        }
        if (hi < one[0].lo) return fail("a range that runs backwards");
        one[0].hi = hi;
      }
      ranges.insert(ranges.end(), one.begin(), one.end());
    }
    take("]");
    if (negated) ranges = complement(std::move(ranges));
    if (ranges.empty()) return fail("a class without characters");
    // Surrogates are no characters.
    std::vector<Range> whole;
    for (const Range r : ranges) {
      if (r.lo < 0xd800) whole.push_back({r.lo, std::min(r.hi, 0xd7ffu)});
      if (r.hi > 0xdfff) whole.push_back({std::max(r.lo, 0xe000u), std::min(r.hi, 0x10ffffu)});
    }
    if (whole.empty()) return fail("a class without characters");
    return of_class(std::move(whole));
  }
  Status posix(std::vector<Range>* out) {
    const bool negated = take("^");
    std::string name;
    while (more() && text_[at_] != ':') name += text_[at_++];
    if (!take(":]")) return fail("an unfinished class name");
    std::vector<Range> r;
    if (name == "alpha")
      r = {{'A', 'Z'}, {'a', 'z'}};
    else if (name == "alnum")
      r = {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}};
    else if (name == "digit")
      r = {{'0', '9'}};
    else if (name == "upper")
      r = {{'A', 'Z'}};
    else if (name == "lower")
      r = {{'a', 'z'}};
    else if (name == "space" || name == "blank")
      r = {{' ', ' '}};
    else if (name == "xdigit")
      r = {{'0', '9'}, {'A', 'F'}, {'a', 'f'}};
    else if (name == "word")
      add_word(&r);
    else if (name == "punct")
      r = {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}};
    else if (name == "print" || name == "graph" || name == "ascii")
      r = {{'!', '~'}};
    else
      return fail("an unknown class name");
    if (negated) r = complement(std::move(r));
    out->insert(out->end(), r.begin(), r.end());
    return {};
  }

  std::string_view text_;
  size_t at_ = 0;
};

uint32_t character_at(const Node& node, uint64_t index) {
  for (const Range r : node.ranges) {
    const uint64_t size = r.hi - r.lo + 1;
    if (index < size) return r.lo + static_cast<uint32_t>(index);
    index -= size;
  }
  return node.ranges[0].lo;
}

void append_character(uint32_t c, std::string& out) {
  if (c < 0x80)
    out += static_cast<char>(c);
  else
    append_utf8(out, c);
}

// Whether all texts have the same shape.
bool is_fixed(const Node& node) {
  if (node.kind == Node::Kind::kChoice) return false;
  if (node.kind == Node::Kind::kRepeat && node.min != node.max) return false;
  return std::all_of(node.children.begin(), node.children.end(), [](const auto& child) { return is_fixed(*child); });
}

void make(const Node& node, SynthRandom& random, std::string& out, size_t limit) {
  if (out.size() > limit) return;
  switch (node.kind) {
    case Node::Kind::kClass:
      append_character(character_at(node, node.characters == 1 ? 0 : random.below(node.characters)), out);
      return;
    case Node::Kind::kSequence:
      for (const auto& child : node.children) make(*child, random, out, limit);
      return;
    case Node::Kind::kChoice:
      make(*node.children[random.below(node.children.size())], random, out, limit);
      return;
    case Node::Kind::kRepeat: {
      const uint32_t max = node.max == UINT32_MAX ? node.min + kUsualExtra : node.max;
      const uint64_t times = node.min + (max > node.min ? random.below(max - node.min + 1) : 0);
      for (uint64_t i = 0; i < times; ++i) make(*node.children[0], random, out, limit);
      return;
    }
  }
}

uint64_t times_saturated(uint64_t a, uint64_t b) {
  uint64_t out;
  return __builtin_mul_overflow(a, b, &out) ? UINT64_MAX : out;
}

// The fixed form: a list of classes. `extra` is how much longer than their least repetitions get.
void flatten(const Node& node, uint32_t extra, std::vector<const Node*>* out) {
  if (out->size() > kMaxText) return;
  switch (node.kind) {
    case Node::Kind::kClass:
      out->push_back(&node);
      return;
    case Node::Kind::kSequence:
      for (const auto& child : node.children) flatten(*child, extra, out);
      return;
    case Node::Kind::kChoice: {
      std::vector<const Node*> best;
      uint64_t best_capacity = 0;
      for (const auto& child : node.children) {
        std::vector<const Node*> one;
        flatten(*child, extra, &one);
        uint64_t capacity = 1;
        for (const Node* c : one) capacity = times_saturated(capacity, c->characters);
        if (capacity > best_capacity) {
          best_capacity = capacity;
          best = std::move(one);
        }
      }
      out->insert(out->end(), best.begin(), best.end());
      return;
    }
    case Node::Kind::kRepeat: {
      const uint32_t times = node.max == UINT32_MAX ? node.min + extra : std::min(node.max, node.min + extra);
      for (uint32_t i = 0; i < times && out->size() <= kMaxText; ++i) flatten(*node.children[0], extra, out);
      return;
    }
  }
}

}  // namespace

PatternText::PatternText(std::shared_ptr<const Node> root) : root_(std::move(root)) {
  if (is_fixed(*root_)) flatten(*root_, 0, &fixed_);
}
PatternText::~PatternText() = default;
PatternText::PatternText(PatternText&&) noexcept = default;

Result<PatternText> PatternText::parse(std::string_view pattern) {
  return PatternText(RUNINK_TRY(Parser(pattern).run()));
}

void PatternText::append(SynthRandom& random, std::string& out) const {
  if (fixed_.empty()) return make(*root_, random, out, out.size() + kMaxText);
  for (const Node* c : fixed_)
    append_character(character_at(*c, c->characters == 1 ? 0 : random.below(c->characters)), out);
}

PatternText::Form PatternText::form(uint64_t at_least, uint64_t length_min, uint64_t length_max) const {
  constexpr uint32_t kMostExtra = 64;
  Form best;
  best.root_ = root_;
  best.capacity_ = 0;
  uint32_t extra = 0;
  for (size_t before = SIZE_MAX;;) {
    Form form;
    flatten(*root_, extra, &form.classes_);
    const size_t length = form.classes_.size();
    for (const Node* c : form.classes_) form.capacity_ = times_saturated(form.capacity_, c->characters);
    const bool allowed = length >= length_min && length <= length_max;
    if (best.capacity_ == 0 || (allowed && form.capacity_ > best.capacity_)) {
      best.classes_ = std::move(form.classes_);
      best.capacity_ = allowed ? form.capacity_ : 0;
    }
    if (length == before || length > length_max || length >= kMaxText ||
        (best.capacity_ >= at_least && best.capacity_ > 0))
      break;
    before = length;
    // Up to the least length in one go where that is far.
    extra = length + kMostExtra < length_min
                ? extra + static_cast<uint32_t>(std::min<uint64_t>(length_min - length, kMaxText)) / 4 + 1
                : extra + 1;
    if (extra > kMostExtra && length >= length_min) break;
  }
  best.capacity_ = std::max<uint64_t>(best.capacity_, 1);
  return best;
}

void PatternText::Form::append_at(uint64_t index, std::string& out) const {
  // The last character changes fastest, as numbers do.
  char ascii[64];
  size_t begin = sizeof(ascii);
  std::string beyond;  // what does not fit there, or is not ASCII, is made of parts, last first
  for (size_t i = classes_.size(); i-- > 0;) {
    const uint64_t size = classes_[i]->characters;
    uint64_t place = 0;
    if (size > 1 && index <= UINT32_MAX && size <= UINT32_MAX) {
      place = static_cast<uint32_t>(index) % static_cast<uint32_t>(size);
      index = static_cast<uint32_t>(index) / static_cast<uint32_t>(size);
    } else if (size > 1) {
      place = index % size;
      index /= size;
    }
    const uint32_t c = character_at(*classes_[i], place);
    if (c < 0x80 && begin > 0) {
      ascii[--begin] = static_cast<char>(c);
      continue;
    }
    std::string one;
    append_character(c, one);
    beyond.insert(0, std::string(ascii + begin, sizeof(ascii) - begin));
    beyond.insert(0, one);
    begin = sizeof(ascii);
  }
  out.append(ascii + begin, sizeof(ascii) - begin);
  out += beyond;
}

}  // namespace runink::local
