#include "proxy/send_queue.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "tests/session/heap_watch.h"

namespace sallyport {
namespace {

using tests::HeapWatch;

iovec Part(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

std::string Front(const SendQueue& queue) {
  return std::string(queue.front().begin(), queue.front().end());
}

TEST(SendQueue, IsEmptyAtFirst) {
  SendQueue queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_TRUE(queue.front().empty());
  queue.Consume(0);
  queue.Clear();
}

TEST(SendQueue, AppendSkipsWhatWasSent) {
  const iovec parts[] = {Part("abc"), Part(""), Part("def"), Part("g")};
  for (size_t skip = 0; skip <= 7; ++skip) {
    SendQueue queue;
    queue.Append(parts, skip, false);
    EXPECT_EQ(Front(queue), std::string("abcdefg").substr(skip));
    EXPECT_EQ(queue.size(), 7 - skip);
  }
}

TEST(SendQueue, IsAQueue) {
  SendQueue queue;
  std::mt19937 random(1);
  std::string in;
  std::string out;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 50, static_cast<char>('a' + i % 26));
    const size_t skip = bytes.empty() ? 0 : random() % bytes.size();
    const iovec part = Part(bytes);
    queue.Append({&part, 1}, skip, i % 100 == 0);
    in += bytes.substr(skip);
    const size_t count = std::min<size_t>(queue.size(), random() % 60);
    out += Front(queue).substr(0, count);
    queue.Consume(count);
    ASSERT_EQ(in.size() - out.size(), queue.size());
  }
  out += Front(queue);
  EXPECT_EQ(in, out);
}

tls::ControlRecord Record(uint8_t type) {
  tls::ControlRecord record;
  record.type = type;
  record.next_keys.emplace();
  return record;
}

TEST(SendQueue, RecordsKeepTheirPlace) {
  SendQueue queue;
  const iovec abc = Part("abc");
  const iovec defgh = Part("defgh");
  queue.Append({&abc, 1}, 0, false);
  queue.Append({&defgh, 1}, 1, false);
  queue.AppendRecord(Record(1), 4);  // Before "efgh".
  queue.AppendRecord(Record(2), 4);
  queue.AppendRecord(Record(3), 1);  // Before "h".
  queue.AppendRecord(Record(4), 0);
  EXPECT_EQ(queue.size(), 7u);
  EXPECT_EQ(Front(queue), "abc");
  EXPECT_FALSE(queue.record_next());
  queue.Consume(1);
  queue.Append({&abc, 1}, 0, false);  // It may grow.
  EXPECT_EQ(Front(queue), "bc");
  queue.Consume(2);
  EXPECT_TRUE(queue.front().empty());
  ASSERT_TRUE(queue.record_next());
  EXPECT_EQ(queue.next_record().type, 1);
  EXPECT_EQ(queue.TakeRecord().type, 1);
  ASSERT_TRUE(queue.record_next());
  EXPECT_EQ(queue.TakeRecord().type, 2);
  EXPECT_EQ(Front(queue), "efg");
  queue.Consume(3);
  EXPECT_EQ(queue.TakeRecord().type, 3);
  EXPECT_EQ(Front(queue), "h");
  queue.Consume(1);
  EXPECT_EQ(queue.TakeRecord().type, 4);
  EXPECT_EQ(Front(queue), "abc");
  queue.Consume(3);
  EXPECT_TRUE(queue.empty());
}

TEST(SendQueue, ARecordAloneIsSomethingToSend) {
  SendQueue queue;
  const iovec part = Part("abc");
  const HeapWatch watch("");
  const size_t before = HeapWatch::bytes_held();
  queue.AppendRecord(Record(1), 0);
  EXPECT_FALSE(queue.empty());
  EXPECT_TRUE(queue.record_next());
  EXPECT_EQ(queue.size(), 0u);
  queue.Append({&part, 1}, 0, false);
  EXPECT_TRUE(queue.TakeRecord().next_keys.has_value());
  queue.AppendRecord(Record(2), 0);
  queue.Consume(3);
  EXPECT_FALSE(queue.empty());
  queue.Clear();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(HeapWatch::bytes_held(), before);
}

TEST(SendQueue, NothingPassesARecord) {
  SendQueue queue;
  const iovec part = Part("abc");
  queue.Append({&part, 1}, 0, false);
  queue.AppendRecord(Record(1), 1);
  EXPECT_DEATH(queue.TakeRecord(), "");
  EXPECT_DEATH(queue.AppendRecord(Record(2), 4), "");
  EXPECT_DEATH(queue.AppendRecord(Record(2), 2), "");
  EXPECT_DEATH(queue.Consume(3), "");
  queue.Consume(2);
  EXPECT_DEATH(queue.Consume(1), "");
}

TEST(SendQueue, HoldsNoMemoryOnceItIsEmpty) {
  const std::string bytes(100'000, 'x');
  const iovec part = Part(bytes);
  SendQueue queue;
  const HeapWatch watch("");
  const size_t before = HeapWatch::bytes_held();
  queue.Append({&part, 1}, 0, false);
  queue.Consume(99'999);
  EXPECT_FALSE(queue.empty());
  queue.Consume(1);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(HeapWatch::bytes_held(), before);
}

// A peer that is slow for ever: what was sent doesn't pile up.
TEST(SendQueue, AStreamThatNeverEmptiesItStaysSmall) {
  const std::string bytes(1000, 'x');
  const iovec part = Part(bytes);
  SendQueue queue;
  const HeapWatch watch("");
  const size_t before = HeapWatch::bytes_held();
  for (int i = 0; i < 10'000; ++i) {
    queue.Append({&part, 1}, 0, false);
    if (i >= 10) queue.Consume(1000);
    ASSERT_LE(HeapWatch::bytes_held() - before, 4u * 12'000);
  }
}

TEST(SendQueue, ASecretIsWipedWhereverItWas) {
  const std::string secret = "a password of some length";
  const std::string bytes = secret + " and more";
  const iovec part = Part(bytes);
  const std::string filler(5000, 'x');
  const iovec filler_part = Part(filler);
  const HeapWatch watch(secret);
  const int before = HeapWatch::secrets_found();
  {
    SendQueue queue;  // Grown.
    queue.Append({&part, 1}, 0, true);
    for (int i = 0; i < 10; ++i) queue.Append({&filler_part, 1}, 0, false);
    queue.Consume(bytes.size());
    for (int i = 0; i < 10; ++i) queue.Append({&filler_part, 1}, 0, false);
    EXPECT_EQ(queue.size(), 20u * 5000);
  }
  {
    SendQueue queue;  // Sent.
    queue.Append({&part, 1}, 0, true);
    queue.Consume(bytes.size());
  }
  {
    SendQueue queue;  // Dropped, behind bytes that were no secret.
    queue.Append({&filler_part, 1}, 0, false);
    queue.Append({&part, 1}, 0, true);
    queue.Clear();
  }
  {
    SendQueue queue;  // Destroyed.
    queue.Append({&part, 1}, 0, true);
  }
  EXPECT_EQ(HeapWatch::secrets_found(), before);
  {
    SendQueue queue;  // The watch sees what isn't wiped.
    queue.Append({&part, 1}, 0, false);
  }
  EXPECT_EQ(HeapWatch::secrets_found(), before + 1);
}

}  // namespace
}  // namespace sallyport
