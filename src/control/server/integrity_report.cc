#include "control/server/integrity_report.h"

#include "control/barn/coding.h"

namespace runink::server {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kServing = 1, kVotes = 2, kScrubUnderWay = 4, kInDoubt = 8;

void append_digest(std::string& out, const barn::Digest& digest) {
  barn::append_u64(out, digest.high);
  barn::append_u64(out, digest.low);
}

barn::Digest digest_of(barn::Decoder& in) {
  barn::Digest digest;
  digest.high = in.u64();
  digest.low = in.u64();
  return digest;
}

barn::DigestPoint point_of(barn::Decoder& in) {
  barn::DigestPoint point;
  point.index = in.varint();
  point.digest = digest_of(in);
  return point;
}

bool ascending(barn::Index before, barn::Index index) { return before < index; }

}  // namespace

// version | flags | incarnation | count, (index, digest)… | count, (id, index, digest, count, digest…)…
std::string encode(const IntegrityReport& report) {
  std::string out;
  barn::append_u8(out, kVersion);
  barn::append_u8(
      out, static_cast<uint8_t>((report.serving ? kServing : 0) | (report.votes ? kVotes : 0) |
                                (report.scrub_under_way ? kScrubUnderWay : 0) | (report.in_doubt ? kInDoubt : 0)));
  barn::append_varint(out, report.incarnation);
  barn::append_varint(out, report.digests.size());
  for (const barn::DigestPoint& point : report.digests) {
    barn::append_varint(out, point.index);
    append_digest(out, point.digest);
  }
  barn::append_varint(out, report.scrubs.size());
  for (const ScrubReport& scrub : report.scrubs) {
    barn::append_varint(out, scrub.id);
    barn::append_varint(out, scrub.total.index);
    append_digest(out, scrub.total.digest);
    barn::append_varint(out, scrub.ranges.size());
    for (const barn::Digest& range : scrub.ranges) append_digest(out, range);
  }
  return out;
}

Result<IntegrityReport> decode_integrity_report(std::string_view bytes) {
  barn::Decoder in(bytes);
  IntegrityReport report;
  bool good = in.u8() == kVersion;
  const uint8_t flags = in.u8();
  good = good && flags < 2 * kInDoubt;
  report.serving = (flags & kServing) != 0;
  report.votes = (flags & kVotes) != 0;
  report.scrub_under_way = (flags & kScrubUnderWay) != 0;
  report.in_doubt = (flags & kInDoubt) != 0;
  report.incarnation = in.varint();
  const size_t digests = in.count(17);
  good = good && digests <= kReportedDigests + 1;
  for (size_t i = 0; good && i < digests; ++i) {
    report.digests.push_back(point_of(in));
    good = i == 0 || ascending(report.digests[i - 1].index, report.digests[i].index);
  }
  const size_t scrubs = good ? in.count(19) : 0;
  good = good && scrubs <= kReportedScrubs;
  for (size_t i = 0; good && i < scrubs; ++i) {
    ScrubReport& scrub = report.scrubs.emplace_back();
    scrub.id = in.varint();
    scrub.total = point_of(in);
    const size_t ranges = in.count(16);
    good = ranges <= kReportedRanges && (i == 0 || ascending(report.scrubs[i - 1].total.index, scrub.total.index));
    for (size_t j = 0; good && j < ranges; ++j) scrub.ranges.push_back(digest_of(in));
  }
  if (!good || !in.finished()) return data_loss("a member's answer about its own state cannot be understood");
  return report;
}

}  // namespace runink::server
