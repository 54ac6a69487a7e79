#include "worker/agent/lifecycle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <random>

namespace runink::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000'000;

Life running() {
  Life life({.detached = true, .grace_nanos = 10 * kSecond});
  (void)life.on(Event::kAccepted);
  (void)life.on(Event::kPrepared);
  (void)life.on(Event::kStarted);
  return life;
}

TEST(Lifecycle, OfADetachedSlice) {
  Life life({.detached = true});
  EXPECT_THAT(life.on(Event::kAccepted), ElementsAre(Hook::kWriteRecord, Hook::kOpenStreams));
  EXPECT_EQ(life.stage(), Stage::kPreparing);
  EXPECT_THAT(life.on(Event::kPrepared), ElementsAre(Hook::kLaunch));
  EXPECT_EQ(life.stage(), Stage::kStarting);
  EXPECT_THAT(life.on(Event::kStarted), ElementsAre(Hook::kWriteRecord, Hook::kTellStarted));
  EXPECT_EQ(life.stage(), Stage::kRunning);
  EXPECT_THAT(life.on(Event::kEnded), ElementsAre(Hook::kDrain));
  EXPECT_FALSE(life.done());
  EXPECT_THAT(life.on(Event::kStreamsEnded), ElementsAre(Hook::kWriteEnd, Hook::kTellEnded, Hook::kRelease));
  EXPECT_TRUE(life.done());
  EXPECT_EQ(life.reason(), EndReason::kItself);
}

TEST(Lifecycle, OfOneThatItsCallerWaitsFor) {
  Life life({.detached = false});
  EXPECT_THAT(life.on(Event::kAccepted), IsEmpty());
  EXPECT_THAT(life.on(Event::kPrepared), ElementsAre(Hook::kLaunch));
  EXPECT_THAT(life.on(Event::kStarted), ElementsAre(Hook::kTellStarted));
  EXPECT_THAT(life.on(Event::kEnded), ElementsAre(Hook::kTellEnded, Hook::kRelease));
  EXPECT_TRUE(life.done());
}

TEST(Lifecycle, StreamsMayEndBeforeTheProgram) {
  Life life = running();
  EXPECT_THAT(life.on(Event::kStreamsEnded), IsEmpty());
  EXPECT_THAT(life.on(Event::kEnded), ElementsAre(Hook::kWriteEnd, Hook::kTellEnded, Hook::kRelease));
}

TEST(Lifecycle, WhatCannotBePreparedOrStartedIsForgotten) {
  Life failed({.detached = true});
  (void)failed.on(Event::kAccepted);
  EXPECT_THAT(failed.on(Event::kFailed), ElementsAre(Hook::kTellRefused, Hook::kRelease, Hook::kForget));
  EXPECT_TRUE(failed.done());
  Life refused({.detached = false});
  (void)refused.on(Event::kAccepted);
  (void)refused.on(Event::kPrepared);
  EXPECT_THAT(refused.on(Event::kRefused), ElementsAre(Hook::kTellRefused, Hook::kRelease));
  EXPECT_EQ(refused.stage(), Stage::kRefused);
}

TEST(Lifecycle, WhoIsAskedToEndIsKilledAfterTheGrace) {
  Life life = running();
  EXPECT_EQ(life.next_time(), std::nullopt);
  EXPECT_THAT(life.ask_to_end(EndReason::kAsked, kSecond), ElementsAre(Hook::kWriteRecord, Hook::kAskToEnd));
  EXPECT_EQ(life.next_time(), 11 * kSecond);
  EXPECT_THAT(life.on_time(11 * kSecond - 1), IsEmpty());
  EXPECT_THAT(life.on_time(11 * kSecond), ElementsAre(Hook::kKill));
  EXPECT_EQ(life.next_time(), std::nullopt);
  (void)life.on(Event::kEnded);
  EXPECT_EQ(life.reason(), EndReason::kAsked);
}

TEST(Lifecycle, TheTimeLimitIsAReason) {
  Life life = running();
  EXPECT_THAT(life.on(Event::kTimedOut), ElementsAre(Hook::kDrain));
  EXPECT_EQ(life.reason(), EndReason::kTimeLimit);
}

