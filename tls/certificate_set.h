// CertificateSet: several certificates behind one listener, chosen by what a client asks for.
#ifndef TLS_CERTIFICATE_SET_H_
#define TLS_CERTIFICATE_SET_H_

#include <openssl/base.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tls/certificate_info.h"
#include "tls/name_table.h"

namespace sallyport::tls {

// CertificateSet is filled once and then immutable: lookups take no lock and, for ordinary names,
// no memory. Each certificate has an SSL_CTX of its own, and choosing one hands the connection over
// to that.
//
// Names are a certificate's DNS names, or its CN where it has none, as a NameTable has them.
//
// Of the certificates with a name the client's signature algorithms decide (and in TLS 1.2 its
// ciphers and groups): of those whose key it can verify, it gets the one that is cheapest for us
// (ECDSA P-256, Ed25519, P-384, P-521, RSA), and among equals the first; those with the exact name
// come before those with a wildcard. A client that can't verify any is given the first all the
// same, and fails with NO_COMMON_SIGNATURE_ALGORITHMS or NO_SHARED_CIPHER. A client that names
// nobody we know, or nobody, gets a certificate with the first name of the first certificate: the
// default.
class CertificateSet {
 public:
  CertificateSet() = default;
  ~CertificateSet();
  CertificateSet(const CertificateSet&) = delete;
  CertificateSet& operator=(const CertificateSet&) = delete;

  // Add adds a certificate that `ctx` is set up with. The first makes the default.
  void Add(bssl::UniquePtr<SSL_CTX> ctx, const CertificateInfo& info);

 private:
  friend struct CertificateChoice;  // The library's way to here.
  friend void ChooseByName(std::shared_ptr<CertificateSet>, SSL_CTX*);

  struct Certificate {
    bssl::UniquePtr<SSL_CTX> own;  // Null for the one the set is attached to, which owns the set.
    SSL_CTX* ctx = nullptr;
    int cost = 0;
    std::vector<uint16_t> algorithms;        // That TLS 1.3 allows its key.
    std::vector<uint16_t> tls12_algorithms;  // Likewise TLS 1.2.
    std::vector<uint16_t> tls12_ciphers;     // That go with its key.
    uint16_t tls12_group = 0;  // Its curve, which a client of TLS 1.2 must know. 0: it has none.
  };
  using Group = std::vector<const Certificate*>;  // Cheapest first.

  std::vector<std::unique_ptr<Certificate>> certificates_;
  NameTable<Group> groups_;
  std::string default_name_;  // The first of the first; empty where it has none.
  Group default_;
};

// ChooseByName makes connections of `ctx`, which is the set's first and has another owner, choose
// from the set, and keeps the set.
void ChooseByName(std::shared_ptr<CertificateSet> set, SSL_CTX* ctx);

}  // namespace sallyport::tls

#endif  // TLS_CERTIFICATE_SET_H_
