#include "proxy/proxy_protocol/header.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport {
namespace {

using Bytes = std::span<const uint8_t>;
using Parse = ProxyHeaderParse;

constexpr std::array<uint8_t, 12> kV2Signature = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                  0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
constexpr size_t kV2FixedSize = 16;
constexpr uint8_t kV2Local = 0x20;
constexpr uint8_t kV2Proxy = 0x21;
constexpr uint8_t kV2Tcp4 = 0x11;
constexpr uint8_t kV2Tcp6 = 0x21;
constexpr size_t kV2Tcp4Size = 2 * (4 + 2);
constexpr size_t kV2Tcp6Size = 2 * (16 + 2);

constexpr size_t kTlvFixedSize = 3;  // Type, and length in two bytes.
constexpr uint8_t kTypeAuthority = 0x02;
constexpr uint8_t kTypeSsl = 0x20;
constexpr uint8_t kSubtypeSslVersion = 0x21;
constexpr uint8_t kSubtypeSslCommonName = 0x22;
constexpr uint8_t kSubtypeSslCipher = 0x23;
constexpr uint8_t kClientSsl = 0x01;
constexpr uint8_t kClientCertConn = 0x02;
constexpr uint8_t kClientCertSess = 0x04;

constexpr std::string_view kV1Begin = "PROXY ";
constexpr std::string_view kV1End = "\r\n";
constexpr size_t kV1SizeMax = 107;
constexpr std::string_view kV1Unknown = "PROXY UNKNOWN\r\n";

std::string_view Text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool BeginsAlike(Bytes bytes, Bytes pattern) {
  const size_t size = std::min(bytes.size(), pattern.size());
  return std::equal(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size), pattern.begin());
}

// --- Version 1.

// Word takes what is before the next space, or the rest.
std::string_view Word(std::string_view* line) {
  const size_t space = line->find(' ');
  const std::string_view word = line->substr(0, space);
  line->remove_prefix(space == line->npos ? line->size() : space + 1);
  return word;
}

std::optional<uint16_t> ReadPort(std::string_view text) {
  constexpr size_t kDigitsMax = 5;
  if (text.empty() || text.size() > kDigitsMax || (text.size() > 1 && text[0] == '0')) return {};
  uint32_t port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  if (port > UINT16_MAX) return {};
  return static_cast<uint16_t>(port);
}

// "192.0.2.1 198.51.100.1 1000 3306"
bool ReadV1Addresses(std::string_view line, bool v4, ProxyHeader* header) {
  if (std::count(line.begin(), line.end(), ' ') != 3) return false;
  for (IpEndpoint* end : {&header->source, &header->destination}) {
    const std::string_view word = Word(&line);
    const std::optional<IpAddress> address = ParseIpAddress(word);
    if (!address.has_value() || v4 != (word.find(':') == word.npos)) return false;
    end->address = *address;
  }
  for (IpEndpoint* end : {&header->source, &header->destination}) {
    const std::optional<uint16_t> port = ReadPort(Word(&line));
    if (!port.has_value()) return false;
    end->port = *port;
  }
  return true;
}

Parse ReadV1(Bytes bytes, ProxyHeader* out) {
  const std::string_view text = Text(bytes.first(std::min(bytes.size(), kV1SizeMax)));
  const size_t end = text.find(kV1End);
  if (end == text.npos) return text.size() < kV1SizeMax ? Parse::kNeedMore : Parse::kMalformed;
  ProxyHeader header;
  header.version = 1;
  header.size = end + kV1End.size();
  std::string_view line = text.substr(kV1Begin.size(), end - kV1Begin.size());
  const std::string_view family = Word(&line);
  if (family == "TCP4" || family == "TCP6") {
    if (!ReadV1Addresses(line, family == "TCP4", &header)) return Parse::kMalformed;
    header.has_addresses = true;
  } else if (family != "UNKNOWN") {
    return Parse::kMalformed;
  }
  *out = header;
  return Parse::kOk;
}

// --- Version 2. REQUIRES of all: the bytes are there.

uint16_t Int2(Bytes bytes) { return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]); }

void ReadV2Addresses(Bytes bytes, bool v4, ProxyHeader* header) {
  const size_t size = v4 ? 4 : 16;
  for (IpEndpoint* end : {&header->source, &header->destination}) {
    if (v4) {
      end->address = IpAddress::FromV4(bytes.first<4>());
    } else {
      std::copy_n(bytes.begin(), size, end->address.bytes.begin());
    }
    bytes = bytes.subspan(size);
  }
  header->source.port = Int2(bytes);
  header->destination.port = Int2(bytes.subspan(2));
  header->has_addresses = true;
}

Parse ReadV2(Bytes bytes, ProxyHeader* out) {
  if (bytes.size() > 12 && bytes[12] != kV2Local && bytes[12] != kV2Proxy) {
    return Parse::kMalformed;
  }
  if (bytes.size() < kV2FixedSize) return Parse::kNeedMore;
  const bool proxied = bytes[12] == kV2Proxy;
  const uint8_t family = bytes[13];
  constexpr uint8_t kFamilyMax = 3;     // AF_UNIX.
  constexpr uint8_t kTransportMax = 2;  // DGRAM.
  if (family >> 4 > kFamilyMax || (family & 0x0F) > kTransportMax) return Parse::kMalformed;
  ProxyHeader header;
  header.version = 2;
  header.size = kV2FixedSize + Int2(bytes.subspan(14));
  if (header.size > kProxyHeaderSizeMax) return Parse::kMalformed;
  const size_t addresses = !proxied            ? 0
                           : family == kV2Tcp4 ? kV2Tcp4Size
                           : family == kV2Tcp6 ? kV2Tcp6Size
                                               : 0;
  if (header.size < kV2FixedSize + addresses) return Parse::kMalformed;
  if (bytes.size() < header.size) return Parse::kNeedMore;
  if (addresses > 0) {
    ReadV2Addresses(bytes.subspan(kV2FixedSize, addresses), family == kV2Tcp4, &header);
  }
  *out = header;
  return Parse::kOk;
}

