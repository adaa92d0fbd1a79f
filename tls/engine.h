// Engine: one TLS connection, server side, as a function over spans. No socket, clock or log.
#ifndef TLS_ENGINE_H_
#define TLS_ENGINE_H_

#include <openssl/base.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tls/client_certificate.h"
#include "tls/context.h"
#include "tls/deferral.h"
#include "tls/signature.h"
#include "tls/write_keys.h"

namespace sallyport::tls {

// Room is a caller's fixed memory that a call appends to: bytes[0, used) are filled.
struct Room {
  std::span<uint8_t> bytes;
  size_t used = 0;

  std::span<uint8_t> free() const { return bytes.subspan(used); }
};

// What a client's connection settled on. Views live as long as the process (library constants).
struct Parameters {
  std::string_view version;  // "TLSv1.3"
  std::string_view cipher;   // "TLS_AES_128_GCM_SHA256"
  std::string_view group;    // "X25519"; empty where there was no key exchange.
  bool resumed = false;
  std::optional<ClientCertificate> client_certificate;  // Verified, now or when the ticket was got.
};

// Engine belongs to one thread at a time. It allocates with BoringSSL's allocator only; between
// calls it holds no buffer unless a record is incomplete.
//
// Every call takes all of `in` (an unfinished record is kept inside) unless it says otherwise, and
// may append records to `out`, which must be sent *whatever the result*: that is how alerts get
// out.
class Engine {
 public:
  explicit Engine(const Context& context);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  enum class Status {
    kOk,        // Done; for Handshake: finished.
    kNeedMore,  // All input was taken, and more is needed to go on.
    kClosed,    // The client's close_notify arrived. After the handshake, sending is still allowed.
    kError,     // Fatal: error() says why, an alert was appended to `out` where TLS wants one.
    kWantSignature,  // Of Handshake only, and a Context that defers them: see below.
  };

  // Handshake goes on with the handshake. On kOk the TLS 1.3 tickets were appended too (else the
  // client's next small write may wait for a delayed ACK), the handshake's memory was shed, and
  // bytes of `in` behind the client's Finished remain in `*in`: they are for Open. On kNeedMore and
  // kError `*in` is empty. REQUIRES: out->free().size() >= kHandshakeRoom; not yet finished; no
  // signature wanted.
  static constexpr size_t kHandshakeRoom = 32 * 1024;
  Status Handshake(std::span<const uint8_t>* in, Room* out);
  bool handshake_done() const { return handshake_done_; }

  // On kWantSignature the handshake stands still, at most once in its life and never when it
  // resumes an earlier one: somebody has to make the signature and give it to FinishSignature;
  // Handshake then goes on, also with empty input. What it didn't take remains in `*in` and is to
  // be kept for that call. TakeSignatureRequest: once. FinishSignature: empty, or one that is too
  // long, means that it failed, and so does the next Handshake then, with an alert.
  // REQUIRES: the last Handshake was kWantSignature.
  SignatureRequest TakeSignatureRequest();
  void FinishSignature(std::span<const uint8_t> signature);

  // Open decrypts `in` and appends the plaintext to `plain`. kNeedMore is the ordinary result: all
  // of `in` was taken. kClosed: close_notify; what came before it is in `plain`, what follows is
  // dropped, now and in later calls. kError: likewise what came before it is in `plain`; it stays
  // kError. KeyUpdate is answered into `out`. Never kOk. That the stream ended without close_notify
  // only the caller can see: whatever was opened before is genuine, and more may have been cut off.
  // REQUIRES: handshake_done(), plain->free().size() >= in.size() + kRecordPlaintextMax,
  // out->free().size() >= kControlRoom.
  static constexpr size_t kRecordPlaintextMax = 16 * 1024;
  static constexpr size_t kControlRoom = 4 * 1024;
  Status Open(std::span<const uint8_t> in, Room* plain, Room* out);

