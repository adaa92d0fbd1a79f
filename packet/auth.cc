#include "packet/auth.h"

#include <array>

namespace sallyport::packet {
namespace {

constexpr uint8_t kOkMarker = 0x00;
constexpr uint8_t kAuthMoreDataMarker = 0x01;
constexpr uint8_t kAuthSwitchMarker = 0xFE;
constexpr uint8_t kErrMarker = 0xFF;

struct Plugin {
  std::string_view name;
  PluginKind kind;
};

// The names by which *clients* call their plugins: only these are on the wire. Plugins of servers
// alone (auth_socket, unix_socket, named_pipe, mysql_no_login, auth_pam, pam, ed25519, gssapi,
// authentication_ldap_simple, ...) have either no client part, or one under a name below.
constexpr std::array kPlugins = {
    // MySQL's default since 8.0; MariaDB's clients have it, and its newest servers.
    Plugin{"caching_sha2_password", PluginKind::kCachingSha2},
    // MySQL 5.6 to 9.x, deprecated; MariaDB's clients.
    Plugin{"sha256_password", PluginKind::kSha256},

    // SHA-1 of the password and a nonce; MariaDB's default, MySQL's up to 5.7, gone from 9.0.
    Plugin{"mysql_native_password", PluginKind::kChallengeResponse},
    // 8 bytes of an old, weak hash over a nonce; gone from MySQL 5.7.5, still in MariaDB.
    Plugin{"mysql_old_password", PluginKind::kChallengeResponse},
    // MariaDB: signs the nonce with a key made of the password.
    Plugin{"client_ed25519", PluginKind::kChallengeResponse},
    // MariaDB since 11.6: signs both ends' nonces with a key made of the password and a salt.
    Plugin{"parsec", PluginKind::kChallengeResponse},
    // MariaDB: GSSAPI or SSPI tokens; the password goes to the KDC, if anywhere.
    Plugin{"auth_gssapi_client", PluginKind::kChallengeResponse},
    // MySQL: SCRAM-SHA-1, SCRAM-SHA-256 or GSSAPI; the server has no other SASL mechanism.
    Plugin{"authentication_ldap_sasl_client", PluginKind::kChallengeResponse},
    // MySQL: Kerberos tickets.
    Plugin{"authentication_kerberos_client", PluginKind::kChallengeResponse},
    // MySQL: SSPI, which is Kerberos or NTLM.
    Plugin{"authentication_windows_client", PluginKind::kChallengeResponse},
    // MySQL 8.0 and 8.2: an authenticator device signs the challenge.
    Plugin{"authentication_fido_client", PluginKind::kChallengeResponse},
    Plugin{"authentication_webauthn_client", PluginKind::kChallengeResponse},
    // MySQL: signs the nonce with the client's OCI key. The token it may add is of no use without.
    Plugin{"authentication_oci_client", PluginKind::kChallengeResponse},
    // MariaDB's clients put this name where they lack a plugin; it sends empty packets.
    Plugin{"dummy_fallback_auth", PluginKind::kChallengeResponse},

    // The password and a NUL: PAM, LDAP simple bind, cloud providers' IAM tokens.
    Plugin{"mysql_clear_password", PluginKind::kCleartext},
    // PAM of MariaDB and Percona: the answers to questions of the server, the password among them.
    Plugin{"dialog", PluginKind::kCleartext},
    // MySQL since 9.1: a bearer token. Its client refuses to send it without TLS.
    Plugin{"authentication_openid_connect_client", PluginKind::kCleartext},
};

static_assert(kPlugins.size() == kPluginsKnown);

}  // namespace

AuthPacket ClassifyAuthPacket(Bytes payload, bool multi_factor) {
  if (payload.empty()) {
    return AuthPacket::kPluginData;
  }
  switch (payload[0]) {
    case kOkMarker:
      return AuthPacket::kOk;
    case kErrMarker:
      return AuthPacket::kErr;
    case kAuthSwitchMarker:
      return payload.size() == 1 ? AuthPacket::kOldAuthSwitch : AuthPacket::kAuthSwitchRequest;
    case kAuthNextFactorMarker:
      return multi_factor ? AuthPacket::kAuthNextFactor : AuthPacket::kPluginData;
    default:
      return AuthPacket::kPluginData;
  }
}

Bytes PluginData(Bytes payload) {
  const bool marked = !payload.empty() && payload[0] == kAuthMoreDataMarker;
  return marked ? payload.subspan(1) : payload;
}

Parse ParseAuthSwitch(Bytes payload, AuthSwitch* out) {
  Reader reader(payload);
  Bytes name;
  if (!reader.Skip(1) || !reader.ReadNulTerminated(&name)) {
    return Parse::kMalformed;
  }
  *out = {.auth_plugin_name = AsText(name), .auth_plugin_data = reader.rest()};
  return Parse::kOk;
}

Bytes UselessAnswer(std::string_view auth_plugin_name) {
  static constexpr std::array<uint8_t, 64> kNoSignature{};
  return auth_plugin_name == "client_ed25519" ? Bytes(kNoSignature) : Bytes();
}

size_t PluginIndex(std::string_view auth_plugin_name) {
  if (auth_plugin_name.empty()) auth_plugin_name = "mysql_native_password";
  for (size_t i = 0; i < kPlugins.size(); ++i) {
    // Exactly: a server may not care for case, but clients load their plugins by the exact name.
    if (kPlugins[i].name == auth_plugin_name) return i;
  }
  return kPluginsKnown;
}

std::string_view PluginName(size_t index) {
  return index < kPlugins.size() ? kPlugins[index].name : std::string_view();
}

PluginKind PluginKindOf(std::string_view auth_plugin_name) {
  const size_t index = PluginIndex(auth_plugin_name);
  return index < kPlugins.size() ? kPlugins[index].kind : PluginKind::kUnknown;
}

}  // namespace sallyport::packet
