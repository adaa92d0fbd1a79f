// The log as it comes out of a file descriptor, under good and bad readers.
#include "proxy/log/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sallyport {
namespace {

using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

constexpr char kTime[] =
    "20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9][.][0-9][0-9][0-9]Z ";

// A pipe with a reader who starts when told to.
class Pipe {
 public:
  explicit Pipe(int flags = 0) {
    EXPECT_EQ(pipe2(fds_, flags | O_CLOEXEC), 0);
    fcntl(fds_[0], F_SETFL, 0);  // Only the writing end as asked.
  }
  ~Pipe() {
    CloseReadEnd();
    CloseWriteEnd();
    if (reader_.joinable()) reader_.join();
  }

  int write_end() const { return fds_[1]; }

  void CloseReadEnd() {
    if (!reader_.joinable() && fds_[0] >= 0) close(std::exchange(fds_[0], -1));
  }

  void CloseWriteEnd() {
    if (fds_[1] >= 0) close(std::exchange(fds_[1], -1));
  }

  // Fills the pipe, as a reader who stopped reading would.
  void Fill() {
    const int flags = fcntl(fds_[1], F_GETFL);
    fcntl(fds_[1], F_SETFL, flags | O_NONBLOCK);
    while (write(fds_[1], "filler\n", 7) == 7) {
    }
    fcntl(fds_[1], F_SETFL, flags);
  }

  void StartReading() {
    reader_ = std::thread([this] {
      char buffer[4096];
      for (ssize_t count; (count = read(fds_[0], buffer, sizeof(buffer))) > 0;) {
        text_.append(buffer, static_cast<size_t>(count));
      }
    });
  }

  // All that was written, when the log has stopped.
  std::vector<std::string> Lines() {
    if (!reader_.joinable()) StartReading();
    CloseWriteEnd();
    reader_.join();
    std::vector<std::string> lines;
    for (size_t start = 0, end; (end = text_.find('\n', start)) != std::string::npos;) {
      const std::string line = text_.substr(start, end - start);
      if (line != "filler") lines.push_back(line);
      start = end + 1;
    }
    EXPECT_TRUE(text_.empty() || text_.back() == '\n');
    return lines;
  }

 private:
  int fds_[2];
  std::string text_;
  std::thread reader_;
};

std::string Events(const std::vector<std::string>& lines) {
  std::string events;
  for (const std::string& line : lines) events += line.substr(line.find('Z') + 1) + "|";
  return events;
}

// The sum of what the lines about dropped lines say.
uint64_t DroppedInLines(const std::vector<std::string>& lines) {
  uint64_t sum = 0;
  for (const std::string& line : lines) {
    unsigned long long count = 0;
    const char* event = line.c_str() + line.find('Z') + 1;
    if (std::sscanf(event, " warning log lines dropped count=%llu", &count) == 1) sum += count;
  }
  return sum;
}

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  std::stringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

TEST(Log, WritesOneLineAnEventWithUtcTimeAndLevel) {
  Pipe pipe;
  StartLog({.target = {.fd = pipe.write_end()}});
  LogInfo("started");
  LogWarning(Line("client left").Add("id", 7).Add("user", "o'hara").Add("tls", true));
  LogError("broken");
  StopLog();
  const std::vector<std::string> lines = pipe.Lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], MatchesRegex(std::string(kTime) + "info  started"));
  EXPECT_THAT(lines[1],
              MatchesRegex(std::string(kTime) + "warning client left id=7 user=o'hara tls=true"));
  EXPECT_THAT(lines[2], MatchesRegex(std::string(kTime) + "error broken"));
}

TEST(Log, WritesJsonAnObjectALine) {
  Pipe pipe;
  StartLog({.format = LogFormat::kJson, .target = {.fd = pipe.write_end()}});
  LogInfo("started \"well\"");
  LogWarning(Line("client left")
                 .Add("id", 7)
                 .Add("user", "a\nb\xff \xc3\xa9\xf0\x9f\x94\x92")
                 .Add("tls", true));
  StopLog();
  SetLineFormat(LogFormat::kText);
  const std::vector<std::string> lines = pipe.Lines();
  ASSERT_EQ(lines.size(), 2u);
  const std::string time = "\"time\":\"" + std::string(kTime, sizeof(kTime) - 2) + "\",";
  EXPECT_THAT(lines[0], MatchesRegex("[{]" + time +
                                     "\"level\":\"info\",\"event\":"
                                     "\"started [\\]\"well[\\]\"\"[}]"));
  EXPECT_THAT(lines[1], MatchesRegex("[{]" + time + "\"level\":\"warning\",.*[}]"));
  EXPECT_THAT(lines[1], HasSubstr("\"event\":\"client left\",\"id\":7,\"user\":"
                                  "\"a\\u000ab\\\\xff \\u00e9\\ud83d\\udd12\",\"tls\":true}"));
}

