// Crashes and failures at every operation on the disk, and random histories, against a model: what was acknowledged is
// there, and nothing else is.
#include <gtest/gtest.h>

#include <cstdlib>

#include "control/journal/journal_in_test.h"
#include "testing/sim_disk.h"

namespace runink::journal {
namespace {

using testing::SimDisk;

uint64_t seeds(uint64_t usual) {
  const char* wished = std::getenv("RUNINK_SEEDS");
  return wished ? std::strtoull(wished, nullptr, 10) : usual;
}

// The same steps every time; each is possible after those before it.
std::vector<Step> script(uint64_t seed, size_t length) {
  Work work(seed);
  Model model;
  std::vector<Step> steps;
  for (size_t i = 0; i < length; ++i) {
    steps.push_back(work.next(model));
    if (i % 25 == 24) {
      steps.back() = Step();
      steps.back().kind = Step::kReset;
      steps.back().index = model.last + 3;
    }
    steps.back().play(model);
  }
  return steps;
}

std::unique_ptr<SimDisk> new_disk(uint64_t seed) {
  auto disk = std::make_unique<SimDisk>(seed);
  EXPECT_TRUE(Journal::create(*disk, this_member(), small_options()).ok());
  return disk;
}

// One of these is what was recovered.
::testing::AssertionResult is_one_of(const std::vector<Model>& outcomes, const Recovered& found, Model* which) {
  std::string why;
  for (const Model& model : outcomes) {
    const std::string difference = model.difference(found);
    if (difference.empty()) {
      *which = model;
      return ::testing::AssertionSuccess();
    }
    why += "\n  " + difference;
  }
  return ::testing::AssertionFailure() << "the journal" << why;
}

// Plays until something fails. The models that may be true then.
std::vector<Model> play(Journal& journal, const std::vector<Step>& steps, Model model) {
  for (const Step& step : steps) {
    const Status status = step.play(journal);
    if (!status.ok()) {
      EXPECT_EQ(status.kind(), kStoppedKind) << status.to_string();
      for (const Step::Kind kind : {Step::kRest, Step::kReserve, Step::kHardState, Step::kCompact, Step::kWhole}) {
        Step later;
        later.kind = kind;
        EXPECT_EQ(later.play(journal).to_string(), status.to_string()) << "every later call says the same";
      }
      return step.outcomes(model);
    }
    step.play(model);
  }
  return {model};
}

TEST(JournalCrashTest, PowerCutAtEveryOperation) {
  const std::vector<Step> steps = script(1, 60);
  uint64_t operations = 0, openings = 0;
  for (uint64_t k = 0;; ++k) {
    uint64_t ran_through = 0;
    for (uint64_t seed = 0; seed < 3; ++seed) {
      SCOPED_TRACE(fmt::format("cut after {} operations, seed {}", k, seed));
      auto disk = new_disk(k * 100 + seed);
      disk->cut_power_after(k);
      std::vector<Model> outcomes{Model()};
      Recovered found;
      if (auto journal = Journal::open(*disk, this_member(), small_options(1000), &found); journal.ok())
        outcomes = play(**journal, steps, Model());
      ran_through += !disk->power_is_off();
      disk->crash();
      // And while it is opened again.
      disk->cut_power_after((k * 7 + seed * 5) % 23);
      const bool opened = Journal::open(*disk, this_member(), small_options(2000), &found).ok();
      EXPECT_TRUE(opened || disk->power_is_off());
      disk->crash();
      auto again = Journal::open(*disk, this_member(), small_options(3000), &found);
      ASSERT_TRUE(again.ok()) << again.status().to_string();
      EXPECT_TRUE(found.whole) << found.damage;
      Model which;
      ASSERT_TRUE(is_one_of(outcomes, found, &which));
      ++openings;
    }
    operations = k;
    if (ran_through == 3) break;
  }
  EXPECT_GT(operations, 150u) << "the script does little";
  EXPECT_EQ(openings, (operations + 1) * 3);
}

TEST(JournalCrashTest, EveryFailedOperationStopsItAndNothingIsLost) {
  const std::vector<Step> steps = script(2, 60);
  for (const SimDisk::Fault fault : {SimDisk::Fault::kIo, SimDisk::Fault::kNoSpace}) {
    for (uint64_t k = 0;; ++k) {
      SCOPED_TRACE(fmt::format("operation {} fails", k));
      auto disk = new_disk(k);
      Recovered found;
      auto journal = Journal::open(*disk, this_member(), small_options(1000), &found);
      ASSERT_TRUE(journal.ok());
      disk->fail_after(k, fault);
      Model model;
      std::vector<Model> outcomes;
      for (const Step& step : steps) {
        Status status = step.play(**journal);
        if (status.kind() == kFullKind) status = step.play(**journal);  // harmless: the space is there again
        if (!status.ok()) {
          ASSERT_EQ(status.kind(), kStoppedKind) << status.to_string();
          EXPECT_EQ((*journal)->rest().to_string(), status.to_string());
          EXPECT_EQ((*journal)->append({}).to_string(), status.to_string());
          outcomes = step.outcomes(model);
          break;
        }
        step.play(model);
      }
      if (disk->faults() == 0) break;
      if (outcomes.empty()) outcomes = {model};
      // The process starts again; the kernel still has the pages that it never wrote.
      journal->reset();
      auto again = Journal::open(*disk, this_member(), small_options(2000), &found);
      ASSERT_TRUE(again.ok()) << again.status().to_string();
      EXPECT_TRUE(found.whole) << found.damage;
      Model which;
      ASSERT_TRUE(is_one_of(outcomes, found, &which));
      // What this opening told is what there is, whatever the kernel loses now.
      disk->crash();
      again = Journal::open(*disk, this_member(), small_options(3000), &found);
      ASSERT_TRUE(again.ok()) << again.status().to_string();
      EXPECT_TRUE(found.whole) << found.damage;
      EXPECT_EQ(which.difference(found), "");
    }
  }
}

// A segment is begun for a batch that a failure keeps from being written; what comes instead begins elsewhere, and then
// the segments before it go. Or nothing comes.
TEST(JournalCrashTest, ASegmentThatWasBegunForOtherEntries) {
  for (const bool more : {true, false}) {
    for (uint64_t k = 0; k < 11; ++k) {  // the operations of an append that begins a segment
      SCOPED_TRACE(fmt::format("operation {} fails{}", k, more ? "" : ", nothing follows"));
      auto disk = new_disk(k);
      Recovered found;
      auto journal = Journal::open(*disk, this_member(), small_options(1000), &found);
      ASSERT_TRUE(journal.ok());
      Model model;
      const auto append = [&](raft::Index from, raft::Term term) {
        const std::vector<raft::Entry> entries{entry(from, term, std::string(3000, 'x'))};
        const Status status = (*journal)->append(entries);
        if (status.ok()) model.append(entries);
        return status.ok();
      };
      for (raft::Index i = 1; i <= 7; ++i) ASSERT_TRUE(append(i, 1));
      ASSERT_EQ((*journal)->segments(), 1u);
      disk->fail_after(k, SimDisk::Fault::kIo);
      (void)append(4, 2);
      journal = Journal::open(*disk, this_member(), small_options(2000), &found);
      ASSERT_TRUE(journal.ok());
      if (found.entries.size() != model.last) model.append(std::vector{entry(4, 2, std::string(3000, 'x'))});
      ASSERT_EQ(model.difference(found), "");
      if (more) {
        ASSERT_TRUE(append(model.last + 1, 3));
      }
      model.base = model.last;
      ASSERT_TRUE((*journal)->compact(model.last).ok());
      journal = Journal::open(*disk, this_member(), small_options(3000), &found);
      ASSERT_TRUE(journal.ok());
      EXPECT_TRUE(found.whole) << found.damage;
      EXPECT_EQ(model.difference(found), "");
    }
  }
}

// A sync of the folder fails while the journal is opened: the cache shows the name of the renewed segment, the disk may
// have lost it. Where the next opening finds no space to renew it once more, it must not go on with that file: a power
// cut would put the one before it back.
TEST(JournalCrashTest, ANameThatAFailedSyncMayHaveLostIsNotBuiltUpon) {
  uint64_t refused = 0, in_place = 0;
  for (uint64_t k = 0;; ++k) {
    uint64_t failed = 0;
    for (uint64_t seed = 0; seed < 8; ++seed) {
      SCOPED_TRACE(fmt::format("operation {} of opening fails, seed {}", k, seed));
      auto disk = new_disk(k * 100 + seed);
      Model model;
      Recovered found;
      auto journal = Journal::open(*disk, this_member(), small_options(1000), &found);
      ASSERT_TRUE(journal.ok());
      const auto append = [&] {
        const std::vector<raft::Entry> entries{entry(model.last + 1, 1, "x")};
        ASSERT_TRUE((*journal)->append(entries).ok());
        model.append(entries);
      };
      append();
      append();
      disk->fail_after(k, SimDisk::Fault::kIo);
      journal = Journal::open(*disk, this_member(), small_options(2000), &found);
      failed += !journal.ok();
      if (journal.ok()) continue;
      // The process starts again: names are as the kernel shows them.
      disk->set_space(disk->used_bytes());
      journal = Journal::open(*disk, this_member(), small_options(3000), &found);
      if (journal.ok()) {
        ++in_place;
      } else {
        ++refused;
        ASSERT_EQ(journal.status().code(), Code::kResourceExhausted) << journal.status().to_string();
        disk->set_space(UINT64_MAX);
        journal = Journal::open(*disk, this_member(), small_options(4000), &found);
        ASSERT_TRUE(journal.ok()) << journal.status().to_string();
      }
      EXPECT_EQ(model.difference(found), "");
      append();
      disk->crash();
      disk->set_space(UINT64_MAX);
      journal = Journal::open(*disk, this_member(), small_options(5000), &found);
      ASSERT_TRUE(journal.ok()) << journal.status().to_string();
      EXPECT_TRUE(found.whole) << found.damage;
      EXPECT_EQ(model.difference(found), "");
    }
    if (failed == 0) break;
  }
  EXPECT_GT(refused, 0u);
  EXPECT_GT(in_place, refused) << "a full disk alone keeps no member from starting";
}

// A step fails, then the opening after it, then the power: what an opening removes for good must not be void only by
// what the kernel shows.
TEST(JournalCrashTest, AnOpeningFailsAfterAFailedStep) {
  Step compact, reset;
  compact.kind = Step::kCompact;
  reset.kind = Step::kReset;
  reset.index = 30;
  uint64_t both = 0;
  for (Step step : {compact, reset}) {
    for (uint64_t j = 0; j < 14; ++j) {
      for (uint64_t k = 0; k < 18; ++k) {
        for (uint64_t seed = 0; seed < 6; ++seed) {
          SCOPED_TRACE(fmt::format("step {}: its operation {} fails, then that of opening {}, seed {}",
                                   static_cast<int>(step.kind), j, k, seed));
          auto disk = new_disk(j * 1000 + k * 10 + seed);
          Recovered found;
          auto journal = Journal::open(*disk, this_member(), small_options(1000), &found);
          ASSERT_TRUE(journal.ok());
          Model model;
          for (raft::Index i = 1; i <= 18; ++i) {
            const std::vector<raft::Entry> entries{entry(i, 1, std::string(3000, 'x'))};
            ASSERT_TRUE((*journal)->append(entries).ok());
            model.append(entries);
          }
          ASSERT_EQ((*journal)->segments(), 3u);
          if (step.kind == Step::kCompact) step.index = model.last;
          disk->fail_after(j, SimDisk::Fault::kIo);
          if (step.play(**journal).ok()) continue;
          disk->fail_after(k, SimDisk::Fault::kIo);
          both += !Journal::open(*disk, this_member(), small_options(2000), &found).ok();
          disk->crash();
          journal = Journal::open(*disk, this_member(), small_options(3000), &found);
          ASSERT_TRUE(journal.ok()) << journal.status().to_string();
          ASSERT_TRUE(found.whole) << found.damage;
          Model which;
          ASSERT_TRUE(is_one_of(step.outcomes(model), found, &which));
        }
      }
    }
  }
  EXPECT_GT(both, 1000u);
}

// The same of the file that says that the log is not to be trusted.
TEST(JournalCrashTest, ALostVoteIsWrittenDownAgainByEveryOpening) {
  for (uint64_t k = 0; k < 5; ++k) {  // the operations of mark_lost()
    for (uint64_t seed = 0; seed < 8; ++seed) {
      SCOPED_TRACE(fmt::format("operation {} fails, seed {}", k, seed));
      auto disk = new_disk(k * 100 + seed);
      disk->fail_after(k, SimDisk::Fault::kIo);
      ASSERT_FALSE(Journal::mark_lost(*disk, "for a test").ok());
      Recovered found;
      ASSERT_TRUE(Journal::open(*disk, this_member(), small_options(1000), &found).ok());
      const bool whole = found.whole;
      disk->crash();
      ASSERT_TRUE(Journal::open(*disk, this_member(), small_options(2000), &found).ok());
      EXPECT_EQ(found.whole, whole);
    }
  }
}

TEST(JournalCrashTest, CreatingIsDoneOrNot) {
  for (uint64_t k = 0; k < 20; ++k) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      SCOPED_TRACE(fmt::format("cut after {} operations, seed {}", k, seed));
      SimDisk disk(k * 10 + seed);
      disk.cut_power_after(k);
      (void)Journal::create(disk, this_member(), small_options());
      disk.crash();
      auto there = Journal::exists(disk);
      ASSERT_TRUE(there.ok());
      if (!*there) {
        const Status status = Journal::create(disk, this_member(), small_options(100));
        ASSERT_TRUE(status.ok()) << status.to_string();
      }
      Recovered found;
      auto journal = Journal::open(disk, this_member(), small_options(200), &found);
      ASSERT_TRUE(journal.ok()) << journal.status().to_string();
      EXPECT_TRUE(found.whole) << found.damage;
      EXPECT_EQ(Model().difference(found), "");
    }
  }
}

