// Every bound of a connection, with its story. What an operator may change is in config/config.h.
#ifndef PROXY_LIMITS_H_
#define PROXY_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace sallyport {

// A HandshakeResponse41 carries connection attributes (64 KiB at most in MySQL) and a password. Who
// has not logged in yet gets no more than this of anybody's memory.
inline constexpr uint32_t kClientLoginPayloadMax = 1 << 20;

// Greetings, AuthSwitchRequests and plugin data are some hundred bytes; a Kerberos ticket is some
// ten KiB. A server that sends more before OK is no MySQL server.
inline constexpr uint32_t kServerLoginPayloadMax = 256 * 1024;

// A server could ask for another plugin for ever, and each round costs us work: real log-ins take
// fewer than ten packets, three factors under thirty.
inline constexpr int kAuthPacketsMax = 64;

// One receive: what a worker reads at a time when bulk flows. At 256 KiB a TLS relay is cheapest:
// smaller costs calls, larger leaves the L2 cache.
inline constexpr size_t kReceiveBytesMax = 256 * 1024;

// Bytes that a client may have sent ahead of its turn (a pipelined command behind its log-in) while
// reading from it is stopped: less than one receive was held when it was last read, that receive,
// and what lay in the ring's shared buffers (as much again) when its Recv was cancelled.
inline constexpr size_t kHeldBytesMax = 3 * kReceiveBytesMax;

// Unsent bytes towards one side. Above the first, reading from the other side stops; the rest is
// what a receive that was already under way may add (TLS adds 0.2 %).
inline constexpr size_t kQueueHighWater = 64 * 1024;

// What waits for a client is not its server's doing alone: each KeyUpdate may be answered, and who
// reads no answer could go on for ever. Above what a server can queue (the receive under way when
// reading it stopped, and what lay in the ring's shared buffers) the client is read no further.
inline constexpr size_t kClientQueueMax = kQueueHighWater + 3 * kReceiveBytesMax;

// A client that left before its log-in costs the server one throw-away log-in; a server that
// doesn't answer that within this time is closed all the same.
inline constexpr uint64_t kExcuseMsMax = 2'000;

// Once one side has ended, the other may go on sending, but a half of a connection that is silent
// this long is abandoned: mysqld never half-closes, and no client waits so long for an answer's
// end.
inline constexpr uint64_t kHalfClosedMsMax = 60'000;

// After the last byte for a client was handed to the kernel, its own end of stream is awaited this
// long before the socket is closed, so that an ERR_Packet isn't lost to a RST.
inline constexpr uint64_t kLingerMsMax = 1'000;

// Receives of kReceiveBytesMax that one connection gets in one turn of the loop: enough to make a
// turn's fixed costs small, and 1 MiB is passed on in less than a millisecond, so that others
// don't wait.
inline constexpr int kDrainsPerTurnMax = 4;

// Bulk. A side that brought this much in one turn is no longer read by the Recv op, whose small
// buffers cost a copy of 4 KiB each, but polled and read in large pieces (spliced, where nobody
// has to see the bytes); one that brought less when polled goes back. From 16 KiB on a plaintext
// reply costs less so (by a quarter at 48 KiB, bench/RESULTS.md); below it nothing is gained.
inline constexpr size_t kBulkBytesMin = 16 * 1024;

// Steps of TLS handshakes that one turn of the loop does, after the established sessions had
// theirs: begun on what a client sent, or gone on with a signature from elsewhere. A step costs
// some 0.1 ms, so a storm of new connections delays nobody by more than this many. A worker that
// makes an RSA signature itself (0.6 ms), because the signers have too many, leaves it at that one.
inline constexpr int kHandshakeStepsPerTurnMax = 4;

// Bytes of a client's handshake that wait for their step: a ClientHello has a few hundred, with
// post-quantum keys and tickets some KiB. Who sends more gets his step at once, and fails it.
inline constexpr size_t kDeferredBytesMax = 64 * 1024;

// RSA signatures that wait for a signer, of all workers; above that a worker makes its own. One of
// 2048 bits takes 0.6 ms, so with one signer the last waits 0.3 s: far from any client's patience,
// and long enough to smooth a burst. A job is 300 bytes.
inline constexpr size_t kSignatureQueueMax = 512;

// Lines of connections that never logged in, for each worker: a scan of the port is seen, told by
// its number, and can't fill a disk (5 lines of some 400 bytes a second are 170 MB a day).
inline constexpr uint32_t kFailedLinesBurst = 100;
inline constexpr uint32_t kFailedLinesPerSecond = 5;
// How soon a line says how many were left out.
inline constexpr uint64_t kLeftOutMs = 10'000;

// A server that failed is left out for this long, then one connection may try it; each time that
// fails it is twice as long. A restart takes some seconds, so the first is short; and one client a
// minute that waits for a dead server in vain is bearable where others stand by.
inline constexpr uint64_t kQuarantineMsMin = 1'000;
inline constexpr uint64_t kQuarantineMsMax = 60'000;

// Servers that were not tried yet share what is left of connect_timeout, but each gets this much:
// enough for a lost SYN, which is sent again after a second.
inline constexpr uint64_t kConnectAttemptMsMin = 1'200;

// How often the thread that looks names up wakes to see whether a server failed, and how soon after
// the last look that is a reason for another: a resolver is not asked for each connection lost.
inline constexpr uint32_t kNameLookMs = 1'000;
inline constexpr uint32_t kNameLookAfterFailureMs = 5'000;

// Where SNI chooses servers, each server's greeting has to be known: until it is, it is asked this
// often, and a client that comes in the proxy's first moments looks this often whether one is.
inline constexpr uint32_t kGreetingRetryMs = 1'000;
inline constexpr uint64_t kGreetingLookMs = 10;

// A load balancer sends its PROXY header at once; a lost packet is sent again after 1 s and 3 s.
inline constexpr uint64_t kProxyHeaderMsMax = 5'000;

// Client addresses that limits are kept of, in the process: 64 bytes each, so 4 MiB, and only where
// there are limits. More than these at once are told apart no more (limiter/README.md).
inline constexpr size_t kLimitedAddressesMax = 64 * 1024;

// Accept stopped for lack of file descriptors or memory: it is tried again after this pause. Armed
// at once it would fail at once, and the worker would spin.
inline constexpr uint64_t kAcceptPauseMs = 100;

}  // namespace sallyport

#endif  // PROXY_LIMITS_H_
