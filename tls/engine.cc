#include "tls/engine.h"

#include <openssl/bio.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>

#include "tls/library_error.h"
#include "tls/require.h"

namespace sallyport::tls {
namespace {

// What a record adds to its plaintext, at most. TLS 1.2 with GCM: header 5, nonce 8, tag 16; all
// others add less (TLS 1.3: header 5, type 1, tag 16).
constexpr size_t kRecordOverheadMax = 29;

}  // namespace

// EngineBio is all the transport the library sees: it reads from the span and writes to the room of
// the call under way. One method table serves all engines.
struct EngineBio {
  static Engine* Of(BIO* bio) { return static_cast<Engine*>(BIO_get_data(bio)); }

  static int Read(BIO* bio, char* out, int size) {
    Engine* engine = Of(bio);
    BIO_clear_retry_flags(bio);
    if (engine->in_.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const size_t count = std::min(engine->in_.size(), static_cast<size_t>(size));
    std::memcpy(out, engine->in_.data(), count);
    engine->in_ = engine->in_.subspan(count);
    return static_cast<int>(count);
  }

  // Takes all or fails for good: a caller's room is large enough by contract, so a write that does
  // not fit is no reason to wait.
  static int Write(BIO* bio, const char* in, int size) {
    Engine* engine = Of(bio);
    BIO_clear_retry_flags(bio);
    if (engine->handed_over_) {
      return size;  // A record with keys that are another's now: OnMessage saw what it says.
    }
    const std::span<uint8_t> room = engine->out_->free();
    const size_t count = static_cast<size_t>(size);
    if (count > room.size()) {
      return -1;
    }
    std::memcpy(room.data(), in, count);
    engine->out_->used += count;
    return size;
  }

  static long Ctrl(BIO*, int command, long, void*) {  // NOLINT(runtime/int): the library's type.
    return command == BIO_CTRL_FLUSH;
  }

  static const BIO_METHOD* Method() {
    static const BIO_METHOD* const method = [] {
      BIO_METHOD* m = BIO_meth_new(0, "tls::Engine");
      Require(m != nullptr && BIO_meth_set_read(m, Read) && BIO_meth_set_write(m, Write) &&
                  BIO_meth_set_ctrl(m, Ctrl),
              "Engine: memory");
      return m;
    }();
    return method;
  }
};

Engine::Engine(const Context& context) : ssl_(SSL_new(context.ssl_ctx())) {
  BIO* bio = BIO_new(EngineBio::Method());
  Require(ssl_ != nullptr && bio != nullptr, "Engine: memory");
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);  // Takes the one reference for both directions.
  SSL_set_accept_state(ssl_.get());
  // An idle connection keeps keys and counters, not what only a handshake needs.
  SSL_set_shed_handshake_config(ssl_.get(), 1);
  SSL_set_msg_callback(ssl_.get(), OnMessage);
  SSL_set_msg_callback_arg(ssl_.get(), this);
  if (context.defers_signatures()) {
    deferral_ = std::make_unique<Deferral>(ssl_.get());
  }
}

// The library calls this for each header of a record too, so it does next to nothing.
void Engine::OnMessage(int is_write, int, int type, const void* bytes, size_t size, SSL*,
                       void* self) {
  Engine* engine = static_cast<Engine*>(self);
  if (!is_write && type == SSL3_RT_HANDSHAKE) {
    engine->message_seen_ = true;
  }
  if (is_write && engine->handed_over_) {
    engine->AddControl(type, {static_cast<const uint8_t*>(bytes), size});
  }
}

void Engine::AddControl(int type, std::span<const uint8_t> content) {
  if (type != SSL3_RT_ALERT && type != SSL3_RT_HANDSHAKE) {
    return;  // The library's report of a header.
  }
  if (type == SSL3_RT_HANDSHAKE && close_sent_) {
    return;  // Nothing follows close_notify.
  }
  Require(content.size() <= ControlRecord::kSizeMax, "Engine: a small control record");
  ControlRecord record;
  record.type = static_cast<uint8_t>(type);
  record.size = static_cast<uint8_t>(content.size());
  std::copy(content.begin(), content.end(), record.content.begin());
  controls_.push_back(record);
  wants_new_keys_ |= type == SSL3_RT_HANDSHAKE;
}

Engine::~Engine() = default;

Engine::Status Engine::Handshake(std::span<const uint8_t>* in, Room* out) {
  Require(!handshake_done_, "Engine::Handshake: not yet finished");
  Require(out->free().size() >= kHandshakeRoom, "Engine::Handshake: kHandshakeRoom");
  Require(!signature_wanted(), "Engine::Handshake: no signature wanted");
  in_ = *in;
  out_ = out;
  LibraryErrors errors;  // A ticket that can't be read leaves one, and is no failure.
  Status status = Judge(SSL_do_handshake(ssl_.get()));
  if (status == Status::kOk) {
    handshake_done_ = true;
    deferral_.reset();
    FlushQueued();
  } else if (status != Status::kWantSignature) {
    in_ = {};
  }
  if (deferral_ != nullptr && deferral_->TakeFailure()) {
    SSL_send_fatal_alert(ssl_.get(), SSL_AD_INTERNAL_ERROR);  // The library says nothing here.
  }
  *in = in_;
  EndCall();
  return status;
}

bool Engine::signature_wanted() const { return deferral_ != nullptr && deferral_->wanted(); }

SignatureRequest Engine::TakeSignatureRequest() {
  Require(signature_wanted(), "Engine::TakeSignatureRequest: a signature is wanted");
  return deferral_->TakeRequest();
}

void Engine::FinishSignature(std::span<const uint8_t> signature) {
  Require(signature_wanted(), "Engine::FinishSignature: a signature is wanted");
  deferral_->Finish(signature);
}

Engine::Status Engine::Open(std::span<const uint8_t> in, Room* plain, Room* out) {
  Require(handshake_done_, "Engine::Open: handshake_done");
  Require(plain->free().size() >= in.size() + kRecordPlaintextMax,
          "Engine::Open: room for the plaintext");
  Require(out->free().size() >= kControlRoom, "Engine::Open: kControlRoom");
  in_ = in;
  out_ = out;
  Status status;
  do {  // A record each time.
    const std::span<uint8_t> free = plain->free();
    const int size = static_cast<int>(std::min<size_t>(free.size(), INT_MAX));
    const int count = SSL_read(ssl_.get(), free.data(), size);
    status = Judge(count);
    if (status == Status::kOk) {
      plain->used += static_cast<size_t>(count);
      // The library reads no further than the end of the record that it returns, whole since there
      // is room for it: with `in` used up, asking again could only bring kNeedMore.
      if (in_.empty()) {
        status = Status::kNeedMore;
      }
    }
  } while (status == Status::kOk);
  // The library keeps its answer to a KeyUpdate for the next write; that one must find only itself,
  // or it would exceed SealedSizeMax.
  if (handed_over_) {
    FinishKeyUpdate(status);
  } else if (message_seen_ && !close_sent_ && status != Status::kError) {
    FlushQueued();
  }
  EndCall();
  return status;
}

// Where Open made a KeyUpdate, the library has moved on to the keys that follow it. It takes it for
// unsent until KeysChanged, and makes no second one.
void Engine::FinishKeyUpdate(Status status) {
  const auto made = std::ranges::find_if(controls_, [](const ControlRecord& record) {
    return record.type == ControlRecord::kHandshake && !record.next_keys.has_value();
  });
  if (made == controls_.end()) {
    return;
  }
  if (status == Status::kError) {  // The alert can go out under the keys that are in use.
    controls_.erase(made);
    wants_new_keys_ = false;
    return;
  }
  made->next_keys = ReadWriteKeys(ssl_.get());
  Require(made->next_keys.has_value() && made->next_keys->sequence == 0, "Engine: fresh keys");
}

void Engine::KeysChanged() {
  Require(wants_new_keys_, "Engine::KeysChanged: wants_new_keys");
  wants_new_keys_ = false;
  if (!close_sent_ && error_.empty()) {
    FlushQueued();
  }
}

Engine::Status Engine::Seal(std::span<const uint8_t> plain, Room* out) {
  Require(handshake_done_ && !close_sent_, "Engine::Seal: handshake_done, no Close before");
  Require(!handed_over_, "Engine::Seal: not handed over");
  Require(plain.size() <= INT_MAX && out->free().size() >= SealedSizeMax(plain.size()),
          "Engine::Seal: SealedSizeMax");
  if (plain.empty()) {
    return Status::kOk;
  }
  out_ = out;
  // Without SSL_MODE_ENABLE_PARTIAL_WRITE it is all or nothing.
  const int size = static_cast<int>(plain.size());
  const Status status = Judge(SSL_write(ssl_.get(), plain.data(), size));
  EndCall();
  return status;
}

size_t Engine::SealedSizeMax(size_t plain_size) {
  const size_t records = (plain_size + kRecordPlaintextMax - 1) / kRecordPlaintextMax;
  return plain_size + records * kRecordOverheadMax;
}

void Engine::Close(Room* out, Ending ending) {
  Require(handshake_done_, "Engine::Close: handshake_done");
  Require(out->free().size() >= kControlRoom, "Engine::Close: kControlRoom");
  if (close_sent_) {
    return;
  }
  close_sent_ = true;
  out_ = out;
  LibraryErrors errors;  // Either fails after a fatal alert, and then there is nothing to say.
  if (ending == Ending::kCloseNotify) {
    SSL_shutdown(ssl_.get());
  } else {
    SSL_send_fatal_alert(ssl_.get(), SSL_AD_INTERNAL_ERROR);
  }
  EndCall();
}

std::optional<WriteKeys> Engine::write_keys() {
  Require(handshake_done_ && !close_sent_ && !handed_over_,
          "Engine::write_keys: handshake_done, no Close before, not handed over");
  if (!error_.empty()) {
    return std::nullopt;  // Behind a fatal alert nothing is sent.
  }
  // A ticket or an answer to a KeyUpdate that the library still held back would be lost, and the
  // sequence number be one too small.
  std::array<uint8_t, kControlRoom> memory;
  Room room{memory};
  out_ = &room;
  FlushQueued();
  EndCall();
  Require(room.used == 0, "Engine::write_keys: nothing held back");
  return ReadWriteKeys(ssl_.get());
}

void Engine::HandOver() {
  Require(handshake_done_ && !close_sent_ && !handed_over_,
          "Engine::HandOver: handshake_done, no Close before, not handed over");
  handed_over_ = true;
}

Parameters Engine::parameters() const {
  Require(handshake_done_, "Engine::parameters: handshake_done");
  Parameters parameters;
  parameters.version = SSL_get_version(ssl_.get());
  parameters.cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl_.get()));
  parameters.resumed = SSL_session_reused(ssl_.get());
  // A ticket of TLS 1.2 brings the first connection's group along, unused.
  const bool exchanged = !parameters.resumed || SSL_version(ssl_.get()) == TLS1_3_VERSION;
  const char* group = SSL_get_curve_name(SSL_get_curve_id(ssl_.get()));
  if (exchanged && group != nullptr) {
    parameters.group = group;
  }
  parameters.client_certificate = client_certificate();
  return parameters;
}

