#include "tls/x509_text.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/x509.h>

#include <algorithm>

#include "absl/time/time.h"

namespace sallyport::tls {
namespace {

constexpr int kCommonNameBytesMax = 256;  // ub-common-name of X.509 is 64 characters.

}  // namespace

std::string NameText(const X509_NAME* name, NameOrder order) {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  unsigned long flags = XN_FLAG_RFC2253;  // NOLINT(runtime/int): the library's type.
  if (order == NameOrder::kCertificates) {
    flags &= ~static_cast<unsigned long>(XN_FLAG_DN_REV);  // NOLINT(runtime/int)
  }
  const uint8_t* text = nullptr;
  size_t size = 0;
  if (bio == nullptr || X509_NAME_print_ex(bio.get(), name, 0, flags) < 0 ||
      !BIO_mem_contents(bio.get(), &text, &size)) {
    return "";
  }
  return std::string(reinterpret_cast<const char*>(text), size);
}

std::string CommonName(const X509_NAME* name) {
  const int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (index < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, index) >= 0) {
    return "";
  }
  const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index));
  uint8_t* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, value);
  bssl::UniquePtr<uint8_t> own(utf8);
  if (size < 0 || size > kCommonNameBytesMax) {
    return "";
  }
  const std::string text(reinterpret_cast<const char*>(utf8), static_cast<size_t>(size));
  return HasControlCharacter(text) ? "" : text;
}

bool ToUnixSeconds(const ASN1_TIME* time, int64_t* seconds) {
  bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int rest = 0;
  if (epoch == nullptr || !ASN1_TIME_diff(&days, &rest, epoch.get(), time)) {
    return false;
  }
  *seconds = int64_t{days} * 86400 + rest;
  return true;
}

std::string FormatUtc(int64_t seconds) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(seconds),
                          absl::UTCTimeZone());
}

bool HasControlCharacter(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace sallyport::tls
