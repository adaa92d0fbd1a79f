// Server's side of authentication.
#include "packet/auth.h"
#include "packet/wire.h"
#include "tests/session/rsa.h"
#include "tests/sim/failure.h"
#include "tests/sim/server.h"

namespace sallyport::sim {
namespace {

constexpr size_t kUserAt = 32;  // In a HandshakeResponse41.

}  // namespace

void Server::OnLogin(const std::string& payload) {
  login_seen_ = true;
  if (payload.size() <= kUserAt) return Wrong("no HandshakeResponse41");
  const std::string user(payload.c_str() + kUserAt);
  client_ = host_.FindClient(user);
  if (client_ == nullptr) return OnThrowaway();
  if (client_->plan().tls && !client_->tls_done()) Fail("a log-in in clear behind SSLRequest");
  client_->ServedBy(this);
  if (host_.options.greets) {
    if (payload != client_->asking_login_payload()) return Wrong("another HandshakeResponse41");
    return Ask();
  }
  const std::string request = "\x01";
  if (payload != client_->login_payload(nullptr) &&
      !(account().first_plugin == tests::kSha256 && payload == client_->login_payload(&request))) {
    return Wrong("another HandshakeResponse41");
  }
  const size_t at = kUserAt + user.size() + 1;
  const size_t size = static_cast<uint8_t>(payload[at]);
  BeginAuth(payload.substr(at + 1, size), account().first_plugin);
}

void Server::OnThrowaway() {
  ++host_.coverage.throwaway_logins;
  if (host_.dice.OneIn(2)) return Deny();
  Say(tests::AuthSwitch(tests::kNative, tests::kSwitchNonce));
  state_ = State::kThrowaway;
}

// The proxy named a plugin that nobody has.
void Server::Ask() {
  ++host_.coverage.asked;
  second_factor_ = false;
  Switch('\xFE', account().plugin);
}

void Server::BeginAuth(const std::string& auth_response, std::string_view first_plugin) {
  second_factor_ = false;
  if (first_plugin != account().plugin) return Switch('\xFE', account().plugin);
  plugin_ = first_plugin;
  Judge(auth_response);
}

void Server::Switch(char kind, std::string_view plugin) {
  plugin_ = plugin;
  // The oldest switch, a byte alone: mysql_old_password with the nonce that is there.
  if (plugin == "mysql_old_password" && !second_factor_ && !host_.options.greets &&
      host_.dice.OneIn(2)) {
    state_ = State::kAnswer;
    return Say("\xFE");
  }
  nonce_ = std::string(second_factor_ ? tests::kOtherNonce : tests::kSwitchNonce);
  std::string payload = tests::AuthSwitch(plugin, nonce_);
  payload[0] = kind;
  state_ = State::kAnswer;
  Say(payload);
}

void Server::Judge(const std::string& response) {
  round_ = 0;
  const std::string& password = account().password;
  switch (packet::PluginKindOf(plugin_)) {
    case packet::PluginKind::kSha256:
      return JudgeSha256(response);
    case packet::PluginKind::kCleartext:
    case packet::PluginKind::kUnknown:
      if (response == Scrambled(plugin_, password, nonce_)) return Accept();
      return Check(response, password + '\0');
    case packet::PluginKind::kCachingSha2:
      if (password.empty() || account().wrong || response != Scrambled(plugin_, password, nonce_)) {
        return Check(response, Scrambled(plugin_, password, nonce_));
      }
      if (account().cached) {
        Say(tests::MoreData("\x03"));
        return Accept();
      }
      state_ = State::kPassword;
      return Say(tests::MoreData("\x04"));
    case packet::PluginKind::kChallengeResponse:
      if (response != Scrambled(plugin_, password, nonce_)) return Check(response, "");
      return OnRound("");
  }
}

void Server::JudgeSha256(const std::string& response) {
  // Nobody sends sha256_password's secret to a server in clear, not by unix socket either.
  if (response != "\x01") return Check(response, account().password.empty() ? response : "");
  state_ = State::kCiphertext;
  Say(tests::MoreData(tests::ServerPublicKeyPem()));
}

// The password in clear on a unix socket, else a request for the key.
void Server::OnSecret(const std::string& payload) {
  if (host_.options.unix_server) {
    if (!client_->plan().tls) ++host_.coverage.own_key;
    return Check(payload, account().password + '\0');
  }
  if (payload != "\x02") return Check(payload, "");
  if (client_->plan().tls) ++host_.coverage.mediated;
  state_ = State::kCiphertext;
  Say(tests::MoreData(tests::ServerPublicKeyPem()));
}

void Server::OnRound(const std::string& payload) {
  if (round_ > 0 && payload != Scrambled(plugin_, account().password + "?", question_)) {
    return Check(payload, "");
  }
  const bool over = round_++ == account().rounds || AnswersOnce(plugin_);
  if (over || account().password.empty()) return Accept();
  // MariaDB sends plugin data without the 01 of AuthMoreData.
  question_ = "R" + Pattern(host_.dice.Next(), 1 + host_.dice.Size(300));
  state_ = State::kRound;
  Say(host_.dice.OneIn(2) ? tests::MoreData(question_) : question_);
}

void Server::Check(const std::string& proof, const std::string& right) {
  if (proof == right) return Accept();
  // The proxy answers with what proves nothing in the place of a client that has gone or was
  // refused, which that client judges.
  if (!account().wrong && proof != packet::AsText(packet::UselessAnswer(plugin_))) {
    Wrong("another proof of the password, of " + std::to_string(proof.size()) + " bytes, for " +
          plugin_);
  }
  Deny();
}

void Server::Accept() {
  if (!account().factor.empty() && !second_factor_) {
    second_factor_ = true;
    return Switch('\x02', account().factor);
  }
  state_ = State::kCommands;
  continued_ = false;
  Say(tests::Ok());
  if (authentication_ == 0 && client_->plan().compressed()) compression_on_ = true;
}

void Server::Deny() {
  state_ = State::kOver;
  Say(tests::Err(1045));
  End();
}

}  // namespace sallyport::sim
