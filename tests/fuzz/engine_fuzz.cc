// tls::Engine with bytes from the network. int<1> form: under 64 the rest is what a client sends,
// in pieces; else a genuine client's stream in which the input changes bytes: int<2> where, int<1>
// how, again and again. Changed or not, what is opened is what that client sealed.
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/support/test_certs.h"
#include "tests/support/tls_client.h"
#include "tls/engine.h"

namespace sallyport::fuzz {
namespace {

using Status = tls::Engine::Status;
using tests::TlsClient;

const tls::Context& TestContext() {
  static const tls::Context* const context = [] {
    const std::string& key = tests::TestKeyPem(tests::KeyType::kP256);
    const std::string certificate = tests::MakeCertificatePem(key, {});
    return tls::Context::Create({certificate, key, tests::kTestNow}).value().release();
  }();
  return *context;
}

// The proxy's end. Rooms have the least size that the contract asks for.
class Server {
 public:
  bool alive() const { return alive_; }
  bool handshake_done() const { return engine_.handshake_done(); }
  const std::string& opened() const { return opened_; }
  std::vector<uint8_t> TakeSent() { return std::exchange(sent_, {}); }

  void Receive(Buffer piece) {
    Bytes in(piece);
    if (!engine_.handshake_done()) {
      Judge(Call(tls::Engine::kHandshakeRoom,
                 [&](tls::Room* out) { return engine_.Handshake(&in, out); }));
      if (!engine_.handshake_done()) FUZZ_CHECK(in.empty());
    }
    if (alive_ && engine_.handshake_done()) Open(in);
  }
  void Seal(Bytes plain) {
    Judge(Call(tls::Engine::SealedSizeMax(plain.size()),
               [&](tls::Room* out) { return engine_.Seal(plain, out); }));
  }

 private:
  template <typename Do>
  Status Call(size_t room, Do call) {
    Buffer memory(room);
    tls::Room out{memory, 0};
    const Status status = call(&out);
    sent_.insert(sent_.end(), memory.begin(), memory.begin() + static_cast<ptrdiff_t>(out.used));
    return status;
  }
  void Open(Bytes in) {
    Buffer memory(in.size() + tls::Engine::kRecordPlaintextMax);
    tls::Room plain{memory, 0};
    const Status status = Call(tls::Engine::kControlRoom,
                               [&](tls::Room* out) { return engine_.Open(in, &plain, out); });
    FUZZ_CHECK(status != Status::kOk);
    opened_ += packet::AsText(Bytes(memory).first(plain.used));
    Judge(status);
  }
  void Judge(Status status) {
    if (status == Status::kError) FUZZ_CHECK(!engine_.error().empty());
    if (status == Status::kError || status == Status::kClosed) alive_ = false;
  }

  tls::Engine engine_{TestContext()};
  bool alive_ = true;
  std::string opened_;
  std::vector<uint8_t> sent_;
};

tests::TlsClientOptions Options(uint8_t form) {
  tests::TlsClientOptions options;
  if ((form & 1) != 0) options.version_max = tests::kTls12;
  return options;
}

// The genuine client, and the hand on the wire that changes its bytes.
class Tampered {
 public:
  Tampered(uint8_t form, Input* input) : input_(*input), client_(Options(form)) { Aim(); }

  void Run() {
    std::span<const uint8_t> none;
    std::vector<uint8_t> said;
    client_.Handshake(&none, &said);
    for (int flight = 0; flight < 10 && server_.alive() && !said.empty(); ++flight) {
      Send(&said);
      const std::vector<uint8_t> answer = server_.TakeSent();
      std::span<const uint8_t> in(answer);
      if (client_.handshake_done()) continue;
      if (client_.Handshake(&in, &said) == TlsClient::Status::kError) return;
    }
    if (client_.handshake_done() && server_.alive() && server_.handshake_done()) Talk();
  }

 private:
  void Talk() {
    std::string sealed;
    for (int i = 0; i < 4 && server_.alive(); ++i) {
      const std::string text(static_cast<size_t>(1) << (4 * i), static_cast<char>('a' + i));
      sealed += text;
      std::vector<uint8_t> records;
      client_.Seal(packet::AsBytes(text), &records);
      Send(&records);
      FUZZ_CHECK(sealed.starts_with(server_.opened()));
      if (changed_ == 0) FUZZ_CHECK(sealed == server_.opened());
    }
    if (!server_.alive()) return;
    server_.TakeSent();
    server_.Seal(packet::AsBytes(sealed));
    std::vector<uint8_t> plain;
    std::vector<uint8_t> reply;
    client_.Open(server_.TakeSent(), &plain, &reply);
  }

  void Send(std::vector<uint8_t>* said) {
    Buffer bytes = packet::Exact(packet::Bytes(*said));
    said->clear();
    for (; aimed_ && target_ < sent_ + bytes.size(); Aim()) {
      uint8_t& byte = bytes[target_ - sent_];
      byte = static_cast<uint8_t>(byte ^ change_);
      changed_ += change_ != 0 ? 1 : 0;
    }
    sent_ += bytes.size();
    server_.Receive(std::move(bytes));
  }
  // The next byte to change, behind the last.
  void Aim() {
    aimed_ = !input_.empty();
    target_ = std::max(target_, sent_) + input_.Int(2);
    change_ = input_.Byte();
  }

  Input& input_;
  TlsClient client_;
  Server server_;
  size_t sent_ = 0;
  size_t target_ = 0;
  bool aimed_ = false;
  uint8_t change_ = 0;
  int changed_ = 0;
};

void RunRaw(uint8_t form, Input* input) {
  Server server;
  const size_t piece = form == 0 ? SIZE_MAX : size_t{form} * 8;
  while (!input->empty() && server.alive()) server.Receive(input->Take(piece));
  FUZZ_CHECK(!server.handshake_done());  // No input knows the server's random bytes.
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const uint8_t form = input.Byte();
  if (form < 64) {
    fuzz::RunRaw(form, &input);
  } else {
    fuzz::Tampered(form, &input).Run();
  }
  return 0;
}
