#include "control/server/alarms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runink::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kDay = 86'400LL * 1'000'000;

// A healthy member 1 with peers 2 and 3, and a clock that goes on a second with each look.
class AlarmsTest : public testing::Test {
 protected:
  AlarmsTest() {
    in.self = 1;
    in.unix_micros = 1'800'000'000'000'000;
    in.disk_free_bytes = 100ULL << 30;
    in.certificate_not_after_micros = in.unix_micros + 90 * kDay;
    in.leader = 2;
    in.last_index = 1'000'000;
    in.state_bytes_warn = 2'000;
    in.state_bytes_limit = 8'000;
    in.entries_for_snapshot = 100;
    for (const raft::NodeId id : {2, 3}) {
      AlarmInputs::Peer peer;
      peer.id = id;
      peer.connected = true;
      peer.match = in.last_index;
      peer.clock = {{0, 100}};
      peer.certificate_not_after_micros = in.unix_micros + 60 * kDay;
      in.peers.push_back(peer);
    }
  }
  void look(int times = 1) {
    for (int i = 0; i < times; ++i) {
      in.steady_nanos += 1'000'000'000;
      in.unix_micros += 1'000'000;
      set.evaluate(in);
    }
  }
  std::vector<std::string> active() const {
    std::vector<std::string> out;
    for (const Alarm& alarm : set.active()) {
      out.push_back(std::string(alarm_name(alarm.kind)) + " " + std::to_string(alarm.member) + " " +
                    std::string(alarm_level_name(alarm.level)));
    }
    return out;
  }
  AlarmInputs in;
  std::vector<std::string> changes;
  AlarmSet set{{}, [this](const Alarm& alarm, AlarmLevel before) {
                 EXPECT_NE(alarm.level, before);
                 EXPECT_FALSE(alarm.text.empty());
                 changes.push_back(std::string(alarm_name(alarm.kind)) + std::to_string(alarm.member) + ":" +
                                   std::string(alarm_level_name(before)) + ">" +
                                   std::string(alarm_level_name(alarm.level)));
               }};
};

TEST_F(AlarmsTest, NothingIsWrong) {
  look(100);
  EXPECT_THAT(active(), IsEmpty());
  EXPECT_THAT(changes, IsEmpty());
  EXPECT_EQ(set.watched().size(), 9u + 2 * 5);
}

TEST_F(AlarmsTest, DiskSpaceInTwoStepsWithHysteresis) {
  look();
  in.disk_free_bytes = (2ULL << 30) - 1;
  look();
  EXPECT_THAT(active(), ElementsAre("disk_space 1 warning"));
  in.disk_free_bytes = 100 << 20;
  look();
  EXPECT_THAT(active(), ElementsAre("disk_space 1 critical"));
  // Just above the threshold is not enough to clear it, however long.
  in.disk_free_bytes = (512ULL << 20) + 1;
  look(20);
  EXPECT_THAT(active(), ElementsAre("disk_space 1 critical"));
  in.disk_free_bytes = 1ULL << 30;
  look(6);
  EXPECT_THAT(active(), ElementsAre("disk_space 1 warning"));
  in.disk_free_bytes = (2ULL << 30) + (100ULL << 20);
  look(20);
  EXPECT_THAT(active(), ElementsAre("disk_space 1 warning"));
  in.disk_free_bytes = 3ULL << 30;
  look(5);
  EXPECT_THAT(active(), ElementsAre("disk_space 1 warning"));  // not gone for long enough
  look();
  EXPECT_THAT(active(), IsEmpty());
  EXPECT_THAT(changes, ElementsAre("disk_space1:none>warning", "disk_space1:warning>critical",
                                   "disk_space1:critical>warning", "disk_space1:warning>none"));
}

TEST_F(AlarmsTest, ANumberThatWaversIsOneAlarm) {
  for (int i = 0; i < 100; ++i) {
    in.disk_free_bytes = (2ULL << 30) + (i % 2 == 0 ? -1 : 1);
    look();
  }
  for (int i = 0; i < 100; ++i) {
    in.disk_free_bytes = (i % 4 == 0 ? 1ULL : 10ULL) << 30;
    look();
  }
  EXPECT_THAT(changes, ElementsAre("disk_space1:none>warning"));
}

