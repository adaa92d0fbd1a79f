#include "tests/tls/wire.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sallyport::tls {
namespace {

// RoomOf is a heap block of exactly `size` bytes as a Room, and what was appended to it after.
struct RoomOf {
  explicit RoomOf(size_t size) : block(new uint8_t[size]), room{{block.get(), size}} {}

  void AppendTo(Bytes* out) const { out->insert(out->end(), block.get(), block.get() + room.used); }

  std::unique_ptr<uint8_t[]> block;
  Room room;
};

void ExpectNoLibraryErrors() {
  EXPECT_EQ(ERR_peek_error(), 0u) << "the library's error queue isn't empty";
}

// TakePiece moves at most `piece` bytes from the front of `*from`.
Bytes TakePiece(Bytes* from, size_t piece) {
  const ptrdiff_t count = static_cast<ptrdiff_t>(std::min(piece, from->size()));
  Bytes taken(from->begin(), from->begin() + count);
  from->erase(from->begin(), from->begin() + count);
  return taken;
}

}  // namespace

Bytes ToBytes(std::string_view text) { return Bytes(text.begin(), text.end()); }

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

Bytes Pattern(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<uint8_t>(i ^ (i >> 8) ^ (i >> 16));
  }
  return bytes;
}

std::unique_ptr<Context> MakeContext(tests::KeyType type, bool defer_signatures) {
  const std::string& key = tests::TestKeyPem(type);
  const std::string certificate = tests::MakeCertificatePem(key, {});
  absl::StatusOr<std::unique_ptr<Context>> context =
      Context::Create({.certificate_pem = certificate,
                       .private_key_pem = key,
                       .now = tests::kTestNow,
                       .defer_signatures = defer_signatures});
  if (!context.ok()) {
    std::fprintf(stderr, "%s\n", context.status().ToString().c_str());
    std::abort();
  }
  ExpectNoLibraryErrors();
  return *std::move(context);
}

Engine::Status Server::Handshake(Bytes* in, Bytes* out) {
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[in->size()]);
  std::copy(in->begin(), in->end(), exact.get());
  std::span<const uint8_t> rest(exact.get(), in->size());
  RoomOf room(Engine::kHandshakeRoom);
  const Engine::Status status = engine_.Handshake(&rest, &room.room);
  in->assign(rest.begin(), rest.end());
  room.AppendTo(out);
  ExpectNoLibraryErrors();
  return status;
}

Engine::Status Server::Open(std::span<const uint8_t> in, Bytes* plain, Bytes* out) {
  RoomOf plain_room(in.size() + Engine::kRecordPlaintextMax);
  RoomOf room(Engine::kControlRoom);
  const Engine::Status status = engine_.Open(in, &plain_room.room, &room.room);
  plain_room.AppendTo(plain);
  room.AppendTo(out);
  ExpectNoLibraryErrors();
  return status;
}

Engine::Status Server::Seal(std::span<const uint8_t> plain, Bytes* out) {
  RoomOf room(Engine::SealedSizeMax(plain.size()));
  const Engine::Status status = engine_.Seal(plain, &room.room);
  room.AppendTo(out);
  ExpectNoLibraryErrors();
  return status;
}

void Server::Close(Bytes* out, Engine::Ending ending) {
  RoomOf room(Engine::kControlRoom);
  engine_.Close(&room.room, ending);
  room.AppendTo(out);
  ExpectNoLibraryErrors();
}

void Server::Sign() {
  engine_.FinishSignature(engine_.TakeSignatureRequest().Sign());
  ExpectNoLibraryErrors();
  ++signatures_;
}

bool Shake(Server* server, TlsClient* client, size_t piece) {
  Bytes to_server;
  Bytes to_client;
  std::span<const uint8_t> nothing;
  client->Handshake(&nothing, &to_server);
  Engine::Status server_status = Engine::Status::kNeedMore;
  TlsClient::Status client_status = TlsClient::Status::kNeedMore;
  while (!to_server.empty() || !to_client.empty()) {
    Bytes to_server_now = TakePiece(&to_server, piece);
    if (!to_server_now.empty() && server_status == Engine::Status::kNeedMore) {
      server_status = server->Handshake(&to_server_now, &to_client);
      if (server_status == Engine::Status::kWantSignature) {
        server->Sign();
        server_status = server->Handshake(&to_server_now, &to_client);
      }
      EXPECT_TRUE(to_server_now.empty()) << "bytes behind Finished that nobody sent";
    }
    const Bytes to_client_now = TakePiece(&to_client, piece);
    std::span<const uint8_t> rest(to_client_now);
    if (!rest.empty() && client_status == TlsClient::Status::kNeedMore) {
      client_status = client->Handshake(&rest, &to_server);
    }
    if (!rest.empty() && client_status == TlsClient::Status::kOk) {
      Bytes plain;  // There is none, but a ticket may have come, or an alert.
      if (client->Open(rest, &plain, &to_server) == TlsClient::Status::kError) {
        client_status = TlsClient::Status::kError;
      }
    }
  }
  return server_status == Engine::Status::kOk && client_status == TlsClient::Status::kOk;
}

Pair::Pair(const TlsClientOptions& options, const Context* context, size_t piece) {
  if (context == nullptr) {
    own_context = MakeContext();
    context = own_context.get();
  }
  server = std::make_unique<Server>(*context);
  client = std::make_unique<TlsClient>(options);
  if (!Shake(server.get(), client.get(), piece)) {
    std::fprintf(stderr, "no handshake: server %s, client %s\n", server->engine().error().c_str(),
                 client->error().c_str());
    std::abort();
  }
}

Bytes SendToServer(Pair* pair, std::span<const uint8_t> plain) {
  Bytes sealed;
  Bytes opened;
  Bytes answer;
  EXPECT_EQ(pair->client->Seal(plain, &sealed), TlsClient::Status::kOk);
  EXPECT_EQ(pair->server->Open(sealed, &opened, &answer), Engine::Status::kNeedMore);
  EXPECT_EQ(answer.size(), 0u);
  return opened;
}

Bytes SendToClient(Pair* pair, std::span<const uint8_t> plain) {
  Bytes sealed;
  Bytes opened;
  Bytes answer;
  EXPECT_EQ(pair->server->Seal(plain, &sealed), Engine::Status::kOk);
  EXPECT_EQ(pair->client->Open(sealed, &opened, &answer), TlsClient::Status::kNeedMore);
  EXPECT_EQ(answer.size(), 0u);
  return opened;
}

}  // namespace sallyport::tls