TEST(Lifecycle, AskingAgainOnlyShortensTheGrace) {
  Life life = running();
  (void)life.ask_to_end(EndReason::kAsked, 0);
  EXPECT_THAT(life.ask_to_end(EndReason::kAgentStopped, 0, 20 * kSecond), IsEmpty());
  EXPECT_EQ(life.next_time(), 10 * kSecond);
  EXPECT_THAT(life.ask_to_end(EndReason::kAsked, 0, kSecond), IsEmpty());
  EXPECT_EQ(life.next_time(), kSecond);
  EXPECT_EQ(life.reason(), EndReason::kAsked);
}

TEST(Lifecycle, OneThatIsToEndBeforeItRunsIsKilledWhenItDoes) {
  Life life({.detached = true});
  (void)life.on(Event::kAccepted);
  (void)life.on(Event::kPrepared);
  EXPECT_THAT(life.ask_to_end(EndReason::kCallerGone, 0), ElementsAre(Hook::kWriteRecord, Hook::kKill));
  EXPECT_THAT(life.on(Event::kStarted), ElementsAre(Hook::kKill));
  EXPECT_THAT(life.on(Event::kEnded), ElementsAre(Hook::kDrain));
  EXPECT_EQ(life.reason(), EndReason::kCallerGone);
}

TEST(Lifecycle, SlicesEndWithTheirLauncher) {
  Life life = running();
  EXPECT_THAT(life.on(Event::kLauncherLost), ElementsAre(Hook::kDrain));
  EXPECT_EQ(life.reason(), EndReason::kLauncherLost);
  Life asked = running();
  (void)asked.ask_to_end(EndReason::kAsked, 0);
  (void)asked.on(Event::kLauncherLost);
  EXPECT_EQ(asked.reason(), EndReason::kAsked);  // the first reason is the reason
}

Life restarted(Stage stage, int64_t kill_nanos = 0) {
  return Life({.detached = true, .grace_nanos = kSecond},
              {.stage = stage, .reason = EndReason::kItself, .kill_nanos = kill_nanos});
}

TEST(Lifecycle, ARestartedAgentGoesOnWhereTheFormerWas) {
  EXPECT_THAT(restarted(Stage::kRunning).recover(Found::kRunning, false, 5), ElementsAre(Hook::kOpenStreams));
  EXPECT_THAT(restarted(Stage::kRunning).recover(Found::kRunning, true, 5),
              ElementsAre(Hook::kOpenStreams, Hook::kWriteRecord, Hook::kAskToEnd));
  EXPECT_THAT(restarted(Stage::kRunning).recover(Found::kEnded, false, 5),
              ElementsAre(Hook::kOpenStreams, Hook::kDrain));
  EXPECT_THAT(restarted(Stage::kRunning).recover(Found::kUnknown, false, 5),
              ElementsAre(Hook::kWriteEnd, Hook::kTellEnded, Hook::kRelease));
  EXPECT_THAT(restarted(Stage::kEnding, 9).recover(Found::kRunning, false, 5),
              ElementsAre(Hook::kOpenStreams, Hook::kAskToEnd));
  EXPECT_THAT(restarted(Stage::kEnding).recover(Found::kRunning, false, 5),
              ElementsAre(Hook::kOpenStreams, Hook::kKill));
  EXPECT_THAT(restarted(Stage::kEnded).recover(Found::kEnded, false, 5), ElementsAre(Hook::kRelease));
}

// Its caller was told nothing, and may have asked for another.
TEST(Lifecycle, WhatNobodyKnowsToRunDoesNotGoOn) {
  for (const Found found : {Found::kStarting, Found::kRunning}) {
    Life life = restarted(Stage::kPreparing);
    EXPECT_THAT(life.recover(found, false, 5), ElementsAre(Hook::kWriteRecord, Hook::kKill));
    EXPECT_EQ(life.reason(), EndReason::kNotAnswered);
  }
  for (const Found found : {Found::kUnknown, Found::kEnded}) {
    Life life = restarted(Stage::kPreparing);
    EXPECT_THAT(life.recover(found, false, 5), ElementsAre(Hook::kTellRefused, Hook::kRelease, Hook::kForget));
  }
}