TEST_F(AlarmsTest, WhatIsNotKnownIsNoAlarm) {
  in.disk_free_bytes.reset();
  in.certificate_not_after_micros = 0;
  for (auto& peer : in.peers) {
    peer.match.reset();
    peer.clock.reset();
    peer.certificate_not_after_micros = 0;
  }
  look(100);
  EXPECT_THAT(changes, IsEmpty());
}

TEST_F(AlarmsTest, AJournalThatRefuses) {
  in.journal_has_space = false;
  look();
  EXPECT_THAT(active(), ElementsAre("journal_full 1 critical"));
  in.journal_has_space = true;
  look(6);
  EXPECT_THAT(active(), IsEmpty());
}

TEST_F(AlarmsTest, CertificatesEndInFourteenDaysAndInTwo) {
  in.certificate_not_after_micros = in.unix_micros + 14 * kDay + 60'000'000;
  look(50);
  EXPECT_THAT(active(), IsEmpty());
  look(20);
  EXPECT_THAT(active(), ElementsAre("certificate 1 warning"));
  in.peers[0].certificate_not_after_micros = in.unix_micros + 2 * kDay;
  look();
  EXPECT_THAT(active(), ElementsAre("certificate 2 critical", "certificate 1 warning"));
  in.certificate_not_after_micros = in.unix_micros - 1;
  look();
  EXPECT_THAT(set.active()[1].text, testing::HasSubstr("ends in 2.0 days"));
  EXPECT_THAT(set.active()[0].text, testing::HasSubstr("has ended"));
  // Renewed.
  in.certificate_not_after_micros = in.peers[0].certificate_not_after_micros = in.unix_micros + 90 * kDay;
  look(6);
  EXPECT_THAT(active(), IsEmpty());
}

TEST_F(AlarmsTest, AMemberThatIsNotConnectedForTenSeconds) {
  in.peers[1].connected = false;
  look(10);
  EXPECT_THAT(active(), IsEmpty());
  look();
  EXPECT_THAT(active(), ElementsAre("not_connected 3 warning"));
  // A connection that comes and goes does not clear it, and one that was lost for a moment does not raise it.
  for (int i = 0; i < 30; ++i) {
    in.peers[1].connected = i % 3 == 0;
    in.peers[0].connected = i % 3 != 0;
    look();
  }
  EXPECT_THAT(changes, ElementsAre("not_connected3:none>warning"));
  in.peers[0].connected = in.peers[1].connected = true;
  look(6);
  EXPECT_THAT(active(), IsEmpty());
}

TEST_F(AlarmsTest, AFollowerThatIsFarBehindForLong) {
  in.peers[0].match = in.last_index - 10'001;
  look(10);
  EXPECT_THAT(active(), IsEmpty());
  look();
  EXPECT_THAT(active(), ElementsAre("follower_lag 2 warning"));
  EXPECT_THAT(set.active()[0].text, testing::HasSubstr("10,001"));
  in.peers[0].match = in.last_index - 6'000;  // better, but not well
  look(30);
  EXPECT_THAT(active(), ElementsAre("follower_lag 2 warning"));
  in.peers[0].match = in.last_index + 5;  // the numbers are of two moments
  look(6);
  EXPECT_THAT(active(), IsEmpty());
  // Who leads no more does not know.
  in.peers[0].match = 0;
  look(11);
  EXPECT_THAT(active(), ElementsAre("follower_lag 2 warning"));
  in.peers[0].match.reset();
  look(6);
  EXPECT_THAT(active(), IsEmpty());
}

TEST_F(AlarmsTest, ClocksThatDifferByMoreThanHalfASecondForSure) {
  in.peers[0].clock = {{-700'000, 250'000}};  // it may be 450 ms
  look(100);
  EXPECT_THAT(active(), IsEmpty());
  in.peers[0].clock = {{-700'000, 10'000}};
  look(5);
  EXPECT_THAT(active(), IsEmpty());
  look();
  EXPECT_THAT(active(), ElementsAre("clock_skew 2 warning"));
  EXPECT_THAT(set.active()[0].text, testing::HasSubstr("700 ms behind"));
  in.peers[0].clock = {{-450'000, 1'000}};
  look(20);
  EXPECT_THAT(active(), ElementsAre("clock_skew 2 warning"));
  in.peers[0].clock = {{300'000, 1'000}};
  look(6);
  EXPECT_THAT(active(), IsEmpty());
}

