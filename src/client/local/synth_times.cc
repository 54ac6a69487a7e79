// Makers of dates, times, timestamps and durations.
#include <algorithm>

#include "client/local/synth_makers.h"
#include "client/local/synth_words.h"
#include "data/columnar/text.h"

namespace runink::local {
namespace {

using columnar::ColumnBuilder;
using columnar::TypeId;
using contract::ContractField;

constexpr int64_t kShippedWithin = 3, kDeliveredWithin = 7;  // days, after the order and after that
constexpr int64_t kSecond = 1'000'000, kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;

// When a field comes in the life of a record: what is shipped was ordered before.
enum class Stage { kOrdered, kAny, kShipped, kDelivered };
Stage stage_of(const std::string& name) {
  const auto called = [&](std::initializer_list<const char*> parts) {
    return std::any_of(parts.begin(), parts.end(), [&](const char* part) { return has_part(name, part); });
  };
  if (called({"ordered", "created", "opened", "start", "started", "begin", "departure", "booked", "received",
              "registered"})) {
    return Stage::kOrdered;
  }
  if (called({"shipped", "updated", "modified", "end", "ended", "finished", "arrival", "paid", "sent"}))
    return Stage::kShipped;
  if (called({"delivered", "closed", "completed", "returned", "expires", "due"})) return Stage::kDelivered;
  return Stage::kAny;
}

bool is_birth(const std::string& name) {
  return has_part(name, "born") || has_part(name, "birth") || has_part(name, "birthday") || has_part(name, "dob");
}

// The step that a format can tell apart, in microseconds; of a date in days.
int64_t resolution(const ContractField& field) {
  if (field.type.id() == TypeId::kDate) return 1;
  const std::string& f = field.format;
  if (f.empty()) return kSecond;
  const auto has = [&](const char* part) { return f.find(part) != std::string::npos; };
  if (has("%f") || has("%S") || has("%T")) return kSecond;
  return has("%M") ? kMinute : has("%H") || has("%I") ? kHour : kDay;
}

int64_t floor_to(int64_t value, int64_t step) { return value - ((value % step) + step) % step; }

// Values from lo to hi in steps, both inclusive.
struct Moments {
  int64_t lo = 0, hi = 0, step = 1;
  uint64_t count() const {
    return (static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo)) / static_cast<uint64_t>(step) + 1;
  }
  int64_t at(uint64_t index) const {
    return static_cast<int64_t>(static_cast<uint64_t>(lo) + index * static_cast<uint64_t>(step));
  }
};

class TimeMaker final : public MakerOf<TimeMaker> {
 public:
  TimeMaker(Moments moments, bool in_record, Stage stage, int64_t day,
            std::shared_ptr<const columnar::TimeFormat> format)
      : moments_(moments), in_record_(in_record), stage_(stage), day_(day), format_(std::move(format)) {}

  void append(SynthDraw& draw, ColumnBuilder& out) const override {
    put(draw, in_record_ ? moment(draw) : moments_.at(draw.random.below(moments_.count())), out);
  }
  uint64_t capacity() const override { return moments_.count(); }
  void append_at(uint64_t index, SynthDraw& draw, ColumnBuilder& out) const override {
    const int64_t value = moments_.at(index);
    const int64_t read = as_read(draw, value);
    // Where clocks are set back two moments have one text: the later one cannot be told apart, and is none.
    if (read <= value - moments_.step || read >= value + moments_.step)
      out.append_null();
    else
      out.append_int64(read);
  }

 private:
  void put(SynthDraw& draw, int64_t value, ColumnBuilder& out) const { out.append_int64(as_read(draw, value)); }

  // Near the moment at which everything in this record happens.
  int64_t moment(SynthDraw& draw) const {
    const auto span = static_cast<uint64_t>(moments_.hi) - static_cast<uint64_t>(moments_.lo);
    const auto since = static_cast<int64_t>(SynthRandom::scale(draw.who, span + 1));
    int64_t value = moments_.lo + since;
    if (stage_ == Stage::kAny) value -= draw.random.between(0, std::min(day_, since));
    if (stage_ == Stage::kShipped || stage_ == Stage::kDelivered) {
      // Of one record all fields go through the same stages, each over a part of the days that are left.
      const int64_t days = kShippedWithin + kDeliveredWithin;
      const int64_t left = std::min(days * day_, moments_.hi - value);
      const double shipped = share(draw.who, 5) * static_cast<double>(kShippedWithin) / static_cast<double>(days);
      const double delivered =
          static_cast<double>(kShippedWithin) / static_cast<double>(days) *
          (1 + share(draw.who, 6) * static_cast<double>(kDeliveredWithin) / static_cast<double>(kShippedWithin));
      value += static_cast<int64_t>((stage_ == Stage::kShipped ? shipped : delivered) * static_cast<double>(left));
    }
    return moments_.lo + floor_to(value - moments_.lo, moments_.step);
  }
  static double share(uint64_t who, uint64_t salt) {
    return static_cast<double>(SynthRandom::mix(who + salt) >> 11) * 0x1p-53;
  }