TEST(Lifecycle, NothingIsDoneForWhatIsOver) {
  for (const bool refused : {false, true}) {
    Life life({.detached = true});
    (void)life.on(Event::kAccepted);
    if (refused) {
      (void)life.on(Event::kFailed);
    } else {
      (void)life.on(Event::kPrepared);
      (void)life.on(Event::kEnded);
      (void)life.on(Event::kStreamsEnded);
    }
    ASSERT_TRUE(life.done());
    const Stage stage = life.stage();
    for (int event = 0; event <= static_cast<int>(Event::kLauncherLost); ++event) {
      EXPECT_THAT(life.on(static_cast<Event>(event)), IsEmpty()) << event;
    }
    EXPECT_THAT(life.ask_to_end(EndReason::kAsked, 1), IsEmpty());
    EXPECT_THAT(life.kill(EndReason::kAsked), IsEmpty());
    EXPECT_EQ(life.next_time(), std::nullopt);
    EXPECT_EQ(life.stage(), stage);
  }
}

TEST(Lifecycle, NamesComeBack) {
  for (int i = 0; i <= static_cast<int>(Stage::kRefused); ++i) {
    EXPECT_EQ(stage_of(stage_name(static_cast<Stage>(i))), static_cast<Stage>(i));
  }
  for (int i = 0; i <= static_cast<int>(EndReason::kHostRestarted); ++i) {
    EXPECT_EQ(reason_of(reason_name(static_cast<EndReason>(i))), static_cast<EndReason>(i));
  }
  EXPECT_EQ(stage_of("dancing"), std::nullopt);
  EXPECT_EQ(reason_of(""), std::nullopt);
}

// A world with one slice in it: the agent's folder, the launcher, the pipe, and whoever asked. The agent may be killed
// before and after every hook, and is then started again; the launcher may be killed, too. What must hold whatever
// happens is checked at every hook and in the end.
class World {
 public:
  World(uint64_t seed, bool detached) : random_(seed), detached_(detached) {
    life_.emplace(Life::Options{.detached = detached, .grace_nanos = 5});
  }

  void live() {
    run(life_->on(Event::kAccepted));
    if (life_) run(roll(8) == 0 ? life_->on(Event::kFailed) : life_->on(Event::kPrepared));
    for (int step = 0; step < 40; ++step) something_happens();
    settle();
    check_end();
  }

 private:
  enum class AtLauncher { kNothing, kStarting, kRunning, kEnded };

  int roll(int sides) { return static_cast<int>(random_() % static_cast<uint64_t>(sides)); }

  void something_happens() {
    ++now_;
    if (!life_) return restart();
    switch (roll(12)) {
      case 0:
        return crash();
      case 1:
        return run(life_->ask_to_end(EndReason::kAsked, now_));
      case 2:
        return run(life_->kill(EndReason::kAsked));
      case 3:
        return kill_launcher();
      case 4:
      case 5:
        return run(life_->on_time(now_));
      case 6:
        if (slice_ == AtLauncher::kRunning) ++in_pipe_, ++written_;
        return;
      case 7:
        return streams();
      default:
        return launcher_goes_on();
    }
  }

  void launcher_goes_on() {
    if (slice_ == AtLauncher::kStarting) {
      if (roll(4) == 0 || killed_) {
        slice_ = AtLauncher::kNothing;
        return run(life_->on(Event::kRefused));
      }
      slice_ = AtLauncher::kRunning;
      return run(life_->on(Event::kStarted));
    }
    if (slice_ == AtLauncher::kRunning && (killed_ || asked_ || roll(6) == 0)) {
      slice_ = AtLauncher::kEnded;
      run(life_->on(roll(4) == 0 ? Event::kTimedOut : Event::kEnded));
    }
  }

  // The capture reads whenever it may; the end of the pipe is seen once the program has ended.
  void streams() {
    if (!open_) return;
    logged_ += in_pipe_;
    in_pipe_ = 0;
    if (slice_ != AtLauncher::kRunning && slice_ != AtLauncher::kStarting) {
      open_ = false;
      run(life_->on(Event::kStreamsEnded));
    }
  }

  void kill_launcher() {
    slice_ = AtLauncher::kNothing;
    launcher_lost_ = true;
    killed_ = asked_ = false;
    run(life_->on(Event::kLauncherLost));
  }

  void crash() {
    life_.reset();
    open_ = false;
    crashed_ = true;
  }

