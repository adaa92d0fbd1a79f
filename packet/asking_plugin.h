// The name of a plugin that no server has. Under it, and with an empty auth_response, a log-in
// makes any server ask: by an AuthSwitchRequest that names the account's own plugin and brings a
// nonce. So a client that was greeted by somebody else, with a nonce of his, can be passed on.
// (Measured: MariaDB 10.11.19 and MySQL 9.7.4 ask for every account, unknown ones included; under a
// plugin that it has, MySQL takes the empty auth_response for the answer.)
#ifndef PACKET_ASKING_PLUGIN_H_
#define PACKET_ASKING_PLUGIN_H_

#include <cstddef>
#include <string_view>

namespace sallyport::packet {

inline constexpr std::string_view kAskingPlugin = "sallyport_asks";

// What a log-in packet grows by at most: the name, its NUL, those that a field lacked.
inline constexpr size_t kAskingPluginRoom = kAskingPlugin.size() + 4;

}  // namespace sallyport::packet

#endif  // PACKET_ASKING_PLUGIN_H_