TEST(Log, TellsDroppedLinesInJsonToo) {
  Pipe pipe;
  pipe.Fill();
  StartLog({.format = LogFormat::kJson, .target = {.fd = pipe.write_end()}, .lines_max = 16});
  for (int i = 0; i < 1000; ++i) LogInfo(Line("e").Add("i", i));
  pipe.StartReading();
  StopLog();
  SetLineFormat(LogFormat::kText);
  int told = 0;
  for (const std::string& line : pipe.Lines()) {
    EXPECT_THAT(line, MatchesRegex("[{]\"time\":.*[}]"));
    told += line.find("\"event\":\"log lines dropped\",\"count\":") != std::string::npos ? 1 : 0;
  }
  EXPECT_GE(told, 1);
}

TEST(Log, MovesToANewFileBetweenLines) {
  const std::string path = testing::TempDir() + "/log_test." + std::to_string(getpid());
  const absl::StatusOr<LogTarget> target = OpenLogTarget(path);
  ASSERT_TRUE(target.ok()) << target.status();
  StartLog({.target = *target});
  LogInfo("before");
  // As logrotate does. What still waits may be written to either file.
  ASSERT_EQ(rename(path.c_str(), (path + ".1").c_str()), 0);
  for (int i = 0; i < 3; ++i) {  // Those that nothing was written to are closed, too.
    const absl::StatusOr<LogTarget> next = OpenLogTarget(path);
    ASSERT_TRUE(next.ok()) << next.status();
    MoveLog(*next);
  }
  LogInfo("after");
  StopLog();
  EXPECT_THAT(Contents(path), HasSubstr(" info  after\n"));
  EXPECT_EQ(Contents(path + ".1").find("after"), std::string::npos);
  EXPECT_THAT(Contents(path + ".1") + Contents(path), HasSubstr(" info  before\n"));
  for (const char* end : {"", ".1"}) unlink((path + end).c_str());
}

