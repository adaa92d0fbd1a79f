"""The files of a checkout of upstream BoringSSL, whose generated sources are checked in."""

load(
    ":gen/sources.bzl",
    "bcm_internal_headers",
    "bcm_sources",
    "bcm_sources_asm",
    "crypto_headers",
    "crypto_internal_headers",
    "crypto_sources",
    "crypto_sources_asm",
    "ssl_headers",
    "ssl_internal_headers",
    "ssl_sources",
)

INCLUDE = "include"
CRYPTO_HEADERS = crypto_headers
CRYPTO_SOURCES = bcm_sources + bcm_internal_headers + crypto_sources + crypto_internal_headers

# Every file guards itself by architecture.
CRYPTO_ASSEMBLY = bcm_sources_asm + crypto_sources_asm
CRYPTO_FRAGMENTS = []
SSL_HEADERS = ssl_headers
SSL_SOURCES = ssl_sources + ssl_internal_headers
