#include "client/sdk/sessions.h"

#include <gtest/gtest.h>

namespace runink::sdk {
namespace {

v1::Token token(uint64_t index) {
  v1::Token out;
  out.set_incarnation(1);
  out.set_index(index);
  return out;
}

TEST(Sessions, SequencesBeginAtOneAndTheLowestFollowsTheAnswers) {
  Sessions sessions;
  EXPECT_FALSE(sessions.take(1).has_value());
  sessions.add(token(7));
  const auto first = *sessions.take(1), second = *sessions.take(1), third = *sessions.take(1);
  EXPECT_EQ(first.sequence, 1u);
  EXPECT_EQ(third.sequence, 3u);
  v1::SessionMark mark;
  sessions.answered(second);
  sessions.fill(third, &mark);
  EXPECT_EQ(mark.session().index(), 7u);
  EXPECT_EQ(mark.sequence(), 3u);
  EXPECT_EQ(mark.lowest_unanswered(), 1u);
  sessions.answered(first);
  sessions.answered(first);  // twice does no harm
  sessions.fill(third, &mark);
  EXPECT_EQ(mark.lowest_unanswered(), 3u);
}

TEST(Sessions, TheWindowIsCountedFromTheLowestUnanswered) {
  Sessions sessions;
  sessions.add(token(1));
  std::vector<Sessions::Mark> marks;
  for (size_t i = 0; i < Sessions::kWindow; ++i) marks.push_back(*sessions.take(1));
  EXPECT_FALSE(sessions.take(1).has_value());
  // Answers to later ones make no room: the member keeps them until the first is answered too.
  for (size_t i = 1; i < marks.size(); ++i) sessions.answered(marks[i]);
  EXPECT_FALSE(sessions.take(1).has_value());
  sessions.answered(marks[0]);
  EXPECT_EQ(sessions.take(1)->sequence, Sessions::kWindow + 1);
  // Another session makes room, too.
  sessions.add(token(2));
  EXPECT_EQ(sessions.tokens().size(), 2u);
}

TEST(Sessions, BytesOfAnswersAreBoundedAndALargeOneGoesAlone) {
  Sessions sessions;
  sessions.add(token(1));
  const auto large = sessions.take(10 * Sessions::kAnswerBytes);
  ASSERT_TRUE(large.has_value());
  EXPECT_FALSE(sessions.take(1).has_value());
  sessions.answered(*large);
  EXPECT_TRUE(sessions.take(Sessions::kAnswerBytes / 2).has_value());
  EXPECT_TRUE(sessions.take(Sessions::kAnswerBytes / 2).has_value());
  EXPECT_FALSE(sessions.take(1).has_value());
}

TEST(Sessions, OneThatHasEndedGivesNothingAndItsMarksAreNone) {
  Sessions sessions;
  sessions.add(token(1));
  const auto mark = *sessions.take(1);
  sessions.end(mark);
  EXPECT_FALSE(sessions.contains(mark));
  sessions.answered(mark);
  EXPECT_FALSE(sessions.take(1).has_value());
  sessions.add(token(2));
  EXPECT_FALSE(sessions.contains(mark));
  EXPECT_TRUE(sessions.contains(*sessions.take(1)));
}

}  // namespace
}  // namespace runink::sdk