std::string Engine::sni() const {
  const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? "" : name;
}

std::optional<ClientCertificate> Engine::client_certificate() const {
  LibraryErrors errors;
  const STACK_OF(CRYPTO_BUFFER)* chain = SSL_get0_peer_certificates(ssl_.get());
  if (chain == nullptr || sk_CRYPTO_BUFFER_num(chain) == 0) {
    return std::nullopt;
  }
  bssl::UniquePtr<X509> leaf(X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(chain, 0)));
  return leaf == nullptr ? std::nullopt : std::optional(ReadClientCertificate(leaf.get()));
}

// Judge turns a result of the library into a Status, and notes why when it is an error.
Engine::Status Engine::Judge(int result) {
  if (result > 0) {
    return Status::kOk;
  }
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Status::kNeedMore;
    case SSL_ERROR_WANT_PRIVATE_KEY_OPERATION:
      return Status::kWantSignature;
    case SSL_ERROR_ZERO_RETURN:
      return Status::kClosed;
    default:
      error_ = TakeLibraryError();  // Leaves none behind.
      return Status::kError;
  }
}

// FlushQueued writes what the library holds back until the next SSL_write: tickets, the answer to a
// KeyUpdate. SSL_write of nothing does that and returns zero, which SSL_get_error would call an
// error of the transport; it is success.
void Engine::FlushQueued() {
  if (SSL_version(ssl_.get()) == TLS1_3_VERSION) {
    LibraryErrors errors;
    SSL_write(ssl_.get(), "", 0);
  }
}

void Engine::EndCall() {
  in_ = {};
  out_ = nullptr;
  message_seen_ = false;
}

}  // namespace sallyport::tls
