#include "tls/pem.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>

#include <climits>
#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tls/library_error.h"

namespace sallyport::tls {
namespace {

// AtEnd tells "there is no further block" from "the next block is damaged".
bool AtEnd() {
  const uint32_t error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

}  // namespace

bool IsCertificate(const PemBlock& block) {
  return block.label == "CERTIFICATE" || block.label == "X509 CERTIFICATE";
}

absl::StatusOr<std::vector<PemBlock>> ReadPem(std::string_view text) {
  LibraryErrors errors;
  if (text.size() > INT_MAX) {
    return absl::InvalidArgumentError("the PEM is too large");
  }
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (bio == nullptr) {
    return absl::ResourceExhaustedError("no memory to read the PEM");
  }
  std::vector<PemBlock> blocks;
  for (;;) {
    char* label = nullptr;
    char* header = nullptr;
    uint8_t* data = nullptr;
    long size = 0;  // NOLINT(runtime/int): the library's type.
    if (PEM_read_bio(bio.get(), &label, &header, &data, &size) != 1) {
      break;
    }
    // OPENSSL_free wipes what it frees, so no second copy of a key stays behind.
    bssl::UniquePtr<char> own_label(label);
    bssl::UniquePtr<char> own_header(header);
    bssl::UniquePtr<uint8_t> own_data(data);
    PemBlock block;
    block.label = label;
    block.encrypted = std::string_view(header).find("ENCRYPTED") != std::string_view::npos;
    block.der = Secret(std::span<const uint8_t>(data, static_cast<size_t>(size)));
    blocks.push_back(std::move(block));
  }
  if (!AtEnd()) {
    return absl::InvalidArgumentError(
        absl::StrCat("block ", blocks.size() + 1, " of the PEM is damaged: ", TakeLibraryError()));
  }
  return blocks;
}

}  // namespace sallyport::tls
