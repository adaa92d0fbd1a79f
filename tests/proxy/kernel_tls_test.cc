#include "proxy/kernel_tls.h"

#include <gtest/gtest.h>
#include <linux/tls.h>

#include <cstring>

namespace sallyport {
namespace {

tls::WriteKeys Keys(tls::Aead aead, bool tls13) {
  tls::WriteKeys keys;
  keys.aead = aead;
  keys.tls13 = tls13;
  keys.key_size = aead == tls::Aead::kAes128Gcm ? 16 : 32;
  for (size_t i = 0; i < keys.key_size; ++i) keys.key_bytes[i] = static_cast<uint8_t>(0x80 + i);
  for (size_t i = 0; i < keys.iv.size(); ++i) keys.iv[i] = static_cast<uint8_t>(0x10 + i);
  keys.sequence = 0x0102030405060708;
  return keys;
}

// What the kernel's struct says of `keys`, whose fields must come back.
template <typename Info>
void ExpectSame(const tls::WriteKeys& keys, uint16_t version, uint16_t cipher) {
  const CryptoInfo made(keys);
  ASSERT_EQ(made.bytes().size(), sizeof(Info));
  Info info;
  std::memcpy(&info, made.bytes().data(), sizeof(info));
  EXPECT_EQ(info.info.version, version);
  EXPECT_EQ(info.info.cipher_type, cipher);
  ASSERT_EQ(sizeof(info.key), keys.key_size);
  EXPECT_EQ(std::memcmp(info.key, keys.key().data(), sizeof(info.key)), 0);
  // The salt is the nonce's beginning.
  EXPECT_EQ(std::memcmp(info.salt, keys.iv.data(), sizeof(info.salt)), 0);
  EXPECT_EQ(std::memcmp(info.iv, keys.iv.data() + sizeof(info.salt), sizeof(info.iv)), 0);
  EXPECT_EQ(std::memcmp(info.rec_seq, "\x01\x02\x03\x04\x05\x06\x07\x08", 8), 0);
}

TEST(KernelTlsTest, KeysInTheKernelsWords) {
  for (const bool tls13 : {false, true}) {
    const uint16_t version = tls13 ? TLS_1_3_VERSION : TLS_1_2_VERSION;
    ExpectSame<tls12_crypto_info_aes_gcm_128>(Keys(tls::Aead::kAes128Gcm, tls13), version,
                                              TLS_CIPHER_AES_GCM_128);
    ExpectSame<tls12_crypto_info_aes_gcm_256>(Keys(tls::Aead::kAes256Gcm, tls13), version,
                                              TLS_CIPHER_AES_GCM_256);
    ExpectSame<tls12_crypto_info_chacha20_poly1305>(Keys(tls::Aead::kChaCha20Poly1305, tls13),
                                                    version, TLS_CIPHER_CHACHA20_POLY1305);
  }
}

// Whatever this kernel can: what isn't taken is told.
TEST(KernelTlsTest, TheProbeTellsWhatIsMissing) {
  const KernelTls found = KernelTls::Probe();
  bool all = true;
  bool any = false;
  for (const bool tls13 : {false, true}) {
    for (const tls::Aead aead :
         {tls::Aead::kAes128Gcm, tls::Aead::kAes256Gcm, tls::Aead::kChaCha20Poly1305}) {
      const bool taken = found.Takes(Keys(aead, tls13));
      const bool changed = found.ChangesKeys(Keys(aead, tls13));
      EXPECT_TRUE(!changed || (taken && tls13));
      EXPECT_TRUE(!changed || found.changes_keys());
      all = all && taken;
      any = any || taken;
    }
  }
  EXPECT_EQ(found.any(), any);
  EXPECT_EQ(found.lacks().empty(), all) << found.lacks();
  EXPECT_FALSE(KernelTls().any());
  EXPECT_FALSE(KernelTls().changes_keys());
}

}  // namespace
}  // namespace sallyport
