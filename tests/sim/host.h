// Host: what the parts of one simulated world share.
#ifndef TESTS_SIM_HOST_H_
#define TESTS_SIM_HOST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/limiter/address_limiter.h"
#include "tests/sim/dice.h"
#include "tests/sim/net.h"

namespace sallyport::sim {

class Client;
class Server;

// What kind of kernel a world has. Odds are "one in so many"; 0 means never.
struct KernelTraits {
  bool takes_early = false;  // As io_uring: receives in submissions too, hands out later.
  size_t queue_full = 0;     // A submission makes the kernel work at once.
  size_t buffers = 64;       // Of 4 KiB, shared by all receives.
  size_t lazy = 0;           // A ready op is left for a later Wait.
  size_t short_io = 0;       // A transfer moves less than it could.
  size_t busy = 0;           // A *Now verb says -EAGAIN though it need not.
  size_t recv_ends = 0;      // A multishot receive ends after bytes.
  size_t accept_fails = 0;
  size_t open_fails = 0;  // OpenSocket, OpenPipe.
  size_t connect_fails = 0;
  size_t connect_hangs = 0;
  size_t breaks = 0;  // A connection breaks at a transfer.
  // Kernel TLS: the versions and ciphers that it takes (KernelTx::Bit); none: it has no TLS.
  uint8_t encrypts = 0;
  size_t encrypt_fails = 0;   // For all that, EncryptSends or ChangeKeys fails.
  bool changes_keys = false;  // As Linux does from 6.14 on.
};

// What kind of world it is.
struct Options {
  bool tls_offered = true;
  bool tls_required = false;
  bool unix_server = false;
  bool allow_cleartext_password = false;
  bool greets = false;  // The proxy greets, and dials when the log-in is there (sni_server).
  size_t sessions = 0;
  size_t workers = 1;
  uint32_t max_connections = 1000;
  uint32_t max_connections_of_listener = 1000;
  AddressLimits of_address;  // All clients have one address.
  bool leavers = false;      // Peers leave early, stall, are killed.
  bool hostile = false;      // And say what nobody should: then only the proxy's own rules hold.
  bool clock_jumps = false;
  bool stops = false;            // Workers are stopped while sessions run.
  bool reloads = false;          // They get new snapshots of what they serve.
  bool bulk = false;             // Much data through large buffers.
  bool behind_balancer = false;  // Most clients come through one, which sends PROXY headers.
  bool unix_clients = false;     // Some come by a unix socket.
  int header_out = 0;            // The version of the PROXY header for servers; 0: none.
  bool large = false;            // Packets of 16 MiB.
  // By server: it refuses every connection. At least one does not.
  std::vector<bool> servers_down = {false};
  KernelTraits kernel;

  // calm: nothing is in a session's way, so each one must come to its end.
  bool calm() const {
    return !leavers && !hostile && !clock_jumps && !stops && max_connections >= sessions &&
           max_connections_of_listener >= sessions && !of_address.any() &&
           kernel.accept_fails + kernel.open_fails + kernel.connect_fails + kernel.connect_hangs +
                   kernel.breaks ==
               0;
  }
};

// How far the worlds got, so that a simulator that has gone blind is seen.
struct Coverage {
  uint64_t sessions = 0, completed = 0, on_tls = 0, resumed = 0, mediated = 0, own_key = 0;
  uint64_t queries = 0, infiles = 0, changed_users = 0, compressed = 0, large_packets = 0;
  uint64_t left_early = 0, throwaway_logins = 0, refused = 0, bytes = 0, spliced = 0;
  uint64_t next_servers = 0;  // Connections that found a server down.
  uint64_t asked = 0;         // Log-ins that the proxy has servers ask for.
  uint64_t encrypted = 0, encrypt_failures = 0, records_waited = 0, keys_asked = 0;
  uint64_t encrypted_spliced = 0, records_left_open = 0;  // Bytes; records.
  uint64_t keys_refused = 0, keys_changed = 0;
  uint64_t headers = 0, unwelcome = 0, glued_requests = 0, server_headers = 0;
  uint64_t completions = 0, cancels = 0, out_of_buffers = 0, drains = 0, early_takes = 0;
  uint64_t trace = 0;  // A hash of all completions, in order.
};

// What every password begins with, and what may never be seen on the way to a plaintext server.
inline constexpr std::string_view kSecret = "S3cret!\x01";

class Host {
 public:
  Host(uint64_t seed, Coverage* counts) : dice(seed), coverage(*counts) {}
  virtual ~Host() = default;

  // Dial is a server that accepts a connection.
  virtual Wire* Dial() = 0;
  // Null when nobody is called that.
  virtual Client* FindClient(std::string_view user) = 0;
  virtual Server* FindServer(std::string_view nonce) = 0;
  virtual const Client* ClientOf(const Wire* wire) = 0;

  // Lucky is true once in `odds`; never when they are 0 or the world is eager.
  bool Lucky(size_t odds) { return odds != 0 && !eager && dice.OneIn(odds); }
  // SomeOf is a random part of `size`, commonly all; all when the world is eager.
  size_t SomeOf(size_t size, size_t short_odds) {
    return size > 1 && Lucky(short_odds) ? dice.Between(1, size) : size;
  }
  void Trace(uint64_t value) {
    coverage.trace = (coverage.trace ^ value) * 0x100'0000'01B3 + (value >> 32);
  }

  Dice dice;
  Net net;
  Options options;
  Coverage& coverage;
  uint64_t now_ms = 1'000'000;
  bool eager = false;     // Everybody does all that he can: nothing may be stuck then.
  uint64_t progress = 0;  // Grows with everything that happens.
  bool stopped = false;   // A worker was stopped.
  std::vector<std::vector<uint8_t>> tickets{};  // TLS sessions to be resumed.
};

}  // namespace sallyport::sim

#endif  // TESTS_SIM_HOST_H_
