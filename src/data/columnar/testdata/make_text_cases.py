"""Writes text_cases.tsv: what Python's decimal, float, datetime and zoneinfo say about texts, for text_cases_test.cc.

Run in this folder: python3 make_text_cases.py > text_cases.tsv
Each line: kind, arguments, expected value; separated by tabs. The sign of an error stands for the value where there is
none: range, inexact or malformed.
"""
import datetime
import decimal
import random
import struct
import zoneinfo

random.seed(20240229)
decimal.getcontext().prec = 200
EPOCH = datetime.datetime(1970, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)


def line(*parts):
    print("\t".join(str(p) for p in parts))


def number_text():
    whole = "".join(random.choice("0123456789") for _ in range(random.choice([1, 1, 2, 5, 12, 20, 37, 40])))
    text = random.choice(["", "-"]) + whole
    if random.random() < 0.7:
        text += "." + "".join(random.choice("0000123456789") for _ in range(random.choice([1, 2, 3, 6, 20, 38])))
    if random.random() < 0.3:
        text += random.choice("eE") + random.choice(["", "+", "-"]) + str(random.choice([0, 1, 2, 5, 18, 30]))
    return text


def decimals():
    fixed = ["0", "-0", "0.00", "1.005", "1.00500000", "99999999.99", "100000000", "1e2", "12e-1", "0e999999", ".5", "5.",
             "1e-400", "1e400", "99999999999999999999999999999999999999", "100000000000000000000000000000000000000",
             "0.00000000000000000000000000000000000001"]
    for text in fixed + [number_text() for _ in range(250)]:
        precision, scale = random.choice([(10, 2), (38, 0), (38, 38), (38, 10), (5, 5), (18, 4), (1, 0)])
        value = decimal.Decimal(text.rstrip(".") if text.endswith(".") else text)
        scaled = value.scaleb(scale) if value else decimal.Decimal(0)
        if abs(value) >= decimal.Decimal(10) ** (precision - scale):
            expected = "range"
        elif scaled != scaled.to_integral_value():
            expected = "inexact"
        else:
            expected = int(scaled)
        line("decimal", text, precision, scale, expected)


def doubles():
    fixed = ["0", "-0", "0.1", "1e308", "1.7976931348623157e308", "1.7976931348623159e308", "1e400", "-1e400", "4.9e-324",
             "2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400", "9007199254740993", "9007199254740992.5", "1e22",
             "1e23", "8.5e22", "123456789012345678901234567890", "0." + "0" * 400 + "1", "1" + "0" * 400,
             "0.000000000000000000000000000000000000000000001e45", "179769313486231580793728971405301e276"]
    for text in fixed + [number_text() for _ in range(150)]:
        value = float(text)
        expected = "range" if value in (float("inf"), float("-inf")) else "%016x" % struct.unpack("<Q", struct.pack("<d", value))
        line("double", text, expected)


def shown_doubles():
    fixed = [0.0, -0.0, 1.0, 100000.0, 1e15, 1e16, 1e17, 123456789012345.6, 0.0001, 0.00001, 5e-324, 1.7976931348623157e308,
             0.1, 1 / 3, 2 / 3, -12.5, 9007199254740993.0, 1e22, 1e21, 123456.789]
    for _ in range(150):
        bits = random.getrandbits(64)
        value = struct.unpack("<d", struct.pack("<Q", bits))[0]
        if value == value and abs(value) != float("inf"):
            fixed.append(value)
            fixed.append(round(random.uniform(-1e6, 1e6), random.randint(0, 9)))
    for value in fixed:
        line("show_double", "%016x" % struct.unpack("<Q", struct.pack("<d", value)), repr(value))


FORMATS = ["%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%d.%m.%y", "%Y%m%d%H%M%S", "%b %d %Y %I:%M:%S %p", "%d %B %Y",
           "%Y-%j %H:%M:%S.%f", "day %d of %m, %Y", "%F %T", "%H:%M %Y-%m-%d", "%Y-%m-%d %H:%M:%S %z", "%e %b %Y", "%m/%d/%Y",
           "%y%m%d%H", "%%%Y%%%m%d"]


def formats():
    for form in FORMATS:
        for _ in range(12):
            when = EPOCH + datetime.timedelta(microseconds=random.randint(-62135596800, 253402300799) * 10**6)
            if random.random() < 0.7:
                when = datetime.datetime(random.randint(1969, 2068), when.month, min(when.day, 28), when.hour, when.minute,
                                         when.second, random.choice([0, 1, 123456, 999999]))
            zoned = when.replace(tzinfo=datetime.timezone.utc)
            text = zoned.strftime(form)
            text = text.replace(zoned.strftime("%Y"), "%04d" % when.year) if when.year < 1000 else text
            if when.year < 1000:
                continue
            line("write_format", form, (when - EPOCH) // MICROSECOND, text)
            try:
                back = datetime.datetime.strptime(text, form).replace(tzinfo=None)
            except ValueError:
                continue
            line("read_format", form, text, (back - EPOCH) // MICROSECOND)


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/Dublin", "America/St_Johns",
         "Pacific/Apia", "America/Sao_Paulo", "Europe/London", "Africa/Johannesburg"]


def zones():
    for name in ZONES:
        zone = zoneinfo.ZoneInfo(name)
        moments = [EPOCH + datetime.timedelta(seconds=random.randint(-2500000000, 20000000000)) for _ in range(15)]
        # Around changes of the clock: the minutes before and after, and inside gaps and overlaps.
        for year in [1946, 1975, 1995, 2011, 2020, 2037, 2038, 2100, 2500]:
            day = datetime.datetime(year, 1, 1)
            before = zone.utcoffset(day)
            for _ in range(366 * 24):
                day += datetime.timedelta(hours=1)
                now = zone.utcoffset(day)
                if now != before:
                    moments += [day + datetime.timedelta(minutes=m) for m in (-61, -30, -1, 0, 30)]
                before = now
        for local in moments:
            aware = local.replace(tzinfo=zone)  # fold=0
            utc = aware.astimezone(datetime.timezone.utc).replace(tzinfo=None)
            line("zone_to_utc", name, (local - EPOCH) // MICROSECOND, (utc - EPOCH) // MICROSECOND)
            back = utc.replace(tzinfo=datetime.timezone.utc).astimezone(zone)
            line("zone_offset", name, (utc - EPOCH) // MICROSECOND, int(back.utcoffset().total_seconds()), back.tzname())


decimals()
doubles()
shown_doubles()
formats()
zones()
