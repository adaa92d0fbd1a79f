// Net: the kernel's side of simulated sockets. One Wire is a connection between the proxy and a
// peer, with a bounded Stream each way. How much of what lies in a Stream is seen at a time is the
// reader's decision, so a Stream has no notion of time.
#ifndef TESTS_SIM_NET_H_
#define TESTS_SIM_NET_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sallyport::sim {

struct Arrival;
class KernelTx;

// One direction of a connection: what the writer's and the reader's kernel hold of it.
struct Stream {
  std::string bytes;
  size_t begin = 0;     // Of the bytes not yet read.
  size_t capacity = 0;  // Of both kernels' buffers.
  bool ended = false;   // FIN behind the bytes.
  uint64_t written = 0;
  uint64_t read = 0;

  size_t size() const { return bytes.size() - begin; }
  size_t room() const { return capacity - std::min(capacity, size()); }
  std::string_view front() const { return std::string_view(bytes).substr(begin); }
  void Write(std::string_view more) {
    bytes.append(more);
    written += more.size();
  }
  void Consume(size_t count) {
    begin += count;
    read += count;
    if (begin == bytes.size() || begin > 256 * 1024) {
      bytes.erase(0, begin);
      begin = 0;
    }
  }
  void Drop() {
    bytes = {};
    begin = 0;
  }
};

// What was seen of the bytes on their way to a peer (tap.h).
struct Tap {
  enum class Mode { kUndecided, kRecords, kClear };
  Mode mode = Mode::kUndecided;
  std::string first;       // Of the first packet, mostly the greeting, as far as it is known.
  std::string head;        // Of a TLS record, likewise.
  uint64_t clear = 0;      // Bytes of the first packet, or before the proxy had the SSLRequest.
  size_t record_left = 0;  // Of that record.
  std::string tail;        // The last bytes that went to a server.
};

struct Wire {
  Stream to_proxy;
  Stream to_peer;
  Wire* other = nullptr;    // The same session's other connection, once the proxy showed it.
  bool peer_gone = false;   // The peer closed its socket: what comes now is answered by a RST.
  bool proxy_gone = false;  // The proxy closed its own.
  bool reset_to_proxy = false;
  bool reset_to_peer = false;
  bool to_server = false;                // The peer is a server,
  bool secure = false;                   // on a unix socket.
  const Arrival* arrival = nullptr;      // Of a client.
  std::shared_ptr<KernelTx> kernel_tls;  // Once the kernel encrypts what is sent to the peer.
  bool keys_refused = false;             // ChangeKeys failed.
  uint64_t tls_from = 0;                 // The client's SSLRequest ends here in to_proxy.
  uint64_t tls_overhead = 0;             // Of what it sent, the bytes that are no plaintext.
  bool tls_begun = false;                // The proxy has read that, and made something of it.
  Tap tap;

  // What the peer does.
  void PeerResets() {
    peer_gone = true;
    reset_to_proxy = true;
    to_peer.Drop();
  }
};

// A pipe of OpenPipe.
struct PipeBuffer {
  std::string bytes;
  size_t capacity = 0;
};

// What an fd of the proxy is.
struct File {
  enum class Kind { kListener, kSocket, kPipeRead, kPipeWrite };
  Kind kind = Kind::kSocket;
  bool open = true;
  bool connected = false;
  Wire* wire = nullptr;  // Of a socket, once it is connected.
  std::deque<Wire*> backlog{};
  std::shared_ptr<PipeBuffer> pipe{};
};

// All fds of the proxy in one world. Numbers aren't used twice, so that a late call on a closed one
// is seen.
class Net {
 public:
  // Beyond what the kernel gives to anybody.
  static constexpr int kFirstFd = 1'000'000;
  static bool IsSimulated(int fd) { return fd >= kFirstFd; }

  int Add(File file);
  // file of an open fd; anything else is a failure.
  File& file(int fd, const char* verb);
  void Close(int fd, bool reset);
  size_t open_files() const { return open_files_; }

  // NewWire makes a connection with buffers of these sizes.
  Wire* NewWire(size_t capacity_to_proxy, size_t capacity_to_peer);
  const std::deque<Wire>& wires() const { return wires_; }

 private:
  std::deque<File> files_;  // References stay good.
  std::deque<Wire> wires_;
  size_t open_files_ = 0;
};

}  // namespace sallyport::sim

#endif  // TESTS_SIM_NET_H_