// A folder in which making a journal failed, and there is one: what it promises from now on is not lost with its name.
TEST(JournalCrashTest, CreatingFailedAndTheJournalIsThere) {
  uint64_t opened = 0;
  for (uint64_t k = 0; k < 15; ++k) {    // the operations of create()
    for (uint64_t l = 0; l < 20; ++l) {  // and of an opening that may fail as well
      for (uint64_t seed = 0; seed < 4; ++seed) {
        SCOPED_TRACE(fmt::format("operations {} and {} fail, seed {}", k, l, seed));
        SimDisk disk(k * 100 + l * 10 + seed);
        disk.fail_after(k, SimDisk::Fault::kIo);
        ASSERT_FALSE(Journal::create(disk, this_member(), small_options()).ok());
        auto there = Journal::exists(disk);
        ASSERT_TRUE(there.ok());
        if (!*there) continue;
        Recovered found;
        disk.fail_after(l, SimDisk::Fault::kIo);
        (void)Journal::open(disk, this_member(), small_options(100), &found);
        disk.fail_after(UINT64_MAX / 2, SimDisk::Fault::kIo);
        auto journal = Journal::open(disk, this_member(), small_options(200), &found);
        ASSERT_TRUE(journal.ok()) << journal.status().to_string();
        Model model;
        ASSERT_TRUE((*journal)->save_hard_state(model.hard_state = {3, 2, 0}).ok());
        disk.crash();
        journal = Journal::open(disk, this_member(), small_options(300), &found);
        ASSERT_TRUE(journal.ok()) << journal.status().to_string();
        EXPECT_TRUE(found.whole) << found.damage;
        EXPECT_EQ(model.difference(found), "");
        ++opened;
      }
    }
  }
  EXPECT_GT(opened, 0u);
}

