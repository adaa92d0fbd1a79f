"""The files of Debian's source package, which is Android's copy of BoringSSL."""

load(
    ":BUILD.generated.bzl",
    "crypto_headers",
    "crypto_internal_headers",
    "crypto_sources",
    "crypto_sources_linux_aarch64",
    "crypto_sources_linux_x86_64",
    "fips_fragments",
    "ssl_headers",
    "ssl_internal_headers",
    "ssl_sources",
)

INCLUDE = "src/include"
CRYPTO_HEADERS = crypto_headers
CRYPTO_SOURCES = crypto_sources + crypto_internal_headers

# One file includes them all: none is compiled by itself.
CRYPTO_FRAGMENTS = fips_fragments
CRYPTO_ASSEMBLY = select({
    "@platforms//cpu:aarch64": crypto_sources_linux_aarch64,
    "@platforms//cpu:x86_64": crypto_sources_linux_x86_64,
})
SSL_HEADERS = ssl_headers
SSL_SOURCES = ssl_sources + ssl_internal_headers
