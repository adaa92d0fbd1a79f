#include "proxy/proxy_protocol/header.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/packet/bytes.h"

namespace sallyport {
namespace {

using packet::Buffer;
using packet::Bytes;
using packet::Exact;
using packet::Hex;
using packet::Join;
using Parse = ProxyHeaderParse;

const char kSignature[] = "0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a";

Buffer V2(std::string_view rest) { return Join({Hex(kSignature), Hex(rest)}); }

IpEndpoint At(std::string_view address, uint16_t port) {
  return {ParseIpAddress(address).value(), port};
}

Parse Read(Bytes bytes, ProxyHeader* out) { return ReadProxyHeader(Exact(bytes), out); }
Parse Read(Bytes bytes) {
  ProxyHeader header;
  return Read(bytes, &header);
}
Parse Read(std::string_view text) { return Read(packet::AsBytes(text)); }

// At each length the header is the front of one, and what follows it changes nothing.
ProxyHeader ReadAtEachLength(Bytes bytes) {
  ProxyHeader header;
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(Read(bytes.first(size), &header), Parse::kNeedMore) << size;
    EXPECT_EQ(header.size, 0u) << size;
  }
  EXPECT_EQ(Read(bytes, &header), Parse::kOk);
  EXPECT_EQ(header.size, bytes.size());
  for (const std::string_view behind : {"\r\n", "PROXY ", "\x0d\x0a\x0d\x0a"}) {
    ProxyHeader again;
    EXPECT_EQ(Read(Join({bytes, packet::AsBytes(behind)}), &again), Parse::kOk);
    EXPECT_EQ(again.size, bytes.size());
  }
  return header;
}

ProxyHeader ReadAtEachLength(std::string_view text) {
  return ReadAtEachLength(packet::AsBytes(text));
}

TEST(ProxyHeader, ReadsVersion1) {
  const ProxyHeader v4 = ReadAtEachLength("PROXY TCP4 192.0.2.1 198.51.100.2 56324 3306\r\n");
  EXPECT_EQ(v4.version, 1);
  EXPECT_TRUE(v4.has_addresses);
  EXPECT_EQ(v4.source, At("192.0.2.1", 56324));
  EXPECT_EQ(v4.destination, At("198.51.100.2", 3306));

  const ProxyHeader v6 = ReadAtEachLength("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n");
  EXPECT_EQ(v6.source, At("2001:db8::1", 0));
  EXPECT_EQ(v6.destination, At("::1", 65535));
}

TEST(ProxyHeader, ReadsVersion1sUnknown) {
  for (const char* text : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN whatever it is 1 2 3\r\n"}) {
    const ProxyHeader header = ReadAtEachLength(text);
    EXPECT_FALSE(header.has_addresses);
    EXPECT_EQ(header.version, 1);
  }
}

TEST(ProxyHeader, RefusesWhatIsNoVersion1) {
  for (const char* text : {
           "proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
           "PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n",
           "PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
           "PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1 -2\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1 \r\n",
           "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
           "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
           "PROXY TCP6 2001:db8::1 ::g 1 2\r\n",
           "PROXY \r\n",
           "PROXY\r\n",
           "GET / HTTP/1.0\r\n",
           "\r\n\r\nQUIT",
       }) {
    EXPECT_EQ(Read(text), Parse::kMalformed) << text;
  }
}

TEST(ProxyHeader, Version1EndsIn107Bytes) {
  const std::string line = "PROXY UNKNOWN " + std::string(200, 'x');
  EXPECT_EQ(Read(line.substr(0, 106)), Parse::kNeedMore);
  EXPECT_EQ(Read(line.substr(0, 107)), Parse::kMalformed);
  EXPECT_EQ(ReadAtEachLength(line.substr(0, 105) + "\r\n").size, 107u);
  EXPECT_EQ(Read(line.substr(0, 106) + "\r\n"), Parse::kMalformed);
}

TEST(ProxyHeader, ReadsVersion2) {
  const ProxyHeader v4 =
      ReadAtEachLength(V2("21 11 00 0c  c0 00 02 01  c6 33 64 02  dc 04  0c ea"));
  EXPECT_EQ(v4.version, 2);
  EXPECT_TRUE(v4.has_addresses);
  EXPECT_EQ(v4.source, At("192.0.2.1", 56324));
  EXPECT_EQ(v4.destination, At("198.51.100.2", 3306));

  const ProxyHeader v6 =
      ReadAtEachLength(V2("21 21 00 24  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01"
                          "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01  00 01  ff ff"));
  EXPECT_EQ(v6.source, At("2001:db8::1", 1));
  EXPECT_EQ(v6.destination, At("::1", 65535));
}

TEST(ProxyHeader, SkipsWhatFollowsTheAddresses) {
  const ProxyHeader header = ReadAtEachLength(
      V2("21 11 00 13  c0 00 02 01  c6 33 64 02  dc 04  0c ea  02 00 04 61 62 63 64"));
  EXPECT_EQ(header.source, At("192.0.2.1", 56324));
}

TEST(ProxyHeader, HonoursLocalAndFamiliesWithoutAddresses) {
  for (const char* rest :
       {"20 00 00 00", "20 11 00 0c c0 00 02 01 c6 33 64 02 dc 04 0c ea", "20 11 00 00",
        "21 00 00 00", "21 00 00 03 04 00 00", "21 12 00 00", "21 31 00 02 2f 61"}) {
    EXPECT_FALSE(ReadAtEachLength(V2(rest)).has_addresses) << rest;
  }
}

TEST(ProxyHeader, RefusesWhatIsNoVersion2) {
  for (const char* rest : {"11", "22", "01", "21 41 00 00", "21 13 00 00",
                           // Shorter than its addresses: told before they have come.
                           "21 11 00 0b", "21 21 00 23"}) {
    EXPECT_EQ(Read(V2(rest)), Parse::kMalformed) << rest;
  }
}

TEST(ProxyHeader, RefusesASignatureAtItsFirstWrongByte) {
  const Buffer signature = Hex(kSignature);
  for (size_t i = 0; i < signature.size(); ++i) {
    Buffer wrong = signature;
    wrong[i] ^= 0x40;
    EXPECT_EQ(Read(Bytes(wrong).first(i + 1)), Parse::kMalformed) << i;
  }
}

TEST(ProxyHeader, RefusesALongHeaderBeforeItComes) {
  EXPECT_EQ(Read(V2("21 11 0f f1")), Parse::kMalformed);
  EXPECT_EQ(Read(V2("20 00 ff ff")), Parse::kMalformed);
  EXPECT_EQ(Read(V2("21 11 0f f0")), Parse::kNeedMore);
  Buffer longest = Join({V2("21 11 0f f0"), Buffer(kProxyHeaderSizeMax - 16)});
  ProxyHeader header;
  EXPECT_EQ(Read(longest, &header), Parse::kOk);
  EXPECT_EQ(header.size, kProxyHeaderSizeMax);
}

TEST(ProxyHeader, IsReadAsItWasWritten) {
  const std::vector<std::pair<IpEndpoint, IpEndpoint>> pairs = {
      {At("192.0.2.1", 1), At("198.51.100.2", 65535)},
      {At("2001:db8::1", 3306), At("::1", 0)},
      {At("255.255.255.255", 65535), At("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 65535)},
      {At("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
       At("2001:db8:ffff:ffff:ffff:ffff:ffff:fffe", 65535)},
  };
  for (const int version : {1, 2}) {
    for (const auto& [source, destination] : pairs) {
      std::array<uint8_t, kProxyHeaderRoom> room;
      const size_t size = WriteProxyHeader(version, source, destination, nullptr, room);
      ASSERT_LE(size, room.size());
      const ProxyHeader header = ReadAtEachLength(Bytes(room).first(size));
      EXPECT_EQ(header.version, version);
      EXPECT_EQ(header.source, source);
      EXPECT_EQ(header.destination, destination);
    }
  }
}

TEST(ProxyHeader, WritesTheBytesOfTheSpecification) {
  std::array<uint8_t, kProxyHeaderRoom> room;
  size_t size =
      WriteProxyHeader(2, At("192.0.2.1", 56324), At("198.51.100.2", 3306), nullptr, room);
  EXPECT_EQ(Exact(Bytes(room).first(size)),
            V2("21 11 00 0c  c0 00 02 01  c6 33 64 02  dc 04  0c ea"));
  size = WriteProxyHeader(1, At("192.0.2.1", 56324), At("198.51.100.2", 3306), nullptr, room);
  EXPECT_EQ(packet::AsText(Bytes(room).first(size)),
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324 3306\r\n");
  size = WriteLocalProxyHeader(2, room);
  EXPECT_EQ(Exact(Bytes(room).first(size)), V2("20 00 00 00"));
  size = WriteLocalProxyHeader(1, room);
  EXPECT_EQ(packet::AsText(Bytes(room).first(size)), "PROXY UNKNOWN\r\n");
}

// The bytes behind the addresses of a version 2 header from an IPv4 client.
Buffer TlvsOf(const ProxyTls& tls) {
  std::array<uint8_t, kProxyHeaderRoom> room;
  const size_t size = WriteProxyHeader(2, At("192.0.2.1", 1), At("198.51.100.2", 2), &tls, room);
  EXPECT_EQ(ReadAtEachLength(Bytes(room).first(size)).source, At("192.0.2.1", 1));
  return Exact(Bytes(room).first(size).subspan(28));
}

TEST(ProxyHeader, TellsOfTls) {
  EXPECT_EQ(TlvsOf({}), Hex("20 00 05  01 00 00 00 01"));
  EXPECT_EQ(
      TlvsOf({.version = "TLSv1.3", .cipher = "AES", .server_name = "a.b"}),
      Join({Hex("20 00 15  01 00 00 00 01  21 00 07"), packet::AsBytes("TLSv1.3"), Hex("23 00 03"),
            packet::AsBytes("AES"), Hex("02 00 03"), packet::AsBytes("a.b")}));
  EXPECT_EQ(TlvsOf({.common_name = "me", .certified = true}),
            Join({Hex("20 00 0a  07 00 00 00 00  22 00 02"), packet::AsBytes("me")}));
  EXPECT_EQ(TlvsOf({.certified = true, .resumed = true}), Hex("20 00 05  05 00 00 00 00"));
}

// MariaDB closes a connection whose header is longer.
TEST(ProxyHeader, LeavesOutWhatHasNoRoom) {
  const std::string name(216, 'n');
  const size_t room = kProxyHeaderRoom - 28 - 3 - 5;
  EXPECT_EQ(TlvsOf({.server_name = name}).size(), 8 + 3 + name.size());
  EXPECT_EQ(TlvsOf({.common_name = std::string(room - 3, 'c'), .certified = true}).size(),
            kProxyHeaderRoom - 28);
  EXPECT_EQ(TlvsOf({.common_name = std::string(room - 2, 'c'), .certified = true}),
            Hex("20 00 05  07 00 00 00 00"));
  EXPECT_EQ(TlvsOf({.cipher = "AES", .server_name = name}).size(), 14u);
}

}  // namespace
}  // namespace sallyport
