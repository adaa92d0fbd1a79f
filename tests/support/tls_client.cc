#include "tests/support/tls_client.h"

#include <openssl/aead.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sallyport::tests {
namespace {

// Check stops the test: a client that can't be set up tests nothing.
void Check(bool condition, const char* what) {
  if (!condition) {
    std::fprintf(stderr, "TlsClient: %s failed\n", what);
    ERR_print_errors_fp(stderr);
    std::abort();
  }
}

}  // namespace

struct ClientCallbacks {
  static TlsClient* Of(const SSL* ssl) { return static_cast<TlsClient*>(SSL_get_app_data(ssl)); }
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
    TlsClient* client = Of(bio);
    client->out_->insert(client->out_->end(), in, in + size);
    return size;
  }

  static long Ctrl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH; }

  static int NewSession(SSL* ssl, SSL_SESSION* session) {
    Of(ssl)->session_.reset(session);
    return 1;  // Ours now.
  }

  static const BIO_METHOD* Method() {
    static const BIO_METHOD* const method = [] {
      BIO_METHOD* m = BIO_meth_new(0, "TlsClient");
      Check(m != nullptr && BIO_meth_set_read(m, Read) && BIO_meth_set_write(m, Write) &&
                BIO_meth_set_ctrl(m, Ctrl),
            "BIO_meth_new");
      return m;
    }();
    return method;
  }
};

TlsClient::TlsClient(const TlsClientOptions& options) : ctx_(SSL_CTX_new(TLS_method())) {
  Check(ctx_ != nullptr, "SSL_CTX_new");
  Configure(options);
  ssl_.reset(SSL_new(ctx_.get()));
  BIO* bio = BIO_new(ClientCallbacks::Method());
  Check(ssl_ != nullptr && bio != nullptr, "SSL_new");
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), this);
  SSL_set_connect_state(ssl_.get());
  if (!options.sni.empty()) {
    Check(SSL_set_tlsext_host_name(ssl_.get(), options.sni.c_str()), "SNI");
  }
  if (!options.host.empty()) {
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl_.get());
    Check(X509_VERIFY_PARAM_set1_ip_asc(param, options.host.c_str()) ||
              X509_VERIFY_PARAM_set1_host(param, options.host.c_str(), options.host.size()),
          "host");
  }
  if (!options.session.empty()) {
    bssl::UniquePtr<SSL_SESSION> session(
        SSL_SESSION_from_bytes(options.session.data(), options.session.size(), ctx_.get()));
    Check(session != nullptr && SSL_set_session(ssl_.get(), session.get()), "session");
  }
  ERR_clear_error();
}

TlsClient::~TlsClient() = default;

void TlsClient::Configure(const TlsClientOptions& options) {
  SSL_CTX* ctx = ctx_.get();
  Check(SSL_CTX_set_min_proto_version(ctx, options.version_min) &&
            SSL_CTX_set_max_proto_version(ctx, options.version_max),
        "version");
  if (!options.ciphers.empty()) {
    Check(SSL_CTX_set_strict_cipher_list(ctx, options.ciphers.c_str()), "ciphers");
  }
  if (!options.groups.empty()) {
    Check(SSL_CTX_set1_curves_list(ctx, options.groups.c_str()), "groups");
  }
  std::vector<uint8_t> protocols;
  for (const std::string& name : options.alpn) {
    protocols.push_back(static_cast<uint8_t>(name.size()));
    protocols.insert(protocols.end(), name.begin(), name.end());
  }
  Check(protocols.empty() || SSL_CTX_set_alpn_protos(ctx, protocols.data(), protocols.size()) == 0,
        "ALPN");
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, ClientCallbacks::NewSession);
  // So that keys of any kind the server can have are accepted, P-521 and Ed25519 included.
  constexpr uint16_t kSignatures[] = {
      SSL_SIGN_ED25519,
      SSL_SIGN_ECDSA_SECP256R1_SHA256,
      SSL_SIGN_ECDSA_SECP384R1_SHA384,
      SSL_SIGN_ECDSA_SECP521R1_SHA512,
      SSL_SIGN_RSA_PSS_RSAE_SHA256,
      SSL_SIGN_RSA_PKCS1_SHA256,
  };
  std::vector<uint16_t> signatures = options.signatures;
  if (signatures.empty()) {
    signatures.assign(std::begin(kSignatures), std::end(kSignatures));
  }
  Check(SSL_CTX_set_verify_algorithm_prefs(ctx, signatures.data(), signatures.size()), "sigalgs");
  if (!options.certificate_pem.empty()) {
    UseCertificate(options);
  }
  if (!options.ca_pem.empty()) {
    bssl::UniquePtr<BIO> bio(
        BIO_new_mem_buf(options.ca_pem.data(), static_cast<int>(options.ca_pem.size())));
    bssl::UniquePtr<X509> ca(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    Check(ca != nullptr && X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca.get()), "CA");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  }
}

