#include "tests/tls/authorities.h"

namespace sallyport::tls {
namespace {

using tests::KeyType;
using tests::MakeCertificatePem;
using tests::MakeKeyPem;

Authorities Make() {
  Authorities made;
  made.root_key = MakeKeyPem(KeyType::kP256);
  made.root = MakeCertificatePem(
      made.root_key,
      {.subject = "Root", .dns_names = {}, .not_after = Authorities::kEnd, .ca = true});
  made.middle_key = MakeKeyPem(KeyType::kP256);
  made.middle = MakeCertificatePem(made.middle_key, {.subject = "Middle",
                                                     .dns_names = {},
                                                     .not_after = Authorities::kEnd,
                                                     .ca = true,
                                                     .issuer = "Root",
                                                     .issuer_key_pem = made.root_key,
                                                     .serial = 2});
  return made;
}

}  // namespace

const Authorities& Authority() {
  static const Authorities* const authorities = new Authorities(Make());
  return *authorities;
}

const std::string& ClientKey() { return tests::TestKeyPem(KeyType::kP256); }

std::string ClientPem(tests::TestCertificate certificate) {
  if (certificate.issuer.empty()) {
    certificate.issuer = "Root";
    certificate.issuer_key_pem = Authority().root_key;
  }
  return MakeCertificatePem(ClientKey(), certificate);
}

std::string ClientPemByMiddle(int64_t serial) {
  return ClientPem({.subject = "app",
                    .issuer = "Middle",
                    .issuer_key_pem = Authority().middle_key,
                    .serial = serial});
}

}  // namespace sallyport::tls