// As a full disk does: what is beyond `size` is refused.
void LimitFiles(rlim_t size) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = std::min(size, limit.rlim_max);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// Logs until a line was cut, then with room again. Gives what is in the log's files.
std::string CutLine(const std::string& path, void (*between)(const std::string& path)) {
  const absl::StatusOr<LogTarget> target = OpenLogTarget(path);
  EXPECT_TRUE(target.ok()) << target.status();
  const uint64_t dropped_before = LogLinesDropped();
  StartLog({.target = *target});
  LogInfo("whole");
  LimitFiles(50);  // A line has 24 bytes of time and 6 of level.
  for (const char* text : {"half of this", "nothing of this"}) LogInfo(text);
  for (int i = 0; i < 1000 && LogLinesDropped() - dropped_before < 2; ++i) usleep(10'000);
  LimitFiles(RLIM_INFINITY);
  EXPECT_EQ(LogLinesDropped() - dropped_before, 2u);
  between(path);
  LogInfo("after");
  LogInfo("at last");
  StopLog();
  std::string contents;
  for (const char* end : {".1", ""}) {
    contents += Contents(path + end) + "|";
    unlink((path + end).c_str());
  }
  return contents;
}

TEST(Log, BeginsANewLineBehindOneThatAFullDiskCut) {
  const std::string path = testing::TempDir() + "/cut." + std::to_string(getpid());
  const std::string time(kTime);
  const std::string cut = time + "info  whole\n" + time.substr(0, time.find('T')) + "[^\n]*\n";
  const std::string rest = time + "info  after\n" + time + "info  at last\n[|]";
  EXPECT_THAT(CutLine(path, [](const std::string&) {}), MatchesRegex("[|]" + cut + rest));

  const auto open_again = [](const std::string& name) { MoveLog(*OpenLogTarget(name)); };
  EXPECT_THAT(CutLine(path, open_again), MatchesRegex("[|]" + cut + rest));

  const auto rotate = [](const std::string& name) {
    ASSERT_EQ(rename(name.c_str(), (name + ".1").c_str()), 0);
    MoveLog(*OpenLogTarget(name));
  };
  const std::string cut_end = cut.substr(0, cut.size() - 1);
  EXPECT_THAT(CutLine(path, rotate), MatchesRegex(cut_end + "[|]" + rest));
}

TEST(Log, SaysWhyAFileCannotBeOpened) {
  EXPECT_EQ(OpenLogTarget("/no/such/folder/log").status().message(),
            "/no/such/folder/log: No such file or directory");
  EXPECT_EQ(OpenJournal("/no/such/socket").status().message(),
            "/no/such/socket: No such file or directory");
}

// A journal of the test's own: a datagram socket that takes entries of fields, one a line.
TEST(Log, SpeaksTheJournalsProtocol) {
  // Not Bazel's folder, whose name is longer than a socket's may be.
  const std::string path = "/tmp/sallyport-journal-test." + std::to_string(getpid());
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  const int journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(journal, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const absl::StatusOr<LogTarget> target = OpenJournal(path);
  ASSERT_TRUE(target.ok()) << target.status();
  StartLog({.target = *target});
  LogError(Line("broken").Add("why", std::string(250, '\n')));
  LogInfo(std::string(20'000, 'x'));
  StopLog();
  std::string entry(100'000, '\0');
  const auto read_entry = [&] {
    const ssize_t size = recv(journal, entry.data(), entry.size(), MSG_DONTWAIT);
    return entry.substr(0, static_cast<size_t>(std::max<ssize_t>(size, 0)));
  };
  std::string newlines;
  for (int i = 0; i < 250; ++i) newlines += "\\x0a";
  EXPECT_EQ(read_entry(),
            "PRIORITY=3\nSYSLOG_IDENTIFIER=sallyport\nMESSAGE=broken why=\"" + newlines + "\"\n");
  EXPECT_EQ(read_entry(),
            "PRIORITY=6\nSYSLOG_IDENTIFIER=sallyport\nMESSAGE=" + std::string(20'000, 'x') + "\n");
  close(journal);
  unlink(path.c_str());
}

TEST(Log, KeepsToItsLevel) {
  const std::pair<const char*, const char*> levels[] = {
      {"debug", " debug a| info  b| warning c| error d|"},
      {"info", " info  b| warning c| error d|"},
      {"warning", " warning c| error d|"},
      {"error", " error d|"},
      {"nonsense", " info  b| warning c| error d|"},
  };
  for (const auto& [level, events] : levels) {
    Pipe pipe;
    StartLog({.level = level, .target = {.fd = pipe.write_end()}});
    LogDebug("a");
    LogInfo("b");
    LogWarning("c");
    LogError("d");
    StopLog();
    EXPECT_EQ(Events(pipe.Lines()), events) << level;
  }
}

TEST(Log, IsSilentBeforeItStartsAndAfterItStops) {
  Pipe pipe;
  LogInfo("too early");
  StopLog();  // Nothing to stop.
  StartLog({.target = {.fd = pipe.write_end()}});
  StopLog();
  StopLog();
  LogInfo("too late");
  EXPECT_THAT(pipe.Lines(), IsEmpty());
}

TEST(Log, AClientCannotForgeALineOrAKey) {
  const std::string hostile[] = {
      "x\n2026-11-21T09:00:00.123Z error server gone",
      "x\r\n",
      "x reason=ok",
      "x\" reason=\"ok",
      "x\\\" reason=\"ok",
      "\x1b[2K\x1b[1A",
      std::string("x\0\n", 3),
      "\xe2\x80\xa8",  // A line separator, to some viewers.
      "\xc2\x9b\x33\x31m",
  };
  for (const std::string& user : hostile) {
    Pipe pipe;
    StartLog({.target = {.fd = pipe.write_end()}});
    LogInfo(Line("client left").Add("user", user).Add("reason", "bad_handshake"));
    LogInfo("raw " + user);
    StopLog();
    const std::vector<std::string> lines = pipe.Lines();
    ASSERT_EQ(lines.size(), 2u);
    // One quoted value, then our key: nothing the client says ends the quotes.
    EXPECT_THAT(lines[0],
                MatchesRegex(std::string(kTime) + "info  client left user=\"([^\"\\]|[\\].)*\" "
                                                  "reason=bad_handshake"));
    for (const char c : lines[0]) EXPECT_TRUE(c >= ' ' && c < 0x7f);
    for (const char c : lines[1]) EXPECT_TRUE(static_cast<unsigned char>(c) >= ' ' && c != 0x7f);
  }
}

TEST(Log, CutsAHugeValue) {
  const std::string text = Line("e").Add("user", std::string(100'000, 'a')).Add("id", 1).text();
  EXPECT_EQ(text, "e user=\"" + std::string(256, 'a') + "\"... id=1");
}

TEST(Log, WritesLinesLongerThanAPipeTakesAtOnce) {
  Pipe pipe(O_NONBLOCK);
  pipe.StartReading();
  StartLog({.target = {.fd = pipe.write_end()}});
  for (int i = 0; i < 10; ++i) LogInfo(std::string(200'000, static_cast<char>('a' + i)));
  StopLog();
  const std::vector<std::string> lines = pipe.Lines();
  ASSERT_EQ(lines.size(), 10u);
  for (const std::string& line : lines) EXPECT_GT(line.size(), 200'000u);
}

// Under --config=tsan this is the test that two workers and a scrape may meet in the log.
TEST(Log, TakesLinesFromSeveralThreadsAndLosesNoneUncounted) {
  constexpr int kLinesEach = 20'000;
  const uint64_t dropped_before = LogLinesDropped();
  Pipe pipe;
  pipe.StartReading();
  StartLog({.target = {.fd = pipe.write_end()}, .lines_max = 64});
  const auto work = [](int worker) {
    for (int i = 0; i < kLinesEach; ++i) LogInfo(Line("e").Add("worker", worker).Add("i", i));
  };
  std::thread first(work, 1), second(work, 2);
  std::thread scrape([] {
    uint64_t last = 0;
    for (int i = 0; i < 1000; ++i) {
      const uint64_t now = LogLinesDropped();
      EXPECT_GE(now, last);
      last = now;
    }
  });
  first.join();
  second.join();
  scrape.join();
  StopLog();

  const uint64_t dropped = LogLinesDropped() - dropped_before;
  uint64_t written = 0;
  int next[3] = {};
  const std::vector<std::string> lines = pipe.Lines();
  for (const std::string& line : lines) {
    int worker = 0, i = 0;
    const char* event = line.c_str() + line.find('Z') + 1;
    if (std::sscanf(event, " info  e worker=%d i=%d", &worker, &i) != 2) continue;
    EXPECT_GE(i, next[worker]) << line;  // Each thread's lines keep their order.
    next[worker] = i + 1;
    ++written;
  }
  EXPECT_EQ(written + dropped, 2u * kLinesEach);
  EXPECT_EQ(DroppedInLines(lines), dropped);
}

TEST(Log, AReaderThatStoppedReadingBlocksNeitherThreadsNorTheEnd) {
  const uint64_t dropped_before = LogLinesDropped();
  Pipe pipe;
  pipe.Fill();
  StartLog({.target = {.fd = pipe.write_end()}, .lines_max = 16});
  const steady_clock::time_point start = steady_clock::now();
  for (int i = 0; i < 5000; ++i) LogInfo(Line("e").Add("i", i).Add("text", std::string(100, 'x')));
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(5));
  const uint64_t dropped = LogLinesDropped() - dropped_before;
  EXPECT_GT(dropped, 0u);

  const steady_clock::time_point stop = steady_clock::now();
  StopLog();
  EXPECT_LT(steady_clock::now() - stop, std::chrono::seconds(5));
  EXPECT_GE(LogLinesDropped() - dropped_before, 5000u);  // What still waited counts too.
}

TEST(Log, AReaderThatComesBackReadsHowManyLinesItMissed) {
  const uint64_t dropped_before = LogLinesDropped();
  Pipe pipe;
  pipe.Fill();
  StartLog({.target = {.fd = pipe.write_end()}, .lines_max = 16});
  for (int i = 0; i < 1000; ++i) LogInfo(Line("e").Add("i", i));
  const uint64_t dropped = LogLinesDropped() - dropped_before;
  EXPECT_GE(dropped, 1000u - 16 - 1);  // One may be in the writing thread's hands.
  pipe.StartReading();
  StopLog();
  const std::vector<std::string> lines = pipe.Lines();
  EXPECT_EQ(DroppedInLines(lines), dropped);
  const std::string events = Events(lines);
  EXPECT_THAT(events, HasSubstr(" i=999|"));  // The newest are kept.
}

TEST(Log, AReaderThatIsGoneIsNoSignal) {
  const uint64_t dropped_before = LogLinesDropped();
  signal(SIGPIPE, SIG_DFL);
  Pipe pipe;
  StartLog({.target = {.fd = pipe.write_end()}});
  pipe.CloseReadEnd();
  LogInfo("nobody reads this");
  StopLog();
  EXPECT_EQ(LogLinesDropped() - dropped_before, 1u);
}

}  // namespace
}  // namespace sallyport