TEST_F(AlarmsTest, AStateNearItsLimit) {
  in.state_bytes = 2'001;
  look();
  EXPECT_THAT(active(), ElementsAre("state_size 1 warning"));
  in.state_bytes = 7'601;
  look();
  EXPECT_THAT(active(), ElementsAre("state_size 1 critical"));
  in.state_bytes = 7'300;
  look(20);
  EXPECT_THAT(active(), ElementsAre("state_size 1 critical"));
  in.state_bytes = 1'000;
  look(6);
  EXPECT_THAT(changes.back(), "state_size1:critical>none");
}

TEST_F(AlarmsTest, ALogThatGrowsWithoutSnapshots) {
  in.entries_since_snapshot = 400;
  look(20);
  EXPECT_THAT(active(), IsEmpty());
  in.entries_since_snapshot = 401;
  look();
  EXPECT_THAT(active(), ElementsAre("log_growth 1 warning"));
  in.entries_since_snapshot = 10;
  look(6);
  EXPECT_THAT(active(), IsEmpty());
}

TEST_F(AlarmsTest, NoLeaderForLong) {
  in.leader = 0;
  look(5);
  EXPECT_THAT(active(), IsEmpty());
  look();
  EXPECT_THAT(active(), ElementsAre("no_leader 1 critical"));
  in.leader = 3;
  look(6);
  EXPECT_THAT(active(), IsEmpty());
  // A node that waits to be added knows none, and that is no fault.
  in.leader = 0;
  in.member = false;
  look(60);
  EXPECT_THAT(active(), IsEmpty());
}

TEST_F(AlarmsTest, AMemberWithoutItsVote) {
  in.may_vote = false;
  look();
  EXPECT_THAT(active(), ElementsAre("no_vote 1 warning"));
  in.may_vote = true;
  look(6);
  EXPECT_THAT(active(), IsEmpty());
}

TEST_F(AlarmsTest, StatesThatDiffer) {
  in.peers[1].differs = true;
  look();
  EXPECT_THAT(active(), ElementsAre("state_differs 3 critical"));
  in.peers[1].differs = false;
  in.doubt = "voters differ";
  look(6);
  EXPECT_THAT(active(), ElementsAre("state_differs 1 critical"));
  EXPECT_EQ(set.active()[0].text, "voters differ");
  in.doubt.clear();
  look(6);
  EXPECT_THAT(active(), IsEmpty());
}

TEST_F(AlarmsTest, ChunksThatAreMissingForAMinute) {
  in.chunks_missing = 3;
  look(60);
  EXPECT_THAT(active(), IsEmpty());
  look();
  EXPECT_THAT(active(), ElementsAre("chunks_missing 1 warning"));
  EXPECT_THAT(set.active()[0].text, testing::HasSubstr("refer to 3 chunks"));
  in.chunks_missing = 1;
  look(20);
  EXPECT_THAT(active(), ElementsAre("chunks_missing 1 warning"));
  EXPECT_THAT(set.active()[0].text, testing::HasSubstr("refer to a chunk that"));
  in.chunks_missing = 0;
  look(6);
  EXPECT_THAT(active(), IsEmpty());
  // Some are always being fetched by a member with much to do.
  for (int i = 0; i < 200; ++i) {
    in.chunks_missing = i % 50 == 0 ? 0 : 7;
    look();
  }
  EXPECT_THAT(active(), IsEmpty());
}

TEST_F(AlarmsTest, AMemberThatIsRemovedTakesItsAlarmsWithIt) {
  in.peers[1].connected = false;
  in.peers[1].clock = {{9'000'000, 1}};
  look(20);
  EXPECT_THAT(active(), ElementsAre("clock_skew 3 warning", "not_connected 3 warning"));
  in.peers.pop_back();
  look(6);
  EXPECT_THAT(active(), IsEmpty());
  EXPECT_EQ(set.watched().size(), 9u + 5);
  EXPECT_THAT(changes, ElementsAre("clock_skew3:none>warning", "not_connected3:none>warning",
                                   "not_connected3:warning>none", "clock_skew3:warning>none"));
}

TEST_F(AlarmsTest, SinceWhenIsKeptWhileTheLevelChanges) {
  in.disk_free_bytes = 1ULL << 30;
  look();
  const int64_t since = in.unix_micros;
  in.disk_free_bytes = 0;
  look(10);
  EXPECT_EQ(set.active()[0].since_unix_micros, since);
  EXPECT_EQ(set.active()[0].level, AlarmLevel::kCritical);
}

}  // namespace
}  // namespace runink::server
