// ClientCertificate: who a client says it is, on its certificate's word.
#ifndef TLS_CLIENT_CERTIFICATE_H_
#define TLS_CLIENT_CERTIFICATE_H_

#include <openssl/base.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::tls {

// AlternativeName is an entry of subjectAltName, without control characters.
struct AlternativeName {
  enum class Type { kDns, kUri, kEmail };
  Type type;
  std::string value;
};

// All texts are safe in a log, and bounded: a certificate is the CA's word, but its length is the
// client's.
struct ClientCertificate {
  static constexpr size_t kSubjectBytesMax = 512;
  static constexpr size_t kNamesMax = 16;
  static constexpr size_t kNameBytesMax = 256;

  std::string subject;      // As RFC 2253 has it: "CN=app,O=Example". Cut at kSubjectBytesMax.
  std::string common_name;  // UTF-8. Empty without, or where there is more than one, or it is long.
  std::vector<AlternativeName> names;  // The first kNamesMax of at most kNameBytesMax each.
  int64_t not_after = 0;               // Unix seconds.
};

// ReadClientCertificate reads what `x509` says; whether to believe it is ClientAuth's business.
ClientCertificate ReadClientCertificate(const X509* x509);

// What ties a certificate to the user name of a log-in.
enum class UserRule {
  kNone,        // Nothing: any certificate, and none, will do.
  kCommonName,  // The CN is the user name.
  // One of subjectAltName's entries of that kind is. Each kind for itself, since a CA may vouch for
  // one and let clients write what they like into another.
  kDns,
  kEmail,
  kUri,
};

// ClientCertificateAllows says whether the holder of `certificate` (null: none was sent) may log in
// as `user`. Compared byte by byte, as MySQL compares user names; nothing that was cut or left out
// above is ever equal, nor is an empty name.
bool ClientCertificateAllows(const ClientCertificate* certificate, UserRule rule,
                             std::string_view user);

// WhyRefused says so in a few words for client and operator: "its CN is \"ann\"", "it has no CN",
// "there is none". REQUIRES: !ClientCertificateAllows(certificate, rule, user).
std::string WhyRefused(const ClientCertificate* certificate, UserRule rule);

}  // namespace sallyport::tls

#endif  // TLS_CLIENT_CERTIFICATE_H_
