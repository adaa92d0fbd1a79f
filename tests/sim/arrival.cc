#include "tests/sim/arrival.h"

#include <sys/un.h>

#include <array>

#include "proxy/admission.h"
#include "tests/session/packets.h"
#include "tests/sim/failure.h"

namespace sallyport::sim {
namespace {

using Kind = Arrival::Kind;

const std::string kSignature = {"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr char kLocalCommand = '\x20';
constexpr char kProxyCommand = '\x21';
constexpr char kTcp4 = '\x11';
constexpr char kTcp6 = '\x21';

IpAddress Of(std::string_view text) {
  const std::optional<IpAddress> address = ParseIpAddress(text);
  Require(address.has_value(), "an address of the simulator's own");
  return *address;
}

std::string Int2(size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xFF)};
}

std::string Tlv(uint8_t type, std::string_view value) {
  return static_cast<char>(type) + Int2(value.size()) + std::string(value);
}

// --- The two versions. Source and destination are of one family.

std::string Version1(const IpEndpoint& source, const IpEndpoint& destination) {
  return std::string(source.address.is_v4() ? "PROXY TCP4 " : "PROXY TCP6 ") +
         source.address.ToString() + " " + destination.address.ToString() + " " +
         std::to_string(source.port) + " " + std::to_string(destination.port) + "\r\n";
}

std::string Version2(char command, char family, std::string_view rest) {
  return kSignature + command + family + Int2(rest.size()) + std::string(rest);
}

std::string AddressBytes(const IpAddress& address) {
  const char* const bytes = reinterpret_cast<const char*>(address.bytes.data());
  return address.is_v4() ? std::string(bytes + 12, 4) : std::string(bytes, 16);
}

std::string Version2(const IpEndpoint& source, const IpEndpoint& destination,
                     std::string_view tlvs) {
  return Version2(kProxyCommand, source.address.is_v4() ? kTcp4 : kTcp6,
                  AddressBytes(source.address) + AddressBytes(destination.address) +
                      Int2(source.port) + Int2(destination.port) + std::string(tlvs));
}

// --- What a load balancer sends.

std::string DrawTlvs(Dice& dice) {
  std::string tlvs;
  for (size_t left = dice.Below(3); left > 0; --left) {
    const size_t size = dice.Size(dice.OneIn(4) ? 1200 : 60);
    tlvs += Tlv(static_cast<uint8_t>(dice.Next()), Pattern(dice.Next(), size));
  }
  return tlvs;
}

std::string GoodHeader(Dice& dice, const Arrival& arrival) {
  if (dice.OneIn(2)) return Version1(*arrival.known, arrival.destination);
  return Version2(*arrival.known, arrival.destination, DrawTlvs(dice));
}

std::string NamelessHeader(Dice& dice) {
  switch (dice.Below(4)) {
    case 0:
      return "PROXY UNKNOWN\r\n";
    case 1:
      return "PROXY UNKNOWN 192.0.2.9 192.0.2.8 7 8\r\n";
    case 2:  // Not IP's family.
      return Version2(kProxyCommand, static_cast<char>(dice.OneIn(2) ? 0x00 : 0x31),
                      DrawTlvs(dice));
    default:
      return Version2(kLocalCommand, 0, DrawTlvs(dice));
  }
}

// No front of any header.
std::string BadHeader(Dice& dice, const Arrival& arrival) {
  std::string text = Version1(*arrival.known, arrival.destination);
  std::string binary = Version2(*arrival.known, arrival.destination, "");
  switch (dice.Below(8)) {
    case 0:
      text[9] = '5';  // TCP5
      return text;
    case 1:
      return "PROXY TCP4 192.0.2.1 192.0.2.2 65536 1\r\n";
    case 2:
      return "PROXY TCP4 192.0.2.1 " + std::string(100, '1');
    case 3:
      return "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n";
    case 4:
      return tests::Packet(1, tests::Login{.auth_response = "", .user = "u0"}.payload());
    case 5:
      binary[12] = '\x31';  // The version after this.
      return binary;
    case 6:
      binary[14] = '\x7F';  // A length beyond any reason.
      return binary;
    default:
      return Version2(kProxyCommand, kTcp4, "11 bytes of");
  }
}

constexpr size_t kSourcesMax = 3;  // Of each family.

// Direct clients, those behind the load balancer, then that itself.
const std::array<IpAddress, 2 * kSourcesMax + 2>& Everybody() {
  static const std::array<IpAddress, 2 * kSourcesMax + 2> addresses = {
      Of("203.0.113.7"),   Of("192.0.2.1"),     Of("192.0.2.2"),     Of("192.0.2.3"),
      Of("2001:db8:1::1"), Of("2001:db8:2::1"), Of("2001:db8:3::1"), Of("10.0.0.1")};
  return addresses;
}

}  // namespace

