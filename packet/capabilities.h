// capability_flags of the connection phase that this proxy reads or changes, spelled as MySQL
// spells them. CLIENT_SSL is changed always, because it describes the hop, all others the two ends;
// those of compression where a listener must see all commands.
#ifndef PACKET_CAPABILITIES_H_
#define PACKET_CAPABILITIES_H_

#include <cstdint>

namespace sallyport::packet {

inline constexpr uint32_t CLIENT_LONG_PASSWORD = 1u << 0;  // MariaDB: unset by its own clients.
inline constexpr uint32_t CLIENT_CONNECT_WITH_DB = 1u << 3;
inline constexpr uint32_t CLIENT_COMPRESS = 1u << 5;
inline constexpr uint32_t CLIENT_LOCAL_FILES = 1u << 7;
inline constexpr uint32_t CLIENT_PROTOCOL_41 = 1u << 9;
inline constexpr uint32_t CLIENT_SSL = 1u << 11;
inline constexpr uint32_t CLIENT_SECURE_CONNECTION = 1u << 15;
inline constexpr uint32_t CLIENT_PLUGIN_AUTH = 1u << 19;
inline constexpr uint32_t CLIENT_CONNECT_ATTRS = 1u << 20;
inline constexpr uint32_t CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA = 1u << 21;
inline constexpr uint32_t CLIENT_ZSTD_COMPRESSION_ALGORITHM = 1u << 26;
inline constexpr uint32_t MULTI_FACTOR_AUTHENTICATION = 1u << 28;

inline constexpr uint32_t kCompressionFlags = CLIENT_COMPRESS | CLIENT_ZSTD_COMPRESSION_ALGORITHM;

}  // namespace sallyport::packet

#endif  // PACKET_CAPABILITIES_H_