  void restart() {
    if (!record_) {
      slice_ = AtLauncher::kNothing;  // nobody's: ended and forgotten
      life_.emplace(Life::Options{.detached = detached_}, Life::Kept{.stage = Stage::kRefused});
      return;
    }
    life_.emplace(Life::Options{.detached = true, .grace_nanos = 5}, *record_);
    const Found found = slice_ == AtLauncher::kNothing    ? Found::kUnknown
                        : slice_ == AtLauncher::kStarting ? Found::kStarting
                        : slice_ == AtLauncher::kRunning  ? Found::kRunning
                                                          : Found::kEnded;
    run(life_->recover(found, roll(3) == 0, now_));
  }

  void run(const Hooks& hooks) {
    for (const Hook hook : hooks) {
      if (roll(20) == 0) return crash();
      carry_out(hook);
      if (roll(20) == 0) return crash();
    }
  }

  void carry_out(Hook hook) {
    switch (hook) {
      case Hook::kWriteRecord:
        record_ = life_->kept();
        return;
      case Hook::kOpenStreams:
        open_ = true;
        return;
      case Hook::kLaunch:
        if (detached_) {
          EXPECT_TRUE(record_) << "launched, and a crash now would orphan it";
        }
        EXPECT_EQ(++launches_, 1);
        slice_ = AtLauncher::kStarting;
        return;
      case Hook::kTellStarted:
        EXPECT_FALSE(told_refused_);
        told_started_ = true;
        return;
      case Hook::kTellRefused:
        EXPECT_FALSE(told_started_);
        told_refused_ = true;
        return;
      case Hook::kAskToEnd:
        asked_ = roll(2) == 0;  // some do not listen
        return;
      case Hook::kKill:
        killed_ = true;
        return;
      case Hook::kDrain:
        return;  // by streams()
      case Hook::kWriteEnd:
        if (!launcher_lost_) {
          EXPECT_NE(slice_, AtLauncher::kRunning);
        }
        record_ = life_->kept();
        return;
      case Hook::kTellEnded:
        told_ended_ = true;
        return;
      case Hook::kRelease:
        EXPECT_TRUE(slice_ == AtLauncher::kNothing || slice_ == AtLauncher::kEnded) << "it still runs";
        if (detached_ && record_ && told_started_ && !launcher_lost_) {
          EXPECT_EQ(logged_, written_) << "lines are lost with the pipe";
        }
        slice_ = AtLauncher::kNothing;
        return;
      case Hook::kForget:
        record_.reset();
        return;
    }
  }

  // No more accidents; whoever can ends it.
  void settle() {
    for (int step = 0; step < 1000; ++step) {
      now_ += 10;
      if (!life_) {
        restart();
        continue;
      }
      if (life_->done() && slice_ == AtLauncher::kNothing) break;
      run(life_->kill(EndReason::kAsked));
      if (life_) launcher_goes_on();
      if (life_) streams();
    }
    while (!life_) restart();
  }

  void check_end() {
    EXPECT_TRUE(life_->done());
    EXPECT_EQ(slice_, AtLauncher::kNothing) << "something is left at the launcher";
    EXPECT_LE(launches_, 1);
    if (told_started_ && detached_) {
      ASSERT_TRUE(record_) << "whoever knows its id finds nothing";
      EXPECT_EQ(record_->stage, Stage::kEnded);
      if (!launcher_lost_) {
        EXPECT_EQ(logged_, written_);
      }
    }
    if (told_refused_ && !crashed_) {
      EXPECT_FALSE(record_);
    }
    if (!crashed_) {
      EXPECT_TRUE(told_refused_ || told_started_ || told_ended_) << "whoever asked waits for ever";
      if (told_started_) {
        EXPECT_TRUE(told_ended_);
      }
    }
  }

  std::mt19937_64 random_;
  const bool detached_;
  int64_t now_ = 100;
  std::optional<Life> life_;  // absent: the agent is dead

  std::optional<Life::Kept> record_;
  AtLauncher slice_ = AtLauncher::kNothing;
  bool asked_ = false, killed_ = false, open_ = false;
  bool told_started_ = false, told_refused_ = false, told_ended_ = false;
  bool crashed_ = false, launcher_lost_ = false;
  int launches_ = 0, in_pipe_ = 0, written_ = 0, logged_ = 0;
};

TEST(Lifecycle, HoldsWhateverHappens) {
  for (uint64_t seed = 0; seed < 100'000; ++seed) {
    World(seed, seed % 3 != 0).live();
    if (HasFailure()) FAIL() << "seed " << seed;
  }
}

}  // namespace
}  // namespace runink::agent
