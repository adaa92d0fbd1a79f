#include "proxy/worker.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "packet/check.h"
#include "packet/error_packet.h"
#include "proxy/limits.h"
#include "proxy/log/log.h"

namespace sallyport {
namespace {

// Slots that are no connection's: the wake-up, and the listeners from kListenerSlot on.
constexpr uint32_t kWakeSlot = 0xFFFF'FFFF;
constexpr uint32_t kListenerSlot = 0xFFFF'0000;

constexpr OpTag kWakeTag = {kWakeSlot, 0, Verb::kPoll, 0};
constexpr OpTag AcceptTag(uint32_t listener) {
  return {kListenerSlot + listener, 0, Verb::kAccept, 0};
}

// Refused, it only runs a little slower.
void BindTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

}  // namespace

Worker::Worker(const Service* service, int index, std::unique_ptr<Ring> ring,
               std::vector<int> listen_fds)
    : service_(service),
      index_(index),
      ring_(std::move(ring)),
      listen_fds_(std::move(listen_fds)),
      accept_in_flight_(listen_fds_.size()),
      inbox_(std::make_shared<SignatureInbox>()),
      receive_room_(std::make_unique_for_overwrite<uint8_t[]>(kReceiveBytesMax)) {}

Worker::~Worker() {
  SALLYPORT_CHECK(!thread_.joinable());
  if (ring_ != nullptr) End();
  for (const int fd : listen_fds_) close(fd);
}

absl::Status Worker::Start(int cpu) {
  std::promise<absl::Status> started;
  std::future<absl::Status> status = started.get_future();
  thread_ = std::thread([this, cpu, started = std::move(started)]() mutable {
    pthread_setname_np(pthread_self(), absl::StrCat("worker ", index_).c_str());
    // Before the ring is made: its memory, too, is then of that CPU's node.
    if (cpu >= 0) BindTo(cpu);
    const absl::Status ring_status = Begin();
    started.set_value(ring_status);
    while (ring_status.ok() && !quiet()) Turn();
    End();
    ended_.store(true, std::memory_order_release);
  });
  absl::Status result = status.get();
  if (!result.ok()) thread_.join();
  return result;
}

void Worker::Join() { thread_.join(); }

void Worker::Request(Order order) {
  order_.store(order, std::memory_order_release);
  inbox_->Wake();
}

absl::Status Worker::Begin() {
  const absl::Status status = ring_->Start();
  if (!status.ok()) return status;
  timers_ = std::make_unique<TimerWheel>(ring_->now_ms());
  bench_.ring = ring_.get();
  bench_.timers = timers_.get();
  bench_.stats = &stats_;
  bench_.service = service_;
  bench_.signature_inbox = inbox_;
  bench_.receive_room = {receive_room_.get(), kReceiveBytesMax};
  ring_->Poll(inbox_->wake_fd(), POLLIN, kWakeTag);
  for (uint32_t listener = 0; listener < listen_fds_.size(); ++listener) ArmAccept(listener);
  return absl::OkStatus();
}

// On the thread that the ring belongs to.
void Worker::End() {
  bench_.pipes.Clear(ring_.get());
  ring_.reset();
}

// Established connections first: what is in the batch, then bulk, then time, then TLS handshakes.
void Worker::Turn() {
  ++bench_.turn;
  bench_.handshake_steps = kHandshakeStepsPerTurnMax;
  const bool idle = bench_.handshakes.empty() && bench_.signatures.empty();
  const uint64_t deadline_ms = idle ? timers_->NextDeadline() : 0;
  for (const Completion& completion : ring_->Wait(deadline_ms)) Dispatch(completion);
  for (Connection* connection : std::exchange(bench_.drains, {})) connection->Drain();
  while (Timer* timer = timers_->Expired(ring_->now_ms())) {
    if (timer == &accept_pause_) {
      for (uint32_t listener = 0; listener < listen_fds_.size(); ++listener) ArmAccept(listener);
      continue;
    }
    Connection::FromTimer(timer)->OnDeadline();
  }
  StepHandshakes();
  FreeFinished();
}

// Handshakes that have their signature go first: they are the oldest, and new ones can't starve,
// for only they bring new signatures.
void Worker::StepHandshakes() {
  while (bench_.handshake_steps-- > 0) {
    if (!bench_.signatures.empty()) {
      const FinishedSignature finished = std::move(bench_.signatures.front());
      bench_.signatures.pop_front();
      stats_.signatures_by_pool.Add();
      Connection* connection = Find(finished.owner);
      if (connection != nullptr) connection->OnSignature(finished.signature);
    } else if (!bench_.handshakes.empty()) {
      Connection* connection = Find(bench_.handshakes.front());
      bench_.handshakes.pop_front();
      if (connection != nullptr) connection->StepHandshake();
    } else {
      return;
    }
  }
}

// Null: the connection is gone, and perhaps another is in its place.
Connection* Worker::Find(SlotTag tag) {
  const Slot& slot = slots_[tag.slot];
  return slot.generation == tag.generation ? slot.connection.get() : nullptr;
}

void Worker::Dispatch(const Completion& completion) {
  const OpTag tag = completion.tag;
  if (tag == kWakeTag) return OnWake();
  if (tag.slot >= kListenerSlot) return OnAccept(completion);
  SALLYPORT_CHECK(tag.slot < slots_.size());
  Slot& slot = slots_[tag.slot];
  // A connection is freed only after its last completion, so this one's owner is alive.
  SALLYPORT_CHECK(slot.connection != nullptr && slot.generation == tag.generation);
  slot.connection->OnCompletion(completion);
}

// --- Accepting.

void Worker::ArmAccept(uint32_t listener) {
  if (accept_in_flight_[listener] || obeyed_ != Order::kServe) return;
  accept_in_flight_[listener] = true;
  ring_->Accept(listen_fds_[listener], AcceptTag(listener));
}

void Worker::OnAccept(const Completion& completion) {
  const uint32_t listener = completion.tag.slot - kListenerSlot;
  if (!completion.more) accept_in_flight_[listener] = false;
  if (completion.result >= 0) {
    if (obeyed_ == Order::kServe) {
      Adopt(completion.result);
    } else {
      ring_->Close(completion.result, true);
    }
  }
  if (completion.more) return;
  if (obeyed_ != Order::kServe) return StopListening();
  if (completion.result >= 0 || completion.result == -ECONNABORTED) return ArmAccept(listener);
  LogWarning(Line("accept failed, pausing").Add("error", std::strerror(-completion.result)));
  timers_->Set(&accept_pause_, ring_->now_ms() + kAcceptPauseMs);
}

void Worker::Adopt(int fd) {
  stats_.connections_accepted.Add();
  if (service_->connections_open.fetch_add(1, std::memory_order_relaxed) >=
      service_->max_connections) {
    service_->connections_open.fetch_sub(1, std::memory_order_relaxed);
    return RefuseTooMany(fd);
  }
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t index = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = slots_[index];
  const uint64_t id = (static_cast<uint64_t>(index_) << 48) + ++accepted_;
  slot.connection = std::make_unique<Connection>(&bench_, id, index, ++slot.generation, fd);
  ++open_;
  stats_.connections_open.Add();
  slot.connection->Start();
}

// Costs a send and a close: no session, no server.
void Worker::RefuseTooMany(int fd) {
  std::array<uint8_t, packet::kErrorPacketSizeMax> packet;
  const size_t size =
      packet::WriteErrorPacket({1040, "08004", "Too many connections"}, false, 0, packet);
  const iovec part = {packet.data(), size};
  (void)ring_->SendNow(fd, {&part, 1});
  ring_->ShutdownSend(fd);
  ring_->Close(fd, false);
  stats_.connections_refused.Add();
}

void Worker::FreeFinished() {
  for (Connection* connection : std::exchange(bench_.finished, {})) {
    const uint32_t index = connection->slot();
    slots_[index].connection.reset();
    free_slots_.push_back(index);
    --open_;
    stats_.connections_open.Subtract();
    service_->connections_open.fetch_sub(1, std::memory_order_relaxed);
  }
}

// --- Other threads.

void Worker::OnWake() {
  for (FinishedSignature& finished : inbox_->TakeAll()) {
    bench_.signatures.push_back(std::move(finished));
  }
  ObeyOrder();
  ring_->Poll(inbox_->wake_fd(), POLLIN, kWakeTag);
}

// --- The end.

void Worker::ObeyOrder() {
  const Order order = order_.load(std::memory_order_acquire);
  if (order != Order::kServe && obeyed_ == Order::kServe) {
    obeyed_ = Order::kDrain;
    timers_->Clear(&accept_pause_);
    for (uint32_t listener = 0; listener < listen_fds_.size(); ++listener) {
      if (accept_in_flight_[listener]) ring_->Cancel(AcceptTag(listener));
    }
    StopListening();
  }
  if (order == Order::kStop && obeyed_ != Order::kStop) {
    obeyed_ = Order::kStop;
    for (Slot& slot : slots_) {
      if (slot.connection != nullptr) slot.connection->Shutdown();
    }
  }
}

// Closes the listening sockets once no Accept is in flight: from then on connecting is refused.
void Worker::StopListening() {
  if (obeyed_ == Order::kServe) return;
  for (const bool in_flight : accept_in_flight_) {
    if (in_flight) return;
  }
  for (const int fd : std::exchange(listen_fds_, {})) ring_->Close(fd, false);
  accept_in_flight_.clear();
}

bool Worker::quiet() const { return obeyed_ != Order::kServe && listen_fds_.empty() && open_ == 0; }

}  // namespace sallyport