// A member's life: work, crashes, ends of the process, faults now and then.
void live(uint64_t seed, bool sealed) {
  SCOPED_TRACE(fmt::format("seed {}{}", seed, sealed ? ", sealed" : ""));
  Options options = small_options();
  if (sealed) options.key = crypto::SealingKey::from_bytes({1, 2, 3});
  SimDisk disk(seed);
  ASSERT_TRUE(Journal::create(disk, this_member(), options).ok());
  Work work(seed);
  std::vector<Model> outcomes{Model()};
  uint64_t incarnation = 0;
  for (int life = 0; life < 8; ++life) {
    Recovered found;
    SimDisk::Rates rates;
    if (work.random() % 3 == 0) rates.write = rates.sync = rates.names = 0.01;
    disk.set_rates(rates);
    if (work.random() % 3 == 0) disk.cut_power_after(work.random() % 120);
    if (work.random() % 4 == 0) disk.set_space(disk.used_bytes() + work.random() % (3 * options.segment_bytes));
    auto journal = Journal::open(disk, this_member(), options, &found);
    if (!journal.ok()) {
      ASSERT_GT(disk.faults(), 0u) << journal.status().to_string();
    } else {
      ASSERT_TRUE(found.whole) << found.damage;
      ASSERT_GT(found.incarnation, incarnation);
      incarnation = found.incarnation;
      Model model;
      ASSERT_TRUE(is_one_of(outcomes, found, &model));
      outcomes = {model};
      for (uint64_t i = 0, n = work.random() % 60; i < n; ++i) {
        const Step step = work.next(model);
        const Status status = step.play(**journal);
        if (!status.ok()) {
          ASSERT_EQ(status.kind(), (*journal)->stopped().ok() ? kFullKind : kStoppedKind) << status.to_string();
          outcomes = step.outcomes(model);
          break;
        }
        step.play(model);
        ASSERT_EQ((*journal)->last_index(), model.last);
        outcomes = {model};
      }
    }
    disk.set_rates({});
    disk.set_space(UINT64_MAX);
    if (disk.power_is_off() || work.random() % 2) disk.crash();
  }
}

