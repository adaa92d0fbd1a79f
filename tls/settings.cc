#include "tls/settings.h"

#include <openssl/nid.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tls/library_error.h"
#include "tls/text.h"

namespace sallyport::tls {
namespace {

// A name that an operator may use, and what BoringSSL calls it.
struct Name {
  std::string_view name;
  const char* library;
};

// All that is served in TLS 1.2. No CBC: its padding has been attacked time and again, every MySQL
// or MariaDB client that speaks TLS 1.2 with a library of this decade has GCM, and its records
// would exceed Engine::SealedSizeMax. No RSA key exchange: whoever steals the key must not read
// what was recorded before. The default is the left column, top down.
constexpr Name kCiphers[] = {
    {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
    {"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {"ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"},
};
constexpr size_t kCiphersDistinct = 6;

constexpr char kHybrid[] = "X25519MLKEM768";
constexpr Name kGroups[] = {
    {kHybrid, kHybrid},      {"X25519", "X25519"},   {"P-256", "P-256"},
    {"P-384", "P-384"},      {"P-521", "P-521"},     {"secp256r1", "P-256"},
    {"prime256v1", "P-256"}, {"secp384r1", "P-384"}, {"secp521r1", "P-521"},
};
constexpr size_t kGroupsDistinct = 5;

// P-384 costs several times P-256, so it is last: for clients under rules that allow nothing else.
// The hybrid first, where the library has it (2024 and later): what is recorded today stays secret
// from tomorrow's quantum computers, for 30 us a handshake.
constexpr char kDefaultGroups[] = "X25519:P-256:P-384";
constexpr char kDefaultHybridGroups[] = "X25519MLKEM768:X25519:P-256:P-384";

absl::Status Invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

std::string Quoted(std::string_view word) { return "\"" + std::string(word) + "\""; }

absl::Status ReadVersion(std::string_view text, const char* which, uint16_t* version) {
  if (text == "1.2" || text == "TLSv1.2") {
    *version = TLS1_2_VERSION;
  } else if (text == "1.3" || text == "TLSv1.3") {
    *version = TLS1_3_VERSION;
  } else {
    return Invalid(
        absl::StrCat("the ", which, " version is ", Quoted(text), "; 1.2 and 1.3 are known"));
  }
  return absl::OkStatus();
}

template <size_t kSize>
std::string Known(const Name (&names)[kSize], size_t count) {
  return absl::StrJoin(names, names + count, ", ",
                       [](std::string* out, const Name& name) { out->append(name.name); });
}

// ReadList turns a list of an operator's names into one of the library's.
template <size_t kSize>
absl::Status ReadList(std::string_view list, const char* what, const Name (&names)[kSize],
                      size_t distinct, std::vector<std::string>* out) {
  for (const std::string_view word : SplitAt(list, ':')) {
    const Name* found = std::find_if(names, names + kSize, [&](const Name& name) {
      return ToLower(name.name) == ToLower(word);
    });
    if (found == names + kSize) {
      return Invalid(absl::StrCat(Quoted(word), " is no ", what,
                                  " that is served here: ", Known(names, distinct)));
    }
    if (std::find(out->begin(), out->end(), found->library) != out->end()) {
      return Invalid(absl::StrCat("the ", what, " ", Quoted(word), " is in the list twice"));
    }
    out->push_back(found->library);
  }
  return absl::OkStatus();
}

absl::Status SetVersions(const Settings& settings, SSL_CTX* ctx) {
  uint16_t min = 0;
  uint16_t max = 0;
  if (absl::Status status = ReadVersion(settings.version_min, "minimum TLS", &min); !status.ok()) {
    return status;
  }
  if (absl::Status status = ReadVersion(settings.version_max, "maximum TLS", &max); !status.ok()) {
    return status;
  }
  if (min > max) {
    return Invalid("the minimum TLS version is above the maximum");
  }
  if (!SSL_CTX_set_min_proto_version(ctx, min) || !SSL_CTX_set_max_proto_version(ctx, max)) {
    return absl::InternalError(absl::StrCat("TLS can't be set up: ", TakeLibraryError()));
  }
  return absl::OkStatus();
}

absl::Status SetCiphers(std::string_view list, SSL_CTX* ctx) {
  std::vector<std::string> ciphers;
  if (list.empty()) {
    for (size_t i = 0; i < kCiphersDistinct; ++i) {
      ciphers.emplace_back(kCiphers[i].library);
    }
  } else if (list.find("TLS_AES_") != list.npos || list.find("TLS_CHACHA20_") != list.npos) {
    return Invalid("the ciphers of TLS 1.3 can't be chosen: it has three, and the client's order");
  } else if (absl::Status status =
                 ReadList(list, "cipher of TLS 1.2", kCiphers, kCiphersDistinct, &ciphers);
             !status.ok()) {
    return status;
  }
  if (!SSL_CTX_set_strict_cipher_list(ctx, absl::StrJoin(ciphers, ":").c_str())) {
    return absl::InternalError(absl::StrCat("TLS can't be set up: ", TakeLibraryError()));
  }
  return absl::OkStatus();
}

absl::Status SetGroups(std::string_view list, SSL_CTX* ctx) {
  if (list.empty()) {
    const bool ok = SSL_CTX_set1_curves_list(ctx, kDefaultHybridGroups) ||
                    SSL_CTX_set1_curves_list(ctx, kDefaultGroups);
    return ok ? absl::OkStatus()
              : absl::InternalError(absl::StrCat("TLS can't be set up: ", TakeLibraryError()));
  }
  std::vector<std::string> groups;
  if (absl::Status status = ReadList(list, "group", kGroups, kGroupsDistinct, &groups);
      !status.ok()) {
    return status;
  }
  for (const std::string& group : groups) {
    if (!SSL_CTX_set1_curves_list(ctx, group.c_str())) {
      return Invalid(absl::StrCat("the BoringSSL of this build has no ", group,
                                  ": build with a newer one (SALLYPORT_BORINGSSL)"));
    }
  }
  if (!SSL_CTX_set1_curves_list(ctx, absl::StrJoin(groups, ":").c_str())) {
    return absl::InternalError(absl::StrCat("TLS can't be set up: ", TakeLibraryError()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplySettings(const Settings& settings, SSL_CTX* ctx) {
  LibraryErrors errors;
  for (const absl::Status& status : {SetVersions(settings, ctx), SetCiphers(settings.ciphers, ctx),
                                     SetGroups(settings.groups, ctx)}) {
    if (!status.ok()) {
      return status;
    }
  }
  // Our order, not the client's. This covers ciphers of TLS 1.2 and groups.
  SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
  return absl::OkStatus();
}

absl::Status CheckSettings(const Settings& settings) {
  LibraryErrors errors;
  const bssl::UniquePtr<SSL_CTX> ctx(SSL_CTX_new(TLS_with_buffers_method()));
  if (ctx == nullptr) {
    return absl::InternalError(absl::StrCat("TLS can't be set up: ", TakeLibraryError()));
  }
  return ApplySettings(settings, ctx.get());
}

absl::Status CheckCiphersFit(const SSL_CTX* ctx, bool ecdsa, bool rsa) {
  if (SSL_CTX_get_min_proto_version(ctx) > TLS1_2_VERSION) {
    return absl::OkStatus();
  }
  for (const SSL_CIPHER* cipher : SSL_CTX_get_ciphers(ctx)) {
    const int nid = SSL_CIPHER_get_auth_nid(cipher);
    if ((ecdsa && nid == NID_auth_ecdsa) || (rsa && nid == NID_auth_rsa)) {
      return absl::OkStatus();
    }
  }
  return Invalid(absl::StrCat("no cipher of the list goes with the certificate's key, which is ",
                              rsa ? "RSA" : "ECDSA or Ed25519", ": nobody could use TLS 1.2"));
}

}  // namespace sallyport::tls