  // The value that comes back when its text is read.
  int64_t as_read(SynthDraw& draw, int64_t value) const {
    if (format_ == nullptr) return value;
    draw.text.clear();
    format_->append(draw.text, value);
    int64_t read = value;
    return format_->parse(draw.text, &read) == columnar::TextError::kOk ? read : value;
  }

  Moments moments_;
  bool in_record_;
  Stage stage_;
  int64_t day_;                                         // in the unit of the type
  std::shared_ptr<const columnar::TimeFormat> format_;  // null: text gives the very value back
};

Moments moments_of(const ContractField& field, const MakerOptions& options) {
  const TypeId id = field.type.id();
  Moments out;
  out.step = resolution(field);
  const bool is_date = id == TypeId::kDate, span = id == TypeId::kTime || id == TypeId::kDuration;
  const int64_t day = is_date ? 1 : kDay;
  const int64_t now = is_date ? options.now_micros / kDay : options.now_micros;
  int64_t lo = now - 730 * day, hi = now;
  if (is_birth(field.name)) lo = now - 90 * 365 * day, hi = now - 18 * 365 * day;
  if (id == TypeId::kTime) lo = 0, hi = kDay - kSecond;
  if (id == TypeId::kDuration) lo = 0, hi = kDay;
  const int64_t width = hi - lo;
  if (field.max) {
    hi = whole_number(*field.max);
    if (lo >= hi)
      lo =
          span ? std::min<int64_t>(0, hi) : hi - std::min(width, hi - (is_date ? -719'162 : -62'135'596'800 * kSecond));
  }
  if (field.min) {
    lo = whole_number(*field.min);
    if (!field.max && hi <= lo) hi = lo > INT64_MAX - width ? INT64_MAX : lo + width;
    if (!field.max && id == TypeId::kTime) hi = std::max(lo, kDay - kSecond);
  }
  out.lo = lo;
  out.hi = std::max(lo, hi);
  const auto whole_steps = [&] {
    if (out.step == 1) return;
    if (const int64_t down = floor_to(out.lo, out.step); down != out.lo && down <= out.hi - out.step)
      out.lo = down + out.step;
  };
  whole_steps();
  // More values than moments: finer where text can say it, else further back.
  const bool fraction = field.format.empty() || field.format.find("%f") != std::string::npos;
  if (options.different > out.count() && fraction && !is_date) {
    out.step = 1;
    out.lo = lo;
  }
  if (options.different > out.count() && !field.min && id != TypeId::kTime) {
    const int64_t earliest = is_date ? -700'000 : id == TypeId::kDuration ? -36500 * kDay : -1900ll * 365 * kDay;
    const auto wanted = static_cast<__int128>(options.different) * out.step;
    out.lo = static_cast<int64_t>(std::max<__int128>(earliest, static_cast<__int128>(out.hi) - wanted));
    whole_steps();
  }
  return out;
}

}  // namespace

Result<ValueMakerPtr> time_maker(const ContractField& field, const MakerOptions& options) {
  const TypeId id = field.type.id();
  Moments moments = moments_of(field, options);
  std::shared_ptr<const columnar::TimeFormat> format;
  const bool two_digits = field.format.find("%y") != std::string::npos;
  if (!field.format.empty() && ((!field.zone.empty() && field.zone != "UTC") || two_digits)) {
    columnar::TimeZonePtr zone;
    if (!field.zone.empty()) zone = RUNINK_TRY(columnar::TimeZone::find(field.zone));
    format = std::make_shared<columnar::TimeFormat>(RUNINK_TRY(columnar::TimeFormat::make(field.format, id, zone)));
    // Days of a zone begin elsewhere than days of UTC: from noon to noon each date comes once.
    if (id == TypeId::kTimestamp && moments.step == kDay && moments.lo <= moments.hi - kDay) moments.lo += kDay / 2;
  }
  const bool in_record = id == TypeId::kDate || id == TypeId::kTimestamp;
  return ValueMakerPtr(std::make_unique<TimeMaker>(moments, in_record && !is_birth(field.name), stage_of(field.name),
                                                   id == TypeId::kDate ? 1 : kDay, std::move(format)));
}

}  // namespace runink::local
