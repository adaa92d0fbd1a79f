// A self-signed certificate with an RSA key; tls::MakeSelfSigned makes those with ECDSA.
#ifndef BENCH_LIB_CERTIFICATE_H_
#define BENCH_LIB_CERTIFICATE_H_

#include "tls/self_signed.h"

namespace sallyport::bench {

tls::CertificatePair MakeRsaCertificate(int bits);

}  // namespace sallyport::bench

#endif  // BENCH_LIB_CERTIFICATE_H_