TEST(JournalCrashTest, RandomLives) {
  for (uint64_t seed = 1; seed <= seeds(150); ++seed) {
    live(seed, seed % 5 == 0);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(JournalCrashTest, AFullDiskIsHarmless) {
  SimDisk disk(1);
  ASSERT_TRUE(Journal::create(disk, this_member(), small_options()).ok());
  Recovered found;
  auto journal = Journal::open(disk, this_member(), small_options(100), &found);
  ASSERT_TRUE(journal.ok());
  ASSERT_TRUE((*journal)->reserve().ok());
  disk.set_space(disk.used_bytes());
  Model model;
  // What is reserved can be used, to its end.
  while ((*journal)->room() > 0) {
    const std::vector<raft::Entry> entries{entry(model.last + 1, 1, std::string(3000, 'x'))};
    ASSERT_TRUE((*journal)->append(entries).ok());
    model.append(entries);
  }
  EXPECT_EQ(model.last, 14u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ((*journal)->reserve().kind(), kFullKind);
    const Status status = (*journal)->append(std::vector{entry(model.last + 1, 1, "y")});
    EXPECT_EQ(status.kind(), kFullKind);
    EXPECT_EQ(status.code(), Code::kResourceExhausted);
    EXPECT_TRUE((*journal)->stopped().ok());
    EXPECT_TRUE((*journal)->save_hard_state(model.hard_state = {5, 1, 2}).ok()) << "votes need no space";
  }
  // A restart does not need any either.
  journal->reset();
  disk.crash();
  journal = Journal::open(disk, this_member(), small_options(200), &found);
  ASSERT_TRUE(journal.ok()) << journal.status().to_string();
  EXPECT_EQ(model.difference(found), "");
  disk.set_space(UINT64_MAX);
  EXPECT_TRUE((*journal)->reserve().ok());
  EXPECT_TRUE((*journal)->append(std::vector{entry(model.last + 1, 1, "y")}).ok());
}

}  // namespace
}  // namespace runink::journal
