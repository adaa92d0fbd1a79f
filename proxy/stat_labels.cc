#include "proxy/stat_labels.h"

#include <array>

namespace sallyport {
namespace {

constexpr std::string_view kOther = "other";

struct Cipher {
  std::string_view name;
  std::string_view version;
};

// All that tls/settings.cc lets a client have, and TLS 1.3's own.
constexpr std::array<Cipher, HandshakeLabels::kCiphers + 1> kCipherTable = {{
    {"TLS_AES_128_GCM_SHA256", "TLSv1.3"},
    {"TLS_AES_256_GCM_SHA384", "TLSv1.3"},
    {"TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLSv1.2"},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLSv1.2"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLSv1.2"},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLSv1.2"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLSv1.2"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "TLSv1.2"},
    {kOther, kOther},
}};

struct Failure {
  std::string_view part;     // Of the library's words,
  std::string_view or_part;  // or this.
  std::string_view reason;
};

// The first that fits. What the client said comes before what it was said about.
constexpr std::array<Failure, TlsFailureLabels::kCount> kFailures = {{
    {"ALERT", "ALERT", "alert_from_client"},
    {"VERSION", "UNSUPPORTED_PROTOCOL", "version"},
    {"NO_SHARED_CIPHER", "NO_CIPHERS", "cipher"},
    {"NO_SHARED_GROUP", "CURVE", "group"},
    {"CERTIFICATE", "CERT_", "client_certificate"},
    {"", "", kOther},
}};

constexpr std::array<std::string_view, RefusalLabels::kCount> kRefusals = {
    "max_connections",
    "listener_max_connections",
    "max_connections_per_address",
    "connections_per_second_per_address",
    "handshakes_per_second_per_address",
    "address_blocked",
    "client_gone"};
constexpr std::array<std::string_view, LoginLabels::kOutcomes> kOutcomeTexts = {
    "accepted", "refused_by_server", "refused_here", "unfinished"};
constexpr std::array<std::string_view, BytesLabels::kWays> kWayTexts = {"copied", "spliced", "tls"};

}  // namespace

std::string_view ToText(Refusal refusal) { return kRefusals[RefusalLabels::IndexOf(refusal)]; }

Labels RefusalLabels::LabelsOf(size_t index) { return {{"reason", kRefusals[index]}}; }

Labels CloseReasonLabels::LabelsOf(size_t index) {
  return {{"reason", ToText(static_cast<CloseReason>(index))}};
}

size_t HandshakeLabels::IndexOf(std::string_view cipher, bool resumed) {
  size_t index = 0;
  while (index < kCiphers && kCipherTable[index].name != cipher) ++index;
  return 2 * index + (resumed ? 1 : 0);
}

Labels HandshakeLabels::LabelsOf(size_t index) {
  const Cipher& cipher = kCipherTable[index / 2];
  return {{"version", cipher.version},
          {"cipher", cipher.name},
          {"resumed", index % 2 == 0 ? "no" : "yes"}};
}

size_t TlsFailureLabels::IndexOf(std::string_view error) {
  const auto has = [&](std::string_view part) { return error.find(part) != error.npos; };
  size_t index = 0;
  while (!has(kFailures[index].part) && !has(kFailures[index].or_part)) ++index;
  return index;
}

Labels TlsFailureLabels::LabelsOf(size_t index) { return {{"reason", kFailures[index].reason}}; }

size_t LoginLabels::IndexOf(std::string_view plugin, LoginOutcome outcome) {
  return packet::PluginIndex(plugin) * kOutcomes + static_cast<size_t>(outcome);
}

Labels LoginLabels::LabelsOf(size_t index) {
  const std::string_view plugin = packet::PluginName(index / kOutcomes);
  return {{"plugin", plugin.empty() ? kOther : plugin},
          {"outcome", kOutcomeTexts[index % kOutcomes]}};
}

Labels BytesLabels::LabelsOf(size_t index) {
  return {{"side", index / kWays == 0 ? "client" : "server"}, {"way", kWayTexts[index % kWays]}};
}

}  // namespace sallyport