void TlsClient::UseCertificate(const TlsClientOptions& options) {
  bssl::UniquePtr<BIO> chain(BIO_new_mem_buf(options.certificate_pem.data(),
                                             static_cast<int>(options.certificate_pem.size())));
  bool first = true;
  while (X509* x509 = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)) {
    bssl::UniquePtr<X509> own(x509);
    Check(first ? SSL_CTX_use_certificate(ctx_.get(), x509)
                : SSL_CTX_add1_chain_cert(ctx_.get(), x509),
          "client certificate");
    first = false;
  }
  ERR_clear_error();
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(options.private_key_pem.data(),
                                           static_cast<int>(options.private_key_pem.size())));
  bssl::UniquePtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  Check(key != nullptr && SSL_CTX_use_PrivateKey(ctx_.get(), key.get()), "client key");
}

TlsClient::Status TlsClient::Handshake(std::span<const uint8_t>* in, std::vector<uint8_t>* out) {
  in_ = *in;
  out_ = out;
  const Status status = Judge(SSL_do_handshake(ssl_.get()));
  handshake_done_ = status == Status::kOk;
  *in = in_;
  return status;
}

TlsClient::Status TlsClient::Open(std::span<const uint8_t> in, std::vector<uint8_t>* plain,
                                  std::vector<uint8_t>* out) {
  in_ = in;
  out_ = out;
  for (;;) {
    uint8_t buffer[16 * 1024];
    const int count = SSL_read(ssl_.get(), buffer, sizeof(buffer));
    if (const Status status = Judge(count); status != Status::kOk) {
      return status;
    }
    plain->insert(plain->end(), buffer, buffer + count);
  }
}

TlsClient::Status TlsClient::Seal(std::span<const uint8_t> plain, std::vector<uint8_t>* out) {
  out_ = out;
  return plain.empty() ? Status::kOk
                       : Judge(SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size())));
}

void TlsClient::Close(std::vector<uint8_t>* out) {
  out_ = out;
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

void TlsClient::UpdateKeys(bool answer, std::vector<uint8_t>* out) {
  out_ = out;
  Check(
      SSL_key_update(ssl_.get(), answer ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED),
      "SSL_key_update");
  SSL_write(ssl_.get(), "", 0);  // Flushes it.
  ERR_clear_error();
}

void TlsClient::SealRecord(uint8_t type, std::span<const uint8_t> plain,
                           std::vector<uint8_t>* out) {
  // client_key 16, server_key 16, client_salt 4, server_salt 4.
  std::vector<uint8_t> keys(SSL_get_key_block_len(ssl_.get()));
  Check(keys.size() == 40 && SSL_generate_key_block(ssl_.get(), keys.data(), keys.size()),
        "SSL_generate_key_block");
  const uint64_t number = SSL_get_write_sequence(ssl_.get()) + handmade_records_++;
  uint8_t sequence[8];
  for (int i = 0; i < 8; ++i) {
    sequence[i] = static_cast<uint8_t>(number >> (56 - 8 * i));
  }
  uint8_t nonce[12];
  std::memcpy(nonce, keys.data() + 32, 4);
  std::memcpy(nonce + 4, sequence, 8);
  uint8_t additional[13];  // sequence 8, type 1, version 2, length 2.
  std::memcpy(additional, sequence, 8);
  additional[8] = type;
  additional[9] = 3;
  additional[10] = 3;
  additional[11] = static_cast<uint8_t>(plain.size() >> 8);
  additional[12] = static_cast<uint8_t>(plain.size());
  bssl::ScopedEVP_AEAD_CTX aead;
  std::vector<uint8_t> sealed(plain.size() + 16);
  size_t size = 0;
  Check(EVP_AEAD_CTX_init(aead.get(), EVP_aead_aes_128_gcm(), keys.data(), 16,
                          EVP_AEAD_DEFAULT_TAG_LENGTH, nullptr) &&
            EVP_AEAD_CTX_seal(aead.get(), sealed.data(), &size, sealed.size(), nonce, sizeof(nonce),
                              plain.data(), plain.size(), additional, sizeof(additional)),
        "EVP_AEAD_CTX_seal");
  const size_t body = 8 + size;
  const uint8_t header[] = {type, 3, 3, static_cast<uint8_t>(body >> 8),
                            static_cast<uint8_t>(body)};
  out->insert(out->end(), header, header + sizeof(header));
  out->insert(out->end(), sequence, sequence + sizeof(sequence));  // The explicit nonce.
  out->insert(out->end(), sealed.begin(), sealed.begin() + static_cast<ptrdiff_t>(size));
}

bool TlsClient::resumed() const { return SSL_session_reused(ssl_.get()); }

std::vector<uint8_t> TlsClient::session() const {
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (session_ == nullptr) {
    return {};
  }
  Check(SSL_SESSION_to_bytes(session_.get(), &bytes, &size), "SSL_SESSION_to_bytes");
  bssl::UniquePtr<uint8_t> own(bytes);
  return std::vector<uint8_t>(bytes, bytes + size);
}

TlsClient::Status TlsClient::Judge(int result) {
  Status status = Status::kOk;
  if (result <= 0) {
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ:
        status = Status::kNeedMore;
        break;
      case SSL_ERROR_ZERO_RETURN:
        status = Status::kClosed;
        break;
      default:
        const char* reason = ERR_reason_error_string(ERR_peek_error());
        error_ = reason == nullptr ? "UNKNOWN" : reason;
        status = Status::kError;
    }
  }
  ERR_clear_error();
  return status;
}

}  // namespace sallyport::tests
