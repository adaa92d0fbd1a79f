#include "bench/client/tls_client.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "packet/check.h"

namespace sallyport::bench {

struct ClientBio {
  static TlsClient* Of(BIO* bio) { return static_cast<TlsClient*>(BIO_get_data(bio)); }

  static int Read(BIO* bio, char* out, int size) {
    TlsClient* client = Of(bio);
    BIO_clear_retry_flags(bio);
    if (client->in_.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const size_t count = std::min(client->in_.size(), static_cast<size_t>(size));
    std::memcpy(out, client->in_.data(), count);
    client->in_ = client->in_.subspan(count);
    return static_cast<int>(count);
  }

  static int Write(BIO* bio, const char* in, int size) {
    BIO_clear_retry_flags(bio);
    Buffer* out = Of(bio)->out_;
    // Open may have an answer to a KeyUpdate, which no server here asks for.
    SALLYPORT_CHECK(out != nullptr && static_cast<size_t>(size) <= out->free().size());
    std::memcpy(out->free().data(), in, static_cast<size_t>(size));
    out->used += static_cast<size_t>(size);
    return size;
  }

  static long Ctrl(BIO*, int command, long, void*) {  // NOLINT(runtime/int): the library's type.
    return command == BIO_CTRL_FLUSH;
  }

  static const BIO_METHOD* Method() {
    static const BIO_METHOD* const method = [] {
      BIO_METHOD* m = BIO_meth_new(0, "bench::TlsClient");
      SALLYPORT_CHECK(m != nullptr && BIO_meth_set_read(m, Read) && BIO_meth_set_write(m, Write) &&
                      BIO_meth_set_ctrl(m, Ctrl));
      return m;
    }();
    return method;
  }
};

TlsClientContext::TlsClientContext(bool resume, const std::string& version)
    : ssl_ctx_(SSL_CTX_new(TLS_method())), resume_(resume) {
  SSL_CTX* ctx = ssl_ctx_.get();
  SALLYPORT_CHECK(ctx != nullptr);
  const uint16_t least = version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION;
  const uint16_t most = version == "1.2" ? TLS1_2_VERSION : TLS1_3_VERSION;
  SALLYPORT_CHECK(SSL_CTX_set_min_proto_version(ctx, least) &&
                  SSL_CTX_set_max_proto_version(ctx, most));
  SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_app_data(ctx, this);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, OnNewSession);
}

TlsClientContext::~TlsClientContext() = default;

int TlsClientContext::OnNewSession(SSL* ssl, SSL_SESSION* session) {
  auto* context = static_cast<TlsClientContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (!context->resume_) {
    return 0;
  }
  context->session_.reset(session);
  return 1;  // The session is ours now.
}

TlsClient::TlsClient(TlsClientContext* context) : ssl_(SSL_new(context->ssl_ctx_.get())) {
  BIO* bio = BIO_new(ClientBio::Method());
  SALLYPORT_CHECK(ssl_ != nullptr && bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_connect_state(ssl_.get());
  SSL_set_shed_handshake_config(ssl_.get(), 1);
  if (context->session_ != nullptr) {
    SSL_set_session(ssl_.get(), context->session_.get());
  }
}

TlsClient::~TlsClient() = default;

TlsClient::Status TlsClient::Handshake(packet::Bytes* in, Buffer* out) {
  in_ = *in;
  out_ = out;
  const Status status = Judge(SSL_do_handshake(ssl_.get()));
  done_ = status == Status::kOk;
  *in = in_;
  out_ = nullptr;
  return status;
}

TlsClient::Status TlsClient::Open(packet::Bytes in, Buffer* plain) {
  in_ = in;
  Status status = Status::kOk;
  while (status == Status::kOk) {
    const packet::MutableBytes room = plain->free();
    const int count =
        SSL_read(ssl_.get(), room.data(), static_cast<int>(std::min<size_t>(room.size(), INT_MAX)));
    status = Judge(count);
    if (status == Status::kOk) {
      plain->used += static_cast<size_t>(count);
    }
  }
  return status;
}

TlsClient::Status TlsClient::Seal(packet::Bytes plain, Buffer* out) {
  out_ = out;
  const Status status = Judge(SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size())));
  out_ = nullptr;
  return status;
}

void TlsClient::Close(Buffer* out) {
  out_ = out;
  SSL_shutdown(ssl_.get());
  out_ = nullptr;
  ERR_clear_error();
}

bool TlsClient::resumed() const { return SSL_session_reused(ssl_.get()) == 1; }

std::string TlsClient::description() const {
  return std::string(SSL_get_version(ssl_.get())) + " " +
         SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl_.get()));
}

TlsClient::Status TlsClient::Judge(int result) {
  if (result > 0) {
    return Status::kOk;
  }
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Status::kNeedMore;
    case SSL_ERROR_ZERO_RETURN:
      return Status::kClosed;
    default: {
      const uint32_t code = ERR_get_error();
      const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
      error_ = std::string("TLS: ") + (reason == nullptr ? "failed" : reason);
      ERR_clear_error();
      return Status::kError;
    }
  }
}

}  // namespace sallyport::bench
