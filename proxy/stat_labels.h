// The labels of metrics: fixed sets, so that nothing a peer says makes a series of its own. Each
// set has kCount places; IndexOf is where something is counted, LabelsOf what that place is called.
#ifndef PROXY_STAT_LABELS_H_
#define PROXY_STAT_LABELS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "packet/auth.h"
#include "proxy/session/close_reason.h"
#include "proxy/side.h"

namespace sallyport {

using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

// Why a connection was turned away before it began.
enum class Refusal : uint8_t {
  kMaxConnections,
  kListenerMaxConnections,
  kAddressConnections,
  kAddressRate,
  kAddressHandshakes,
  kAddressBlocked,
  kClientGone,  // Before anybody could ask for its address, where that decides.
};
std::string_view ToText(Refusal refusal);
struct RefusalLabels {
  static constexpr size_t kCount = 7;
  static size_t IndexOf(Refusal refusal) { return static_cast<size_t>(refusal); }
  static Labels LabelsOf(size_t index);
};

struct CloseReasonLabels {
#define SALLYPORT_EACH(name, text) CloseReason::name,
  static constexpr size_t kCount =
      std::initializer_list<CloseReason>{SALLYPORT_CLOSE_REASONS(SALLYPORT_EACH)}.size();
#undef SALLYPORT_EACH
  static size_t IndexOf(CloseReason reason) { return static_cast<size_t>(reason); }
  static Labels LabelsOf(size_t index);
};

// version, cipher, resumed. A cipher has one version.
struct HandshakeLabels {
  static constexpr size_t kCiphers = 9;
  static constexpr size_t kCount = 2 * (kCiphers + 1);
  // cipher: by its standard name (tls::Parameters).
  static size_t IndexOf(std::string_view cipher, bool resumed);
  static Labels LabelsOf(size_t index);
};

// What kind of failure tls::Engine::error names.
struct TlsFailureLabels {
  static constexpr size_t kCount = 6;
  static size_t IndexOf(std::string_view error);
  static Labels LabelsOf(size_t index);
};

enum class LoginOutcome : uint8_t { kAccepted, kRefusedByServer, kRefusedHere, kUnfinished };
// plugin, outcome.
struct LoginLabels {
  static constexpr size_t kOutcomes = 4;
  static constexpr size_t kCount = kOutcomes * (packet::kPluginsKnown + 1);
  static size_t IndexOf(std::string_view plugin, LoginOutcome outcome);
  static Labels LabelsOf(size_t index);
};

// How bytes are passed on: as they are, through a pipe, or through TLS towards or from the client.
enum class Way : uint8_t { kCopied, kSpliced, kTls };
// side, way.
struct BytesLabels {
  static constexpr size_t kWays = 3;
  static constexpr size_t kCount = 2 * kWays;
  static size_t IndexOf(Side from, Way way) {
    return Index(from) * kWays + static_cast<size_t>(way);
  }
  static Labels LabelsOf(size_t index);
};

}  // namespace sallyport

#endif  // PROXY_STAT_LABELS_H_
