#include "tls/client_certificate.h"

#include <openssl/asn1.h>
#include <openssl/nid.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "tls/library_error.h"
#include "tls/x509_text.h"

namespace sallyport::tls {
namespace {

// Add appends the name unless it is nothing that could be compared or logged.
void Add(AlternativeName::Type type, const ASN1_IA5STRING* text, ClientCertificate* certificate) {
  std::string value(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                    static_cast<size_t>(ASN1_STRING_length(text)));
  if (certificate->names.size() < ClientCertificate::kNamesMax &&
      value.size() <= ClientCertificate::kNameBytesMax && !HasControlCharacter(value)) {
    certificate->names.push_back({type, std::move(value)});
  }
}

}  // namespace

ClientCertificate ReadClientCertificate(const X509* x509) {
  LibraryErrors errors;
  ClientCertificate certificate;
  certificate.subject = NameText(X509_get_subject_name(x509), NameOrder::kRfc2253);
  certificate.subject.resize(
      std::min(certificate.subject.size(), ClientCertificate::kSubjectBytesMax));
  certificate.common_name = CommonName(X509_get_subject_name(x509));
  ToUnixSeconds(X509_get0_notAfter(x509), &certificate.not_after);
  bssl::UniquePtr<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x509, NID_subject_alt_name, nullptr, nullptr)));
  for (size_t i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      Add(AlternativeName::Type::kDns, name->d.dNSName, &certificate);
    } else if (name->type == GEN_URI) {
      Add(AlternativeName::Type::kUri, name->d.uniformResourceIdentifier, &certificate);
    } else if (name->type == GEN_EMAIL) {
      Add(AlternativeName::Type::kEmail, name->d.rfc822Name, &certificate);
    }
  }
  return certificate;
}

namespace {

// REQUIRES: a rule about alternative names.
AlternativeName::Type TypeOf(UserRule rule) {
  return rule == UserRule::kDns     ? AlternativeName::Type::kDns
         : rule == UserRule::kEmail ? AlternativeName::Type::kEmail
                                    : AlternativeName::Type::kUri;
}

}  // namespace

bool ClientCertificateAllows(const ClientCertificate* certificate, UserRule rule,
                             std::string_view user) {
  switch (rule) {
    case UserRule::kNone:
      return true;
    case UserRule::kCommonName:
      return certificate != nullptr && !user.empty() && certificate->common_name == user;
    case UserRule::kDns:
    case UserRule::kEmail:
    case UserRule::kUri:
      return certificate != nullptr && !user.empty() &&
             std::any_of(certificate->names.begin(), certificate->names.end(),
                         [&](const AlternativeName& name) {
                           return name.type == TypeOf(rule) && name.value == user;
                         });
  }
  return false;
}

std::string WhyRefused(const ClientCertificate* certificate, UserRule rule) {
  if (certificate == nullptr) return "no client certificate was sent";
  if (rule == UserRule::kCommonName) {
    return certificate->common_name.empty()
               ? "the client certificate has no CN that could be one"
               : "the client certificate's CN is '" + certificate->common_name + "'";
  }
  const char* const kind = rule == UserRule::kDns     ? "DNS name"
                           : rule == UserRule::kEmail ? "e-mail address"
                                                      : "URI";
  std::string names;
  for (const AlternativeName& name : certificate->names) {
    if (name.type == TypeOf(rule)) names += (names.empty() ? "'" : ", '") + name.value + "'";
  }
  return names.empty() ? std::string("the client certificate has no ") + kind
                       : std::string("the client certificate's ") + kind + " is " + names;
}

}  // namespace sallyport::tls