  // Seal encrypts all of `plain` into records of up to 16 KiB each.
  // REQUIRES: handshake_done(), no Close before, out->free().size() >= SealedSizeMax(plain.size()).
  // kOk, or kError: a fatal alert was sent before, by this side.
  Status Seal(std::span<const uint8_t> plain, Room* out);
  static size_t SealedSizeMax(size_t plain_size);

  // Close appends close_notify or, where what was sent is not all that there was, a fatal alert
  // (once; later calls append nothing). Open may go on behind close_notify.
  // REQUIRES: handshake_done(), out->free().size() >= kControlRoom.
  enum class Ending { kCloseNotify, kInternalError };
  void Close(Room* out, Ending ending = Ending::kCloseNotify);

  // --- Handing the sending side over to somebody else, such as the kernel. Receiving stays here.

  // write_keys are for the next record to the client; none after kError, or where they can't be
  // had: then, and until HandOver, everything goes on here. All that was appended to an `out` goes
  // to the client first. REQUIRES: handshake_done(), no Close before, !handed_over().
  std::optional<WriteKeys> write_keys();
  // HandOver: from now on no call appends anything to `out`. What this side has to say besides data
  // (alerts, close_notify, the answer to a KeyUpdate) waits in TakeControls, in its order, and is
  // to be sent as records of that type. Seal must not be called any more. REQUIRES: as
  // write_keys, which were taken since the last Seal or Open.
  void HandOver();
  bool handed_over() const { return handed_over_; }
  std::vector<ControlRecord> TakeControls() { return std::exchange(controls_, {}); }
  // wants_new_keys: the client asked for new keys, and a KeyUpdate is among the controls. What
  // follows that record has to be under its next_keys. KeysChanged says that this is so; until then
  // however many more the client asks for, they get no answer but that one.
  // REQUIRES: wants_new_keys().
  bool wants_new_keys() const { return wants_new_keys_; }
  void KeysChanged();

  // parameters of the finished handshake. REQUIRES: handshake_done().
  // sni is the name the client asked for, empty without: up to 255 bytes of the client's choosing,
  // without NUL. It may be asked for after a failed handshake too.
  Parameters parameters() const;
  std::string sni() const;

  // client_certificate is what the client's certificate says, none where none was sent. It may be
  // asked for after a failed handshake, and then it may be what was refused.
  std::optional<ClientCertificate> client_certificate() const;

  // error is the reason of the last kError in the library's words, for the log:
  // "WRONG_VERSION_NUMBER", "TLSV1_ALERT_UNKNOWN_CA" (those with ALERT came from the client),
  // "CERTIFICATE_VERIFY_FAILED: certificate has expired" (of the client), ...
  // Never bytes of the peer. Valid until the next call.
  const std::string& error() const { return error_; }

 private:
  friend struct EngineBio;  // The BIO that reads from in_ and writes to out_.

  bool signature_wanted() const;
  void AddControl(int type, std::span<const uint8_t> content);
  void FinishKeyUpdate(Status status);
  Status Judge(int result);  // What a result of the library means.
  void FlushQueued();        // Writes what the library holds back until there is data.
  void EndCall();            // Forgets the caller's memory.
  // The library's report of a handshake message, among others.
  static void OnMessage(int is_write, int version, int type, const void* bytes, size_t size,
                        SSL* ssl, void* engine);

  bssl::UniquePtr<SSL> ssl_;
  std::unique_ptr<Deferral>
      deferral_;                 // Null where the Context defers none, and after the handshake.
  std::span<const uint8_t> in_;  // Set during a call only.
  Room* out_ = nullptr;          // Likewise.
  bool handshake_done_ = false;
  bool close_sent_ = false;
  bool handed_over_ = false;
  bool wants_new_keys_ = false;
  std::vector<ControlRecord> controls_;
  bool message_seen_ = false;  // This call read a handshake message, such as KeyUpdate.
  std::string error_;
};

}  // namespace sallyport::tls

#endif  // TLS_ENGINE_H_