std::span<const IpAddress> ClientAddresses() { return Everybody(); }

Arrival DrawArrival(Host* host, size_t number) {
  Dice& dice = host->dice;
  const Options& options = host->options;
  const auto port = static_cast<uint16_t>(1024 + number);
  Arrival arrival;
  arrival.peer = arrival.known = IpEndpoint{Everybody().front(), port};
  arrival.own = arrival.destination = {Of("198.51.100.1"), 6033};
  if (options.unix_clients && dice.OneIn(3)) {
    arrival.kind = Kind::kUnixSocket;
    arrival.peer = arrival.known = std::nullopt;
    return arrival;
  }
  if (!options.behind_balancer || dice.OneIn(4)) return arrival;
  arrival.peer = arrival.known = IpEndpoint{Everybody().back(), port};
  if (dice.OneIn(6)) {
    arrival.kind = Kind::kLocal;
    arrival.header = NamelessHeader(dice);
    return arrival;
  }
  const bool v6 = dice.OneIn(3);
  arrival.known = {Everybody()[1 + dice.Below(kSourcesMax) + (v6 ? kSourcesMax : 0)],
                   static_cast<uint16_t>(dice.Next())};
  arrival.destination = {Of(v6 ? "2001:db8:ffff::2" : "192.0.2.99"),
                         static_cast<uint16_t>(dice.Next())};
  arrival.kind = dice.OneIn(10)   ? Kind::kBadHeader
                 : dice.OneIn(20) ? Kind::kNoHeader
                                  : Kind::kHeader;
  if (arrival.kind == Kind::kBadHeader) {
    arrival.header = BadHeader(dice, arrival) + Pattern(dice.Next(), dice.Below(100));
    return arrival;
  }
  arrival.header = GoodHeader(dice, arrival);
  if (arrival.kind == Kind::kNoHeader) {
    arrival.header.resize(dice.OneIn(2) ? 0 : dice.Below(arrival.header.size()));
  }
  return arrival;
}

std::string ServerHeader(int version, const Arrival& arrival, const TlsWords& tls) {
  if (!arrival.known.has_value()) {
    return version == 1 ? "PROXY UNKNOWN\r\n" : Version2(kLocalCommand, 0, "");
  }
  if (version == 1) return Version1(*arrival.known, arrival.destination);
  std::string tlvs;
  if (!tls.version.empty()) {
    // PP2_TYPE_SSL: PP2_CLIENT_SSL, and that there is no certificate; version and cipher.
    tlvs = Tlv(0x20,
               std::string("\x01\0\0\0\x01", 5) + Tlv(0x21, tls.version) + Tlv(0x23, tls.cipher));
  }
  return Version2(*arrival.known, arrival.destination, tlvs);
}

Address SocketAddress(const std::optional<IpEndpoint>& endpoint) {
  if (!endpoint.has_value()) {
    sockaddr_un unix_address{};
    unix_address.sun_family = AF_UNIX;
    return Address(reinterpret_cast<const sockaddr*>(&unix_address), sizeof(sa_family_t));
  }
  return ToAddress(*endpoint);
}

}  // namespace sallyport::sim
