// The PROXY protocol's header, read and written. Source: HAProxy's proxy-protocol.txt.
#ifndef PROXY_PROXY_PROTOCOL_HEADER_H_
#define PROXY_PROXY_PROTOCOL_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "proxy/proxy_protocol/ip_address.h"

namespace sallyport {

// The longest header that is read. Addresses and the TLVs of clouds take under 300 bytes; a client
// certificate's names, and even a certificate, fit as well.
inline constexpr size_t kProxyHeaderSizeMax = 4096;

struct ProxyHeader {
  size_t size = 0;  // The connection's own bytes begin behind these.
  int version = 0;
  // Whether the sender tells a client's address: false for its own connections (LOCAL: health
  // checks), for UNKNOWN, and for families without IP addresses. The two below are unset then.
  bool has_addresses = false;
  IpEndpoint source;
  IpEndpoint destination;
};

// ReadProxyHeader reads the header at the front of `bytes` into `*out`. kNeedMore: what is there
// may be the front of one; never with kProxyHeaderSizeMax bytes. Unless kOk, `*out` is left alone.
enum class ProxyHeaderParse { kOk, kNeedMore, kMalformed };
ProxyHeaderParse ReadProxyHeader(std::span<const uint8_t> bytes, ProxyHeader* out);

// The longest header that is written: MariaDB reads no more.
inline constexpr size_t kProxyHeaderRoom = 256;

// What a header of version 2 tells of the client's TLS. What is empty is left out.
struct ProxyTls {
  std::string_view version = {};      // PP2_SUBTYPE_SSL_VERSION: "TLSv1.3"
  std::string_view cipher = {};       // PP2_SUBTYPE_SSL_CIPHER: as the standard names it.
  std::string_view common_name = {};  // PP2_SUBTYPE_SSL_CN, of its certificate.
  std::string_view server_name = {};  // PP2_TYPE_AUTHORITY: the SNI.
  bool certified = false;             // It has shown a certificate, which is good;
  bool resumed = false;               // maybe on the connection before this.
};

// WriteProxyHeader writes a header, and returns its size. An IPv4 address beside an IPv6 one is
// written as IPv6 maps it. version: 1 or 2. tls: null where the client has no TLS, or none yet;
// of it what doesn't fit into kProxyHeaderRoom is left out, its last first.
size_t WriteProxyHeader(int version, const IpEndpoint& source, const IpEndpoint& destination,
                        const ProxyTls* tls, std::span<uint8_t, kProxyHeaderRoom> out);
// WriteLocalProxyHeader says that the connection is the sender's own (LOCAL, or UNKNOWN).
size_t WriteLocalProxyHeader(int version, std::span<uint8_t, kProxyHeaderRoom> out);

}  // namespace sallyport

#endif  // PROXY_PROXY_PROTOCOL_HEADER_H_
