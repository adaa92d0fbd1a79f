// Connection's first and last dealings with addresses: the PROXY header of a load balancer, the one
// for the server, and what the client's address may have.
#include <algorithm>
#include <array>
#include <string>

#include "proxy/connection.h"
#include "proxy/limits.h"
#include "proxy/proxy_protocol/header.h"

namespace sallyport {

using Answer = AddressLimiter::Answer;

// --- The header in front of the client's bytes.

void Connection::TakeHeader(std::span<uint8_t> bytes) {
  if (session_.closed()) return Settle();
  const size_t before = deferred_.size();
  const size_t wanted = std::min(bytes.size(), kProxyHeaderSizeMax - before);
  deferred_.insert(deferred_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(wanted));
  ProxyHeader header;
  switch (ReadProxyHeader(deferred_, &header)) {
    case ProxyHeaderParse::kNeedMore:
      return Settle();
    case ProxyHeaderParse::kMalformed:
      return RefuseArrival(CloseReason::kBadProxyHeader, nullptr);
    case ProxyHeaderParse::kOk:
      break;
  }
  deferred_ = {};
  visitor_.header_due = false;
  if (!OnHeader(header)) return;
  Begin();
  // A client says nothing before the greeting; what one says all the same is the session's affair.
  const std::span<uint8_t> rest = bytes.subspan(header.size - before);
  if (rest.empty()) return Settle();
  Deliver(Side::kClient, rest);
}

// False: the client that the header names may not come in.
bool Connection::OnHeader(const ProxyHeader& header) {
  if (!header.has_addresses) return true;  // The load balancer's own, which nothing limits.
  visitor_.via = visitor_.address;
  visitor_.address = ToAddress(header.source);
  visitor_.destination = header.destination;
  client_text_ = visitor_.address.ToString();
  const Answer answer = Admit(service(), ring().now_ms(), bench_->stats, &visitor_);
  if (answer == Answer::kWelcome) return true;
  std::string message;
  const packet::Error error = RefusalError(answer, visitor_.address, &message);
  bench_->stats->connections_refused.At(RefusalOf(answer)).Add();
  RefuseArrival(CloseReason::kAddressRefused, &error);
  return false;
}

// Ends what has no server yet. error: null where nothing is to be said.
void Connection::RefuseArrival(CloseReason reason, const packet::Error* error) {
  if (reason == CloseReason::kBadProxyHeader) bench_->stats->proxy_headers_bad.Add();
  deferred_ = {};
  session_.ServerAbsent();
  if (error != nullptr) {
    session_.Refuse(reason, *error, &bench_->outboxes);
  } else {
    session_.Close(reason, &bench_->outboxes);
  }
  SendOutboxes(false);
  Settle();
}

// --- The header for the server: its first bytes, before its greeting is read, hence before the
// client's TLS, unless the proxy greets.

namespace {

ProxyTls TlsOf(const SessionSummary& summary) {
  ProxyTls tls;
  tls.version = summary.tls.version;
  tls.cipher = summary.tls.cipher;
  tls.server_name = summary.sni;
  tls.resumed = summary.tls.resumed;
  if (summary.tls.client_certificate.has_value()) {
    tls.certified = true;
    tls.common_name = summary.tls.client_certificate->common_name;
  }
  return tls;
}

}  // namespace

void Connection::SendProxyHeader() {
  const int version = service().proxy_protocol_out;
  if (version == 0) return;
  const std::optional<IpEndpoint> source = ToEndpoint(visitor_.address);
  const std::optional<IpEndpoint>& destination = visitor_.destination;
  const ProxyTls tls = TlsOf(session_.summary());
  const ProxyTls* known = session_.summary().tls_used ? &tls : nullptr;
  std::array<uint8_t, kProxyHeaderRoom> room;
  const size_t size = source.has_value() && destination.has_value()
                          ? WriteProxyHeader(version, *source, *destination, known, room)
                          : WriteLocalProxyHeader(version, room);
  bench_->outboxes[Side::kServer].AddCopy(std::span(room).first(size));
  SendOutboxes(false);
}

// --- Limits of the client's address.

// Before bytes that may hold an SSLRequest are worked on.
void Connection::AskForHandshake() {
  if (!visitor_.counted || service().address_limits.handshakes_per_second == 0) return;
  if (session_.phase() > Phase::kClientReply) return;
  session_.set_tls_refused(
      !service().limiter->MayHandshake(visitor_.key, service().address_limits, ring().now_ms()));
}

void Connection::CountForAddress() {
  if (!visitor_.counted) return;
  const SessionSummary& summary = session_.summary();
  const AddressLimits& limits = service().address_limits;
  if (summary.tls_used && !address_handshake_counted_) {
    address_handshake_counted_ = true;
    service().limiter->CountHandshake(visitor_.key, limits, ring().now_ms());
  }
  if (session_.reason() == CloseReason::kAddressRefused && !address_handshake_counted_) {
    address_handshake_counted_ = true;
    bench_->stats->connections_refused.At(Refusal::kAddressHandshakes).Add();
  }
  for (; address_failures_ < summary.passwords_denied; ++address_failures_) {
    if (service().limiter->CountLoginFailure(visitor_.key, limits, ring().now_ms())) {
      bench_->stats->addresses_blocked.Add();
    }
  }
}

}  // namespace sallyport
