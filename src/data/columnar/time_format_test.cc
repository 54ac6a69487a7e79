#include "data/columnar/time_format.h"

#include <gtest/gtest.h>

#include <random>

#include "data/columnar/text.h"

namespace runink::columnar {
namespace {

constexpr auto kOk = TextError::kOk;

TimeFormat make(std::string_view format, TypeId type = TypeId::kTimestamp, TimeZonePtr zone = nullptr) {
  auto made = TimeFormat::make(format, type, std::move(zone));
  EXPECT_TRUE(made.ok()) << made.status().to_string();
  return std::move(made).value();
}

TEST(TimeFormat, fixed_layouts_of_all_widths_read_back_what_they_write) {
  std::mt19937_64 random(8);
  for (std::string_view form : {"%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%Y%m%d%H%M", "%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M:%S",
                                "on %Y-%m-%d at %H:%M:%S!", "%S:%M:%H %d/%m/%Y", "xxxxxxxxxxxxxxxxxxxxxx%Y%m%d",
                                "%Yxxxxxxxxxxxxxxxxxxxxxxx%m%d", "%Y-%m-%dT%H:%M:%S.%f", "%j %Y", "%e.%m.%Y"}) {
    const TimeFormat format = make(form);
    for (int i = 0; i < 300; ++i) {
      int64_t micros = static_cast<int64_t>(random() % 253402300800) * 1000000;
      const bool seconds = form.find("%S") != form.npos, minutes = form.find("%M") != form.npos;
      const int64_t unit = seconds ? 1 : minutes ? 60 : 86400;
      micros -= micros % (unit * 1000000);
      if (form.find("%f") != form.npos) micros += static_cast<int64_t>(random() % 1000000);
      std::string text;
      format.append(text, micros);
      int64_t back = 0;
      ASSERT_EQ(format.parse(text, &back), kOk) << form << " " << text;
      ASSERT_EQ(back, micros) << form << " " << text;
      back = 0;
      ASSERT_EQ(format.parse_portable(text, &back), kOk) << form << " " << text;
      ASSERT_EQ(back, micros) << form << " " << text;
      std::string portable(format.max_width() + 1, '#');
      portable.resize(static_cast<size_t>(format.write_portable(portable.data(), micros) - portable.data()));
      ASSERT_EQ(portable, text) << form;
      // Nothing is written beyond the width promised.
      std::string room(format.max_width() + 40, '#');
      char* const end = format.write(room.data(), micros);
      ASSERT_EQ(std::string(room.data(), end), text) << form;
      ASSERT_EQ(room.find_first_not_of('#', static_cast<size_t>(end - room.data())), std::string::npos) << form;
    }
  }
}

TEST(TimeFormat, every_wrong_byte_at_every_place_is_refused) {
  const TimeFormat format = make("%Y/%m/%d %H:%M");
  const std::string good = "2001/01/10 18:20";
  int64_t value = 0;
  ASSERT_EQ(format.parse(good, &value), kOk);
  EXPECT_EQ(value, 979150800000000);
  for (size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = good;
      text[at] = static_cast<char>(byte);
      int64_t other = 0;
      ASSERT_EQ(format.parse(text, &value), format.parse_portable(text, &other)) << text;
      const bool digit = good[at] >= '0' && good[at] <= '9' && byte >= '0' && byte <= '9';
      if (digit || text == good) ASSERT_NE(format.parse(text, &value), TextError::kMalformed) << text;
      else ASSERT_EQ(format.parse(text, &value), TextError::kMalformed) << text;
    }
  }
  for (const char* text : {"", "2001/01/10 18:2", "2001/01/10 18:200", "2001/1/10 18:20 "}) {
    EXPECT_EQ(format.parse(text, &value), TextError::kMalformed);
  }
}

TEST(TimeFormat, checks_the_calendar) {
  const TimeFormat format = make("%Y-%m-%d %H:%M:%S");
  int64_t value = 0;
  for (const char* text : {"2001-02-29 00:00:00", "2001-00-10 00:00:00", "2001-13-10 00:00:00", "2001-01-00 00:00:00",
                           "2001-01-32 00:00:00", "2001-04-31 00:00:00", "2001-01-10 24:00:00", "2001-01-10 00:60:00",
                           "2001-01-10 00:00:60", "0000-01-10 00:00:00"}) {
    EXPECT_EQ(format.parse(text, &value), TextError::kOutOfRange) << text;
  }
  EXPECT_EQ(format.parse("2000-02-29 23:59:59", &value), kOk);
  EXPECT_EQ(make("%Y-%j").parse("2001-366", &value), TextError::kOutOfRange);
  EXPECT_EQ(make("%Y-%j").parse("2000-366", &value), kOk);
  EXPECT_EQ(make("%Y-%j").parse("2000-000", &value), TextError::kOutOfRange);
}

TEST(TimeFormat, wide_and_narrow_paths_agree_on_every_day) {
  for (const TypeId type : {TypeId::kDate, TypeId::kTimestamp}) {
    for (std::string_view form : {"%Y%m%d", "%d.%m.%Y", "%y-%m-%d", "the day %Y-%m-%d"}) {
      const TimeFormat format = make(form, type);
      const int64_t unit = type == TypeId::kDate ? 1 : 86400000000;
      for (int64_t day = -800000; day < 3000000; day += 37) {
        std::string text;
        format.append(text, day * unit);
        std::string portable(format.max_width(), '#');
        portable.resize(static_cast<size_t>(format.write_portable(portable.data(), day * unit) - portable.data()));
        ASSERT_EQ(text, portable);
        int64_t a = 0, b = 0;
        ASSERT_EQ(format.parse(text, &a), format.parse_portable(text, &b)) << text;
        ASSERT_EQ(a, b);
      }
    }
  }
  const TimeFormat clock = make("%H:%M:%S", TypeId::kTime);
  for (int64_t micros = 0; micros < 86400000000; micros += 997 * 1000000) {
    std::string text;
    clock.append(text, micros);
    int64_t back = 0;
    ASSERT_EQ(clock.parse(text, &back), kOk) << text;
    ASSERT_EQ(back, micros);
    ASSERT_EQ(clock.parse_portable(text, &back), kOk) << text;
    ASSERT_EQ(back, micros);
  }
}

TEST(TimeFormat, dates_and_times) {
  int64_t value = 0;
  EXPECT_EQ(make("%d.%m.%y", TypeId::kDate).parse("02.01.70", &value), kOk);
  EXPECT_EQ(value, 1);
  EXPECT_EQ(make("%d.%m.%y", TypeId::kDate).parse("01.01.68", &value), kOk);
  EXPECT_EQ(value, days_from_civil(2068, 1, 1));
  EXPECT_EQ(make("%H:%M", TypeId::kTime).parse("18:20", &value), kOk);
  EXPECT_EQ(value, 66000000000);
  EXPECT_EQ(make("%H:%M:%S", TypeId::kTime).parse("00:00:01", &value), kOk);
  EXPECT_EQ(value, 1000000);
  const TimeFormat clock = make("%I:%M %p", TypeId::kTime);
  EXPECT_EQ(clock.parse("12:00 am", &value), kOk);
  EXPECT_EQ(value, 0);
  EXPECT_EQ(clock.parse("12:00 PM", &value), kOk);
  EXPECT_EQ(value, 43200000000);
  EXPECT_EQ(clock.parse("00:00 PM", &value), TextError::kOutOfRange);
  EXPECT_EQ(clock.parse("13:00 PM", &value), TextError::kOutOfRange);
  std::string text;
  clock.append(text, 0);
  clock.append(text, 43260000000);
  EXPECT_EQ(text, "12:00 AM12:01 PM");
}

TEST(TimeFormat, offsets_names_and_fractions) {
  int64_t value = 0;
  const TimeFormat offset = make("%Y-%m-%dT%H:%M%z");
  for (const char* text : {"2001-01-10T19:20+0100", "2001-01-10T19:20+01:00", "2001-01-10T19:20+01", "2001-01-10T18:20Z"}) {
    EXPECT_EQ(offset.parse(text, &value), kOk) << text;
    EXPECT_EQ(value, 979150800000000) << text;
  }
  EXPECT_EQ(offset.parse("2001-01-10T19:20", &value), TextError::kMalformed);
  EXPECT_EQ(offset.parse("2001-01-10T19:20+99:00", &value), TextError::kOutOfRange);
  const TimeFormat named = make("%d %b %Y %H:%M:%S.%f %Z");
  EXPECT_EQ(named.parse("10 jAN 2001 18:20:00.25 GMT", &value), kOk);
  EXPECT_EQ(value, 979150800250000);
  EXPECT_EQ(named.parse("10 Jan 2001 18:20:00.1234567 UTC", &value), TextError::kInexact);
  EXPECT_EQ(named.parse("10 Jan 2001 18:20:00.1234560 UTC", &value), kOk);
  EXPECT_EQ(named.parse("10 Foo 2001 18:20:00.1 UTC", &value), TextError::kMalformed);
}

TEST(TimeFormat, refuses_formats_that_do_not_fix_a_value) {
  for (std::string_view form : {"", "%", "%Y-%m", "%m-%d", "%Y-%m-%d %M", "%Y-%m-%d %I", "%Y-%m-%d %H %p", "%Y%y-%m-%d", "%Y-%j %d",
                                "%q", "%Y-%m-%d %Y", "%Y %m %b %d"}) {
    EXPECT_FALSE(TimeFormat::make(form, TypeId::kTimestamp).ok()) << form;
  }
  EXPECT_FALSE(TimeFormat::make("%Y-%m-%d %H", TypeId::kDate).ok());
  EXPECT_FALSE(TimeFormat::make("%Y %H", TypeId::kTime).ok());
  EXPECT_FALSE(TimeFormat::make("%M", TypeId::kTime).ok());
  EXPECT_FALSE(TimeFormat::make(std::string(300, 'x'), TypeId::kTime).ok());
}

TEST(TimeZone, finds_names_and_says_the_nearest) {
  const auto utc = TimeZone::find("UTC");
  ASSERT_TRUE(utc.ok());
  EXPECT_TRUE((*utc)->is_utc());
  if (!TimeZone::find("Europe/Berlin").ok()) GTEST_SKIP() << "no time zones on this machine (package tzdata)";
  const auto wrong = TimeZone::find("Europe/Berln");
  EXPECT_EQ(wrong.status().code(), Code::kNotFound);
  EXPECT_NE(wrong.status().hint().find("Europe/Berlin"), std::string::npos);
  for (const char* name : {"", "/etc/passwd", "../../etc/passwd", "Europe", "tzdata.zi", "Europe/Berlin\n"}) {
    EXPECT_FALSE(TimeZone::find(name).ok()) << name;
  }
  EXPECT_EQ(*TimeZone::find("Europe/Berlin"), *TimeZone::find("Europe/Berlin"));
}

TEST(TimeZone, local_times_that_occur_twice_or_never) {
  const auto found = TimeZone::find("Europe/Berlin");
  if (!found.ok()) GTEST_SKIP() << "no time zones on this machine (package tzdata)";
  const TimeFormat format = make("%Y-%m-%d %H:%M", TypeId::kTimestamp, *found);
  const auto shown = [&](const char* text) {
    int64_t value = 0;
    EXPECT_EQ(format.parse(text, &value), kOk);
    std::string utc, local;
    append_timestamp(utc, value);
    format.append(local, value);
    return utc + " " + local;
  };
  EXPECT_EQ(shown("2024-01-01 12:00"), "2024-01-01T11:00:00Z 2024-01-01 12:00");
  EXPECT_EQ(shown("2024-07-01 12:00"), "2024-07-01T10:00:00Z 2024-07-01 12:00");
  EXPECT_EQ(shown("2024-10-27 02:30"), "2024-10-27T00:30:00Z 2024-10-27 02:30");  // the first of two
  EXPECT_EQ(shown("2024-03-31 02:30"), "2024-03-31T01:30:00Z 2024-03-31 03:30");  // never was
  EXPECT_EQ(shown("2524-07-01 12:00"), "2524-07-01T10:00:00Z 2524-07-01 12:00");  // by the rule, 400 years on
  EXPECT_EQ(shown("9999-12-31 12:00"), "9999-12-31T11:00:00Z 9999-12-31 12:00");
  EXPECT_EQ(shown("1800-01-01 12:00").substr(0, 16), "1800-01-01T11:06");        // local mean time
}

}  // namespace
}  // namespace runink::columnar
