// What X.509's fields say, as text and numbers of ours. Private to tls/.
#ifndef TLS_X509_TEXT_H_
#define TLS_X509_TEXT_H_

#include <openssl/base.h>

#include <cstdint>
#include <string>

namespace sallyport::tls {

// NameText writes a name as RFC 2253 escapes it: ASCII without control characters, safe in a log.
// Ours are in the certificate's order ("O=Example,CN=db"); the RFC's is the other way round.
enum class NameOrder { kCertificates, kRfc2253 };
std::string NameText(const X509_NAME* name, NameOrder order);

// CommonName is the name's CN in UTF-8: empty where there is none, more than one (nobody could say
// which is meant), over 256 bytes, or where a control character is in it.
std::string CommonName(const X509_NAME* name);

// False, leaving `*seconds` alone, where it is no time.
bool ToUnixSeconds(const ASN1_TIME* time, int64_t* seconds);

std::string FormatUtc(int64_t seconds);  // "2025-01-31 12:00 UTC"

// HasControlCharacter says whether `text` must be kept away from logs and comparisons.
bool HasControlCharacter(const std::string& text);

}  // namespace sallyport::tls

#endif  // TLS_X509_TEXT_H_
