// A session between two ends that say whatever the input says, in plaintext or inside TLS.
//
//   input := int<1> links  int<1> way  step*
//   step  := int<1> kind  [int<2> size  bytes]
//
// capture.py writes real conversations in this form. Conversation checks what always holds.
#include "packet/error_packet.h"
#include "packet/header.h"
#include "tests/fuzz/conversation_target.h"
#include "tests/fuzz/fuzz.h"
#include "tests/session/conversation.h"

namespace sallyport::fuzz {
namespace {

using tests::Conversation;
using tests::Way;

class Script {
 public:
  Script(uint8_t links, uint8_t way)
      : c_({.tls_offered = (links & 1) == 0,
            .tls_required = (links & 2) != 0,
            .unix_server = (links & 4) != 0,
            .allow_cleartext_password = (links & 8) != 0,
            .client_user = (links & 32) != 0 ? tls::UserRule::kCommonName : tls::UserRule::kNone,
            .client_common_name = (links & 64) != 0 ? "app" : "",
            .own_key = (links & 16) == 0,
            .secret = ""},
           kWays[way % 4]) {}
  ~Script() {
    for (const Side side : kBothSides) c_.Arrived(side);
  }

  bool over() const { return c_.session().closed(); }
  void Step(Input* input) {
    const uint8_t kind = input->Byte();
    const uint8_t how = kind / 8;
    switch (kind % 8) {
      case 0:
      case 1:
        return ClientSays(Text(input));
      case 2:
      case 3:
        return c_.ServerBytes(Text(input));
      case 4:
        return StartTls(how);
      case 5:
        client_spoke_ = true;
        return c_.ClientWire(Text(input));
      case 6:
        return EndSomehow(how);
      default:
        Kernel(how);
        CheckPhase();
    }
  }

 private:
  static constexpr Way kWays[] = {Way::kWhole, Way::kPackets, Way::kPieces, Way::kSlowOutput};

  static std::string Text(Input* input) {
    return std::string(packet::AsText(input->Take(input->Int(2))));
  }
  bool TlsSpeaks() const {
    return c_.tls_done() && !closed_tls_ && !c_.session().client_finished();
  }

  void ClientSays(const std::string& text) {
    if (c_.on_tls() && !TlsSpeaks()) return;
    client_spoke_ = true;
    c_.ClientBytes(text);
  }
  void StartTls(uint8_t how) {
    if (client_spoke_ || c_.session().phase() != Phase::kClientReply || !c_.links().tls_offered) {
      return;
    }
    client_spoke_ = true;
    const std::string greeting = c_.Arrived(Side::kClient);  // An odd server's has any number.
    FUZZ_CHECK(greeting.size() > packet::kHeaderSize);
    c_.ClientAsksForTls(static_cast<uint8_t>(greeting[packet::kHeaderSize - 1] + 1));
    c_.Arrived(Side::kServer);
    if (c_.session().phase() != Phase::kTlsHandshake) return;
    tls13_ = (how & 1) == 0;
    c_.ClientStartsTls(tls13_ ? tests::kTls13 : tests::kTls12);
    if ((how & 2) == 0) c_.FinishTls();
  }
  void EndSomehow(uint8_t how) {
    switch (how % 8) {
      case 0:
      case 1:
        return c_.Ends(how % 8 == 0 ? Side::kClient : Side::kServer);
      case 2:
      case 3:
        return c_.Resets(how % 8 == 2 ? Side::kClient : Side::kServer);
      case 4:
        if (TlsSpeaks()) c_.ClientClosesTls();
        closed_tls_ = true;
        return;
      case 5:
        if (TlsSpeaks() && tls13_) c_.ClientUpdatesKeys((how & 8) != 0);
        return;
      default:
        c_.Arrived(Side::kServer);
        if (c_.session().phase() == Phase::kCommand) return c_.Close(CloseReason::kIdleTimeout);
        c_.Refuse(CloseReason::kShutdown, {1053, "08S01", "Server shutdown in progress"});
    }
  }
  // The socket that encrypts for the session. 0: nothing happens to it.
  void Kernel(uint8_t how) {
    switch (how % 4) {
      case 1:
        c_.Arrived(Side::kServer);
        if (!c_.session().can_hand_over()) return;
        kernel_ = true;
        return c_.KernelTakesOver((how & 4) != 0);
      case 2:
        if (kernel_) c_.KernelWaits();
        return;
      case 3:
        if ((how & 4) != 0) c_.KernelRefusesKeys("so says the input");
        if (kernel_) c_.KernelGoesOn();
        return;
    }
  }
  void CheckPhase() {
    c_.Arrived(Side::kServer);
    if (c_.session().passes_through(Side::kServer)) FUZZ_CHECK(kernel_ || !c_.on_tls());
    if (c_.session().passes_through(Side::kClient)) FUZZ_CHECK(!c_.on_tls());
    FUZZ_CHECK(c_.session().summary().kernel_tls == kernel_);
    if (c_.session().summary().tls_used) FUZZ_CHECK(c_.links().tls_offered);
    if (c_.links().tls_required && c_.session().phase() == Phase::kCommand) {
      FUZZ_CHECK(c_.session().summary().tls_used);
    }
    if (c_.session().closed()) FUZZ_CHECK(c_.session().reason() != CloseReason::kNone);
  }

  mutable Conversation c_;
  bool client_spoke_ = false;
  bool tls13_ = false;
  bool closed_tls_ = false;
  bool kernel_ = false;
};

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const uint8_t links = input.Byte();
  const uint8_t way = input.Byte();
  fuzz::Script script(links, way);
  for (int steps = 0; !input.empty() && !script.over() && steps < 200; ++steps) script.Step(&input);
  return 0;
}