// --- Writing.

size_t Put(std::string_view text, std::span<uint8_t, kProxyHeaderRoom> out) {
  std::copy(text.begin(), text.end(), out.begin());
  return text.size();
}

// As IPv6 writes it: an IPv4 address beside an IPv6 one.
std::string V6Text(const IpAddress& address) {
  return (address.is_v4() ? "::ffff:" : "") + address.ToString();
}

size_t WriteV1(const IpEndpoint& source, const IpEndpoint& destination, bool v4,
               std::span<uint8_t, kProxyHeaderRoom> out) {
  const std::string addresses =
      v4 ? "TCP4 " + source.address.ToString() + " " + destination.address.ToString()
         : "TCP6 " + V6Text(source.address) + " " + V6Text(destination.address);
  return Put(std::string(kV1Begin) + addresses + " " + std::to_string(source.port) + " " +
                 std::to_string(destination.port) + std::string(kV1End),
             out);
}

uint8_t* PutInt2(size_t value, uint8_t* at) {
  *at++ = static_cast<uint8_t>(value >> 8);
  *at++ = static_cast<uint8_t>(value);
  return at;
}

uint8_t* PutV2Fixed(uint8_t command, uint8_t family, size_t size, uint8_t* at) {
  at = std::copy(kV2Signature.begin(), kV2Signature.end(), at);
  *at++ = command;
  *at++ = family;
  return PutInt2(size, at);
}

// Appends a TLV where there is room for it.
void Append(uint8_t type, std::string_view value, size_t room, std::string* to) {
  if (value.empty() || to->size() + kTlvFixedSize + value.size() > room) return;
  *to += static_cast<char>(type);
  *to += static_cast<char>(value.size() >> 8);
  *to += static_cast<char>(value.size());
  *to += value;
}

// PP2_TYPE_SSL has "client", "verify" (0 is good), and the parts that there is room for.
std::string TlvsOf(const ProxyTls& tls, size_t room) {
  int client = kClientSsl;
  if (tls.certified) client |= kClientCertSess | (tls.resumed ? 0 : kClientCertConn);
  std::string ssl(1, static_cast<char>(client));
  ssl += tls.certified ? std::string_view("\0\0\0\0", 4) : std::string_view("\0\0\0\1", 4);
  const size_t ssl_room = room - kTlvFixedSize;
  Append(kSubtypeSslVersion, tls.version, ssl_room, &ssl);
  Append(kSubtypeSslCipher, tls.cipher, ssl_room, &ssl);
  Append(kSubtypeSslCommonName, tls.common_name, ssl_room, &ssl);
  std::string tlvs;
  Append(kTypeSsl, ssl, room, &tlvs);
  Append(kTypeAuthority, tls.server_name, room, &tlvs);
  return tlvs;
}

size_t WriteV2(const IpEndpoint& source, const IpEndpoint& destination, const ProxyTls* tls,
               bool v4, uint8_t* out) {
  const size_t addresses = v4 ? kV2Tcp4Size : kV2Tcp6Size;
  std::string tlvs;
  if (tls != nullptr) tlvs = TlvsOf(*tls, kProxyHeaderRoom - kV2FixedSize - addresses);
  uint8_t* at = PutV2Fixed(kV2Proxy, v4 ? kV2Tcp4 : kV2Tcp6, addresses + tlvs.size(), out);
  for (const IpEndpoint* end : {&source, &destination}) {
    const Bytes address = v4 ? Bytes(end->address.v4()) : Bytes(end->address.bytes);
    at = std::copy(address.begin(), address.end(), at);
  }
  at = PutInt2(source.port, at);
  at = PutInt2(destination.port, at);
  at = std::copy(tlvs.begin(), tlvs.end(), at);
  return static_cast<size_t>(at - out);
}

}  // namespace

ProxyHeaderParse ReadProxyHeader(std::span<const uint8_t> bytes, ProxyHeader* out) {
  if (BeginsAlike(bytes, kV2Signature)) {
    return bytes.size() < kV2Signature.size() ? Parse::kNeedMore : ReadV2(bytes, out);
  }
  const Bytes begin(reinterpret_cast<const uint8_t*>(kV1Begin.data()), kV1Begin.size());
  if (!BeginsAlike(bytes, begin)) return Parse::kMalformed;
  return bytes.size() < begin.size() ? Parse::kNeedMore : ReadV1(bytes, out);
}

size_t WriteProxyHeader(int version, const IpEndpoint& source, const IpEndpoint& destination,
                        const ProxyTls* tls, std::span<uint8_t, kProxyHeaderRoom> out) {
  const bool v4 = source.address.is_v4() && destination.address.is_v4();
  return version == 1 ? WriteV1(source, destination, v4, out)
                      : WriteV2(source, destination, tls, v4, out.data());
}

size_t WriteLocalProxyHeader(int version, std::span<uint8_t, kProxyHeaderRoom> out) {
  if (version == 1) return Put(kV1Unknown, out);
  return static_cast<size_t>(PutV2Fixed(kV2Local, 0, 0, out.data()) - out.data());
}

}  // namespace sallyport
