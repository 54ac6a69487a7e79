#include "data/connectors/file_sink.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "platform/os/file.h"
#include "platform/os/signals.h"
#include "platform/os/temp.h"

namespace runink::connectors {
namespace {

using testing::HasSubstr;

class Sinks : public testing::Test {
 protected:
  void SetUp() override {
    os::ignore_broken_pipes();
    folder_ = os::TempFolder::create("").value();
  }
  Locator path(const std::string& name) {
    LocatorOptions options;
    options.project_root = folder_.path();
    options.format = "ndjson";
    return parse_sink_locator(name, options).value();
  }
  Locator program(const std::string& command) {
    LocatorOptions options;
    options.project_root = folder_.path();
    options.format = "ndjson";
    options.exec = command;
    return parse_sink_locator("", options).value();
  }
  std::string content(const std::string& name) {
    auto got = os::read_file(folder_.file(name));
    return got.ok() ? *got : "none";
  }
  OutputOptions mode(SinkMode mode) {
    OutputOptions options;
    options.mode = mode;
    return options;
  }
  os::TempFolder folder_;
};

TEST_F(Sinks, AFileAppearsWholeAndOnlyWhenPublished) {
  ASSERT_TRUE(os::write_file_atomic(folder_.file("x"), "old").ok());
  auto out = open_output(path("x"), {}).value();
  ASSERT_TRUE(out->write("new ").ok());
  ASSERT_TRUE(out->write("text").ok());
  EXPECT_FALSE(out->publish().ok());  // not finished
  ASSERT_TRUE(out->finish().ok());
  EXPECT_EQ(content("x"), "old");
  ASSERT_TRUE(out->publish().ok());
  EXPECT_EQ(content("x"), "new text");
  EXPECT_EQ(out->bytes_written(), 8u);
  EXPECT_EQ(os::list_directory(folder_.path()).value().size(), 1u);
}

TEST_F(Sinks, AnUnpublishedFileLeavesNothing) {
  {
    auto out = open_output(path("deep/er/x"), {}).value();
    ASSERT_TRUE(out->write("new").ok());
    ASSERT_TRUE(out->finish().ok());
    EXPECT_NE(out->atomic_file(), nullptr);
  }
  EXPECT_TRUE(os::list_directory(folder_.file("deep/er")).value().empty());
}

TEST_F(Sinks, FailModeKeepsWhatIsThere) {
  auto out = open_output(path("x"), mode(SinkMode::kFail)).value();
  ASSERT_TRUE(out->finish().ok());
  ASSERT_TRUE(os::write_file_atomic(folder_.file("x"), "old").ok());
  EXPECT_EQ(out->publish().code(), Code::kAlreadyExists);
  EXPECT_EQ(open_output(path("x"), mode(SinkMode::kFail)).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(content("x"), "old");
}

TEST_F(Sinks, AppendModeAddsAllAtOnce) {
  auto first = open_output(path("x"), mode(SinkMode::kAppend)).value();
  EXPECT_TRUE(first->starts_empty());
  ASSERT_TRUE(first->write("one\n").ok());
  ASSERT_TRUE(first->finish().ok());
  EXPECT_EQ(content("x"), "none");
  ASSERT_TRUE(first->publish().ok());
  auto second = open_output(path("x"), mode(SinkMode::kAppend)).value();
  EXPECT_FALSE(second->starts_empty());
  ASSERT_TRUE(second->write("two\n").ok());
  ASSERT_TRUE(second->finish().ok());
  EXPECT_EQ(content("x"), "one\n");
  ASSERT_TRUE(second->publish().ok());
  EXPECT_EQ(content("x"), "one\ntwo\n");
  auto third = open_output(path("x"), mode(SinkMode::kAppend)).value();
  ASSERT_TRUE(third->write("three\n").ok());
  third->discard();
  EXPECT_EQ(content("x"), "one\ntwo\n");
}

TEST_F(Sinks, RefusesFoldersAndForbiddenPlaces) {
  ASSERT_TRUE(os::make_directories(folder_.file("folder")).ok());
  EXPECT_THAT(open_output(path("folder"), {}).status().to_string(), HasSubstr("directory"));
  ASSERT_TRUE(os::write_file_atomic(folder_.file("file"), "").ok());
  EXPECT_FALSE(open_output(path("file/x"), {}).ok());
  EXPECT_THAT(parse_sink_mode("apend").status().hint(), HasSubstr("append"));
}

TEST_F(Sinks, AFullDiskIsAnErrorAndNothingIsPublished) {
  // A limit on file size gives the same kind of failure as a full disk, without one.
  auto out = open_output(path("x"), {}).value();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = out->write(std::string(5000, 'x'));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.to_string(), HasSubstr(folder_.file("x")));
  EXPECT_FALSE(out->write("more").ok());
  EXPECT_FALSE(out->finish().ok());
  EXPECT_FALSE(out->publish().ok());
  out.reset();
  EXPECT_TRUE(os::list_directory(folder_.path()).value().empty());
  if (os::exists("/dev/full")) {
    Locator full = path("x");
    full.path = "/dev/full";
    auto device = open_output(full, {}).value();
    EXPECT_EQ(device->write("x").code(), Code::kResourceExhausted);
  }
}

TEST_F(Sinks, Programs) {
  auto out = open_output(program("sh -c 'cat > copied'"), {}).value();
  EXPECT_FALSE(out->atomic());
  std::string text;
  for (int i = 0; i < 100000; ++i) text += std::to_string(i) + "\n";
  ASSERT_TRUE(out->write(text).ok());
  ASSERT_TRUE(out->finish().ok());
  EXPECT_EQ(content("copied"), text);
  EXPECT_TRUE(out->publish().ok());

  auto failing = open_output(program("sh -c 'cat > /dev/null; echo no space left >&2; exit 9'"), {}).value();
  ASSERT_TRUE(failing->write("x").ok());
  const Status failed = failing->finish();
  EXPECT_THAT(failed.to_string(), HasSubstr("exit code 9"));
  EXPECT_THAT(failed.details(), testing::Contains("no space left"));

  // One that is given personal data may say anything of it.
  Locator private_words = program("sh -c 'cat >&2; exit 9'");
  private_words.words = {true, folder_.file("said/step-1.stderr")};
  auto discreet = open_output(private_words, {}).value();
  ASSERT_TRUE(discreet->write("SECRET\n").ok());
  const Status unsaid = discreet->finish();
  EXPECT_THAT(unsaid.details(), testing::ElementsAre("standard error: it may hold personal data, and is in " + private_words.words.file));
  EXPECT_EQ(os::read_file(private_words.words.file).value(), "SECRET\n");
  EXPECT_EQ(os::file_info(private_words.words.file)->permissions & 0777u, 0600u);
  private_words.words.file.clear();
  discreet = open_output(private_words, {}).value();
  ASSERT_TRUE(discreet->write("SECRET\n").ok());
  EXPECT_THAT(discreet->finish().details(), testing::ElementsAre("standard error: not shown, since it may hold personal data"));

  auto short_reader = open_output(program("sh -c 'head -c 10 > /dev/null'"), {}).value();
  Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i) status = short_reader->write(std::string(100000, 'x'));
  EXPECT_EQ(status.kind(), "sink.closed");

