#include "tests/sim/plan.h"

#include <algorithm>

#include "packet/auth.h"
#include "packet/header.h"
#include "tests/session/packets.h"

namespace sallyport::sim {
namespace {

using packet::PluginKind;

constexpr size_t kBulkMax = 1 << 20;

bool IsChallengeResponse(std::string_view plugin) {
  return packet::PluginKindOf(plugin) == PluginKind::kChallengeResponse;
}

std::string_view DrawPlugin(Dice& dice, PluginKind kind) {
  for (;;) {
    const std::string_view name = packet::PluginName(dice.Below(packet::kPluginsKnown));
    if (packet::PluginKindOf(name) == kind) return name;
  }
}

// RSA costs a thousand times what everything else does, so few accounts need it.
Account MakeAccount(Host* host, bool only_challenge_response) {
  Dice& dice = host->dice;
  Account account;
  if (!dice.OneIn(8)) {
    account.password = std::string(kSecret) + std::to_string(dice.Next() % 1'000'000);
    if (dice.OneIn(8)) account.password += Pattern(dice.Next(), dice.Below(60));
    // A password ends at its first NUL.
    std::replace(account.password.begin(), account.password.end(), '\0', 'z');
  }
  const auto plugin = [&]() -> std::string_view {
    if (only_challenge_response || dice.OneIn(3)) {
      if (dice.OneIn(3)) return tests::kNative;
      return DrawPlugin(dice, PluginKind::kChallengeResponse);
    }
    if (dice.OneIn(40)) return tests::kSha256;
    if (dice.OneIn(40)) {
      return dice.OneIn(4) ? "unheard_of" : DrawPlugin(dice, PluginKind::kCleartext);
    }
    return tests::kCachingSha2;
  };
  account.plugin = plugin();
  account.first_plugin = dice.OneIn(3) ? plugin() : account.plugin;
  if (dice.OneIn(16)) account.factor = plugin();
  account.wrong = dice.OneIn(12) && !account.password.empty();
  account.cached = !dice.OneIn(25);
  account.own_rsa = dice.OneIn(10);
  if (IsChallengeResponse(account.plugin) && !AnswersOnce(account.plugin)) {
    account.rounds = static_cast<int>(dice.Below(4));
  }
  return account;
}

Command MakeCommand(Host* host) {
  Dice& dice = host->dice;
  Command command;
  command.seed = static_cast<uint32_t>(dice.Next());
  command.kind = dice.OneIn(12) ? Command::Kind::kInfile : Command::Kind::kQuery;
  command.behind = dice.OneIn(5);
  command.whole = dice.OneIn(8);
  // Mostly small, as queries are; and bulk, which takes other ways through the proxy.
  const size_t most = dice.OneIn(16) ? kBulkMax : 4096;
  command.upload = dice.OneIn(2) ? dice.Size(most) : dice.Below(64);
  command.download = dice.OneIn(2) ? dice.Size(most) : dice.Below(64);
  if (host->options.bulk && dice.OneIn(2)) {
    (dice.OneIn(2) ? command.upload : command.download) = dice.Between(kBulkMax / 8, 2 * kBulkMax);
  }
  if (host->options.large && dice.OneIn(20)) {
    const size_t size = packet::kPayloadLengthMax * dice.Between(1, 2) + dice.Below(3) - 1;
    command.whole = true;
    (dice.OneIn(2) ? command.upload : command.download) = size;
    ++host->coverage.large_packets;
  }
  return command;
}

void DrawNewKeys(Dice& dice, Command* command) {
  command->new_keys = dice.OneIn(3) ? dice.Size(3) : 0;
  command->asks_for_keys = dice.OneIn(2);
}

}  // namespace

bool Account::at_once() const {
  const bool proves = IsChallengeResponse(plugin) ? rounds == 0 || password.empty()
                                                  : plugin == tests::kCachingSha2 && cached;
  return proves && !wrong && plugin == first_plugin && factor.empty();
}

bool Account::MaySendSecret() const {
  const auto may = [](std::string_view name) {
    const PluginKind kind = packet::PluginKindOf(name);
    return !name.empty() && (kind == PluginKind::kCleartext || kind == PluginKind::kUnknown);
  };
  return may(plugin) || may(first_plugin) || may(factor);
}

bool Plan::compressed() const { return (flags & packet::CLIENT_COMPRESS) != 0; }

Plan MakePlan(Host* host, size_t number) {
  Dice& dice = host->dice;
  const Options& options = host->options;
  Plan plan;
  plan.user = "u" + std::to_string(number);
  plan.arrival = DrawArrival(host, number);
  // Not in every world is TLS worth its price.
  plan.tls = options.tls_offered && (options.tls_required ? !dice.OneIn(10) : dice.OneIn(4));
  if (options.kernel.encrypts != 0 && dice.OneIn(3)) plan.tls = true;
  plan.tls12 = dice.OneIn(2);
  plan.resume = dice.OneIn(2);
  plan.glued_hello = dice.OneIn(4);
  plan.clear_login = options.hostile && dice.OneIn(4);
  const bool header = plan.arrival.welcome() && !plan.arrival.header.empty();
  plan.glued_request = header && plan.tls && !plan.clear_login && dice.OneIn(2);
  if (plan.tls && options.kernel.encrypts != 0 && dice.OneIn(2)) {
    plan.cipher =
        dice.Of<std::string_view>({"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
                                   "ECDHE-ECDSA-CHACHA20-POLY1305"});
  }
  plan.ssl_flag_again = !dice.OneIn(5);
  plan.flags = tests::kFlags | packet::CLIENT_LOCAL_FILES | packet::MULTI_FACTOR_AUTHENTICATION;
  if (dice.OneIn(6)) plan.flags &= ~packet::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;
  if (dice.OneIn(10)) plan.flags |= packet::CLIENT_COMPRESS;
  plan.accounts.push_back(MakeAccount(host, false));
  for (size_t left = dice.Below(6); left > 0; --left) {
    plan.commands.push_back(MakeCommand(host));
    if (plan.tls && options.kernel.encrypts != 0) DrawNewKeys(dice, &plan.commands.back());
    if (!dice.OneIn(10)) continue;
    plan.commands.push_back({.kind = Command::Kind::kChangeUser});
    // Behind compression the proxy can't see it, and can't mediate.
    plan.accounts.push_back(MakeAccount(host, plan.compressed()));
  }
  plan.quits = !dice.OneIn(4);
  plan.hasty = plan.quits && options.kernel.encrypts != 0 && dice.OneIn(3);
  if (options.leavers && dice.OneIn(3)) {
    plan.leave_after = dice.Below(dice.OneIn(2) ? 10 : 40);
    plan.departure = dice.Of({Departure::kClose, Departure::kHalfClose, Departure::kReset,
                              Departure::kCloseNotify, Departure::kStall});
    if (options.hostile && dice.OneIn(2)) plan.departure = Departure::kGarbage;
  }
  if (dice.OneIn(6)) plan.patience = dice.Between(2, 30);
  return plan;
}

std::string Response(uint8_t sequence_id, const Command& command) {
  Dice dice(command.seed);
  std::string bytes;
  for (size_t left = command.download; left > 0;) {
    const size_t size = command.whole ? left : std::min(left, dice.Size(64 * 1024));
    const std::string packet = tests::Packet(sequence_id, "R" + Pattern(dice.Next(), size - 1));
    sequence_id = static_cast<uint8_t>(sequence_id + 1 + size / packet::kPayloadLengthMax);
    bytes += packet;
    left -= size;
  }
  return bytes + tests::Packet(sequence_id, tests::Ok());
}

bool AnswersOnce(std::string_view plugin) {
  return plugin == tests::kNative || plugin == "mysql_old_password" || plugin == "client_ed25519";
}

std::string Scrambled(std::string_view plugin, std::string_view password, std::string_view nonce) {
  if (password.empty()) return "";
  const size_t size = plugin == tests::kNative         ? 20
                      : plugin == tests::kCachingSha2  ? 32
                      : plugin == "mysql_old_password" ? 9
                      : plugin == "parsec"             ? 96
                                                       : 64;
  uint64_t hash = 0xCBF2'9CE4'8422'2325;
  for (const std::string_view part : {plugin, password, nonce}) {
    for (const char byte : part) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100'0000'01B3;
  }
  return Pattern(hash, size);
}

}  // namespace sallyport::sim
