// What it takes to look at MySQL's packets. Beside each time, limit_ns: what a loop over the same
// bytes takes that only reads the headers (streams of 256 KiB, in packets of the size given), or
// that only copies them (log-in).
#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bench/lib/limit.h"
#include "packet/assembler.h"
#include "packet/capabilities.h"
#include "packet/check.h"
#include "packet/command_watch.h"
#include "packet/greeting.h"
#include "packet/handshake_response.h"
#include "packet/header.h"
#include "packet/wire.h"

namespace sallyport::bench {
namespace {

constexpr size_t kStreamSize = 256 * 1024;  // What a worker receives at a time when bulk flows.
constexpr uint8_t COM_QUERY = 0x03;

// As many whole packets of `size` bytes, header included, as fit.
std::vector<uint8_t> Commands(size_t size) {
  std::vector<uint8_t> stream;
  while (stream.size() + size <= kStreamSize) {
    std::vector<uint8_t> packet(size, 'x');
    packet::WriteHeader(
        {.payload_length = static_cast<uint32_t>(size - packet::kHeaderSize), .sequence_id = 0},
        packet);
    packet[packet::kHeaderSize] = COM_QUERY;
    stream.insert(stream.end(), packet.begin(), packet.end());
  }
  return stream;
}

// The limit: from header to header, and nothing else.
uint32_t StepOver(packet::Bytes stream) {
  uint32_t last = 0;
  for (size_t at = 0; at < stream.size();) {
    std::memcpy(&last, stream.data() + at, sizeof(last));
    at += packet::kHeaderSize + (last & packet::kPayloadLengthMax);
  }
  return last;
}

void ReportStream(benchmark::State& state, const std::vector<uint8_t>& stream, size_t size) {
  state.counters["limit_ns"] = NsPerCall([&] { benchmark::DoNotOptimize(StepOver(stream)); });
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * (stream.size() / size)));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * stream.size()));
}

void CommandWatchScan(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  const std::vector<uint8_t> stream = Commands(size);
  packet::CommandWatch watch;
  for (auto _ : state) {
    const packet::CommandWatch::Seen seen = watch.Scan(stream);
    SALLYPORT_CHECK(seen.pass == stream.size());
  }
  ReportStream(state, stream, size);
}
BENCHMARK(CommandWatchScan)->Arg(128)->Arg(1400)->Arg(16384);

void AssemblerNext(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  std::vector<uint8_t> stream = Commands(size);
  packet::Assembler assembler(1 << 20);
  for (auto _ : state) {
    packet::MutableBytes in = stream;
    packet::MutableBytes packet;
    while (assembler.Next(&in, &packet) == packet::Assembler::Result::kPacket) {
      benchmark::DoNotOptimize(packet.data());
    }
  }
  ReportStream(state, stream, size);
}
BENCHMARK(AssemblerNext)->Arg(128)->Arg(1400)->Arg(16384);

void ReportCopy(benchmark::State& state, packet::Bytes bytes) {
  std::array<uint8_t, 512> copy;
  SALLYPORT_CHECK(bytes.size() <= copy.size());
  state.counters["limit_ns"] = NsPerCall([&] {
    std::memcpy(copy.data(), bytes.data(), bytes.size());
    benchmark::ClobberMemory();
  });
}

std::vector<uint8_t> GreetingPayload() {
  std::array<uint8_t, 256> room;
  packet::Writer writer(room);
  const std::array<uint8_t, packet::kNonceSize> nonce = {'n', 'o', 'n', 'c', 'e'};
  SALLYPORT_CHECK(writer.WriteInt1(10) && writer.WriteNulTerminated("8.0.36") &&
                  writer.WriteInt4(7) && writer.WriteBytes(packet::Bytes(nonce).first(8)) &&
                  writer.WriteZeros(1) && writer.WriteInt2(0xFFFF) && writer.WriteInt1(255) &&
                  writer.WriteInt2(2) && writer.WriteInt2(0xDFFF) && writer.WriteInt1(21) &&
                  writer.WriteZeros(10) && writer.WriteBytes(packet::Bytes(nonce).subspan(8)) &&
                  writer.WriteZeros(1) && writer.WriteNulTerminated("caching_sha2_password"));
  return {writer.written().begin(), writer.written().end()};
}

void GreetingInPlace(benchmark::State& state) {
  std::vector<uint8_t> payload = GreetingPayload();
  bool on = false;
  for (auto _ : state) {
    packet::Greeting greeting;
    SALLYPORT_CHECK(packet::ParseGreeting(payload, &greeting) == packet::Parse::kOk);
    packet::SetClientSsl(payload, on = !on);
    benchmark::DoNotOptimize(greeting);
  }
  ReportCopy(state, payload);
}
BENCHMARK(GreetingInPlace);

void HandshakeResponseInPlace(benchmark::State& state) {
  std::array<uint8_t, 256> room;
  packet::Writer writer(room);
  const std::array<uint8_t, 32> scramble{};
  SALLYPORT_CHECK(writer.WriteInt4(packet::CLIENT_PROTOCOL_41 | packet::CLIENT_SSL |
                                   packet::CLIENT_SECURE_CONNECTION | packet::CLIENT_PLUGIN_AUTH) &&
                  writer.WriteInt4(1 << 24) && writer.WriteInt1(45) && writer.WriteZeros(23) &&
                  writer.WriteNulTerminated("application") && writer.WriteInt1(32) &&
                  writer.WriteBytes(scramble) &&
                  writer.WriteNulTerminated("caching_sha2_password"));
  std::vector<uint8_t> payload(writer.written().begin(), writer.written().end());
  for (auto _ : state) {
    packet::HandshakeResponse response;
    SALLYPORT_CHECK(packet::ParseHandshakeResponse(payload, &response) == packet::Parse::kOk);
    packet::ClearClientSsl(payload);
    benchmark::DoNotOptimize(response);
  }
  ReportCopy(state, payload);
}
BENCHMARK(HandshakeResponseInPlace);

}  // namespace
}  // namespace sallyport::bench

BENCHMARK_MAIN();