  EXPECT_FALSE(open_output(program("no-such-program-anywhere"), {}).ok());
}

TEST_F(Sinks, AStopEndsAWaitForAProgramThatDoesNotRead) {
  StopFlag stop;
  OutputOptions options;
  options.stop = &stop;
  auto out = open_output(program("sleep 1000"), options).value();
  stop.request();
  EXPECT_EQ(out->write(std::string(10'000'000, 'x')).kind(), "run.interrupted");
}

TEST_F(Sinks, AClosedPipeIsSaid) {
  ASSERT_EQ(::mkfifo(folder_.file("pipe").c_str(), 0600), 0);
  std::thread reader([&] {
    const auto fd = os::open_file(folder_.file("pipe")).value();
    char c;
    EXPECT_EQ(os::read_full(fd, &c, 1).value(), 1u);
  });
  auto out = open_output(path("pipe"), {}).value();
  EXPECT_FALSE(out->atomic());
  ASSERT_TRUE(out->write("x").ok());
  reader.join();
  Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) status = out->write(std::string(100000, 'x'));
  EXPECT_EQ(status.kind(), "sink.closed");
  EXPECT_FALSE(out->finish().ok());
}

TEST_F(Sinks, AReaderThatStandsStillDoesNotHoldUpAStop) {
  ASSERT_EQ(::mkfifo(folder_.file("pipe").c_str(), 0600), 0);
  const os::Fd reader(::open(folder_.file("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "pipe");
  ASSERT_TRUE(reader.valid());
  const int capacity = ::fcntl(reader.get(), F_GETPIPE_SZ);
  StopFlag stop;
  OutputOptions options;
  options.stop = &stop;
  auto out = open_output(path("pipe"), options).value();
  std::thread stopper([&] {  // once the pipe takes no more
    for (int held = 0; held < capacity; std::this_thread::yield()) ::ioctl(reader.get(), FIONREAD, &held);
    stop.request();
  });
  EXPECT_EQ(out->write(std::string(10'000'000, 'x')).kind(), "run.interrupted");
  stopper.join();
}

// The description that was inherited has to stay as it is: a shell that shares it would be surprised.
TEST_F(Sinks, StandardOutputIsWrittenWithoutChangingItForOthers) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const int before = ::dup(STDOUT_FILENO);
  std::fflush(stdout);
  ::dup2(ends[1], STDOUT_FILENO);
  StopFlag stop;
  OutputOptions options;
  options.stop = &stop;
  Locator standard = path("x");
  standard.kind = LocatorKind::kStandard;
  auto out = open_output(standard, options);
  ::dup2(before, STDOUT_FILENO);
  ::close(before);
  ASSERT_TRUE(out.ok());
  const int capacity = ::fcntl(ends[0], F_GETPIPE_SZ);
  std::thread stopper([&] {
    for (int held = 0; held < capacity; std::this_thread::yield()) ::ioctl(ends[0], FIONREAD, &held);
    stop.request();
  });
  EXPECT_EQ((*out)->write(std::string(10'000'000, 'x')).kind(), "run.interrupted");
  stopper.join();
  EXPECT_EQ(::fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Sinks, AFifoThatNobodyOpensDoesNotHoldUpAStop) {
  ASSERT_EQ(::mkfifo(folder_.file("pipe").c_str(), 0600), 0);
  StopFlag stop;
  OutputOptions options;
  options.stop = &stop;
  stop.request();
  EXPECT_EQ(open_output(path("pipe"), options).status().kind(), "run.interrupted");
}

}  // namespace
}  // namespace runink::connectors
