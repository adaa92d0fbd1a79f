// A client's answer to the greeting: int<1> size and bytes of another auth_response, the payload.
#include "packet/handshake_response.h"
#include "tests/fuzz/login_check.h"

namespace sallyport::fuzz {
namespace {

using packet::ClientReply;

ClientReply Classify(Bytes payload) {
  Text text{packet::AsText(payload)};
  const uint64_t flags = text.Int(4);
  if (!text.ok) return ClientReply::kMalformed;
  if ((flags & packet::CLIENT_PROTOCOL_41) == 0) return ClientReply::kPre41;
  if (payload.size() > 32) return ClientReply::kHandshakeResponse41;
  const bool size_fits = payload.size() == 4 || payload.size() == 32;
  return size_fits && (flags & packet::CLIENT_SSL) != 0 ? ClientReply::kSslRequest
                                                        : ClientReply::kMalformed;
}

void Replace(Bytes payload, const packet::HandshakeResponse& response, const LoginText& before,
             Bytes auth_response) {
  Buffer out(payload.size() + auth_response.size() + 9);
  const size_t size = packet::ReplaceAuthResponse(payload, response, auth_response, out);
  const bool lenenc =
      (response.capability_flags & packet::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) != 0;
  const bool one_byte = (response.capability_flags & packet::CLIENT_SECURE_CONNECTION) != 0;
  const bool has_nul = packet::AsText(auth_response).find('\0') != std::string_view::npos;
  FUZZ_CHECK((size > 0) == (lenenc || one_byte || !has_nul));
  if (size == 0) return;
  const Buffer exact = packet::Exact(Bytes(out).first(size));
  CheckReplaced(before, ReadLogin(packet::AsText(exact)), packet::AsText(auth_response), payload,
                exact);
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const fuzz::Buffer auth_response = input.Take(input.Byte());
  fuzz::Buffer payload = input.Rest();
  FUZZ_CHECK(packet::ClassifyClientReply(payload) == fuzz::Classify(payload));
  packet::HandshakeResponse response;
  const packet::Parse parse = packet::ParseHandshakeResponse(payload, &response);
  const auto expected = fuzz::ReadLogin(packet::AsText(payload));
  FUZZ_CHECK((parse == packet::Parse::kOk) == expected.has_value());
  FUZZ_CHECK(parse != packet::Parse::kNeedMore);
  if (!expected) return 0;
  fuzz::CheckLogin(response, *expected, payload);
  fuzz::Replace(payload, response, *expected, auth_response);
  packet::ClearClientSsl(payload);
  packet::HandshakeResponse cleared;
  FUZZ_CHECK(packet::ParseHandshakeResponse(payload, &cleared) == packet::Parse::kOk);
  FUZZ_CHECK(cleared.capability_flags == (response.capability_flags & ~packet::CLIENT_SSL));
  return 0;
}
