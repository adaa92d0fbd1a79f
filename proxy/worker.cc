#include "proxy/worker.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <future>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "packet/check.h"
#include "packet/error_packet.h"
#include "proxy/limits.h"
#include "proxy/log/log.h"

namespace sallyport {
namespace {

// Slots that are no connection's: the wake-up, and the listening sockets from kListenerSlot on.
constexpr uint32_t kWakeSlot = 0xFFFF'FFFF;
constexpr uint32_t kListenerSlot = 0xFFFF'0000;

constexpr OpTag kWakeTag = {kWakeSlot, 0, Verb::kPoll, 0};
constexpr OpTag AcceptTag(uint32_t index) { return {kListenerSlot + index, 0, Verb::kAccept, 0}; }

// Refused, it only runs a little slower.
void BindTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

}  // namespace

Worker::Worker(Services services, int index, std::unique_ptr<Ring> ring,
               std::vector<ListenSocket> sockets)
    : services_(std::move(services)),
      index_(index),
      ring_(std::move(ring)),
      sockets_(std::move(sockets)),
      inbox_(std::make_shared<SignatureInbox>()),
      receive_room_(std::make_unique_for_overwrite<uint8_t[]>(kReceiveBytesMax)) {}

Worker::~Worker() {
  SALLYPORT_CHECK(!thread_.joinable());
  if (ring_ != nullptr) End();
  for (const ListenSocket& socket : sockets_) close(socket.fd);
}

absl::Status Worker::Start(int cpu) {
  std::promise<absl::Status> started;
  std::future<absl::Status> status = started.get_future();
  thread_ = std::thread([this, cpu, started = std::move(started)]() mutable {
    pthread_setname_np(pthread_self(), absl::StrCat("worker-", index_).c_str());
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

void Worker::Hold() {
  SALLYPORT_CHECK(!thread_.joinable());
  order_ = obeyed_ = Order::kHold;
}

void Worker::Request(Order order) {
  order_.store(order, std::memory_order_release);
  inbox_->Wake();
}

void Worker::Replace(Services services) {
  SALLYPORT_CHECK(!services.empty());
  {
    const std::lock_guard lock(posted_mutex_);
    posted_ = std::move(services);
  }
  inbox_->Wake();
}

void Worker::Ping() {
  pings_.fetch_add(1);
  inbox_->Wake();
}

absl::Status Worker::Begin() {
  const absl::Status status = ring_->Start();
  if (!status.ok()) return status;
  timers_ = std::make_unique<TimerWheel>(ring_->now_ms());
  bench_.ring = ring_.get();
  bench_.timers = timers_.get();
  bench_.stats = &stats_;
  bench_.signature_inbox = inbox_;
  bench_.receive_room = {receive_room_.get(), kReceiveBytesMax};
  ring_->Poll(inbox_->wake_fd(), POLLIN, kWakeTag);
  ArmAccepts();
  return absl::OkStatus();
}

// On the thread that the ring belongs to.
void Worker::End() {
  TellLeftOut();
  bench_.pipes.Clear(ring_.get());
  ring_.reset();
}

// Established connections first: what is in the batch, then bulk, then time, then TLS handshakes.
void Worker::Turn() {
  NoteTurn();
  ++bench_.turn;
  bench_.handshake_steps = kHandshakeStepsPerTurnMax;
  const bool idle = bench_.handshakes.empty() && bench_.signatures.empty();
  const uint64_t deadline_ms = idle ? timers_->NextDeadline() : 0;
  const std::span<const Completion> batch = ring_->Wait(deadline_ms);
  busy_ = !batch.empty() || !idle;
  for (const Completion& completion : batch) Dispatch(completion);
  for (Connection* connection : std::exchange(bench_.drains, {})) connection->Drain();
  while (Timer* timer = timers_->Expired(ring_->now_ms())) {
    if (timer == &accept_pause_) {
      ArmAccepts();
      continue;
    }
    if (timer == &left_out_due_) {
      TellLeftOut();
      continue;
    }
    Connection::FromTimer(timer)->OnDeadline();
  }
  StepHandshakes();
  FreeFinished();
}

// Counts what the last turn took, before the next one waits. A turn that found nothing to do kept
// nobody waiting.
void Worker::NoteTurn() {
  if (!std::exchange(busy_, false)) return;
  stats_.loop_lag.Observe(ring_->clock_us() - ring_->now_us());
  const size_t received = std::exchange(bench_.turn_ring_bytes, 0);
  if (received > 0) stats_.receive_ring_bytes.Observe(received);
  stats_.tls_handshakes_waiting.Set(bench_.handshakes.size() + bench_.signatures.size());
  stats_.pipes_lent.Set(bench_.pipes.lent());
  stats_.pipes_idle.Set(bench_.pipes.idle());
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

void Worker::ArmAccept(uint32_t index) {
  ListenSocket& socket = sockets_[index];
  if (socket.accept_in_flight || obeyed_ != Order::kServe) return;
  socket.accept_in_flight = true;
  ring_->Accept(socket.fd, AcceptTag(index));
}

void Worker::ArmAccepts() {
  for (uint32_t index = 0; index < sockets_.size(); ++index) ArmAccept(index);
}

void Worker::OnAccept(const Completion& completion) {
  const uint32_t index = completion.tag.slot - kListenerSlot;
  ListenSocket& socket = sockets_[index];
  if (!completion.more) socket.accept_in_flight = false;
  if (completion.result >= 0) {
    // A reload's wake-up may stand behind it in the batch, and who connects after that expects it.
    TakeServices();
    // Draining, too: the kernel had accepted it before it heard of that.
    if (obeyed_ != Order::kStop) {
      Adopt(completion.result, services_[socket.listener]);
    } else {
      ring_->Close(completion.result, true);
    }
  }
  if (completion.more) return;
  if (obeyed_ >= Order::kDrain) return StopListening();
  if (completion.result >= 0 || completion.result == -ECONNABORTED) return ArmAccept(index);
  LogWarning(Line("accept failed, pausing").Add("error", std::strerror(-completion.result)));
  timers_->Set(&accept_pause_, ring_->now_ms() + kAcceptPauseMs);
}

void Worker::Adopt(int fd, const std::shared_ptr<const Service>& service) {
  stats_.connections_accepted.Add();
  if (!service->open_in_process->TryAdd(service->max_connections_in_process)) {
    return RefuseTooMany(fd, *service, Refusal::kMaxConnections);
  }
  if (!service->open->TryAdd(service->max_connections)) {
    service->open_in_process->Subtract();
    return RefuseTooMany(fd, *service, Refusal::kListenerMaxConnections);
  }
  Visitor visitor;
  if (service->meets_visitors()) {
    const auto turn_away = [&](const packet::Error& error, Refusal refusal) {
      service->open->Subtract();
      service->open_in_process->Subtract();
      Refuse(fd, *service, error, refusal);
    };
    const Address peer = ring_->PeerAddress(fd);
    if (peer.family() == AF_UNSPEC) {  // Reset already: nobody's limits would be held against it.
      return turn_away({1158, "08S01", "Got an error reading communication packets"},
                       Refusal::kClientGone);
    }
    visitor = Meet(peer, *service);
    const AddressLimiter::Answer answer = Admit(*service, ring_->now_ms(), &stats_, &visitor);
    if (answer != AddressLimiter::Answer::kWelcome) {
      std::string message;
      return turn_away(RefusalError(answer, visitor.address, &message), RefusalOf(answer));
    }
  }
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
    stats_.connection_slots.Set(slots_.size());
  }
  const uint32_t index = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = slots_[index];
  const uint64_t id = (static_cast<uint64_t>(index_) << 48) + ++accepted_;
  slot.connection =
      std::make_unique<Connection>(&bench_, service, id, index, ++slot.generation, fd, visitor);
  ++open_;
  stats_.connections_open.Add();
  slot.connection->Start();
}

void Worker::RefuseTooMany(int fd, const Service& service, Refusal refusal) {
  Refuse(fd, service, {1040, "08004", "Too many connections"}, refusal);
}

// Costs a send and a close: no session, no server; and a line, of which there are only so many.
void Worker::Refuse(int fd, const Service& service, const packet::Error& error, Refusal refusal) {
  std::array<uint8_t, packet::kErrorPacketSizeMax> packet;
  const size_t size = packet::WriteErrorPacket(error, false, 0, packet);
  const iovec part = {packet.data(), size};
  (void)ring_->SendNow(fd, {&part, 1});
  stats_.connections_refused.At(refusal).Add();
  if (bench_.failed_lines.Allow(ring_->now_ms())) {
    Line line("connection refused");
    if (!service.name.empty()) line.Add("listener", service.name);
    line.Add("client", ring_->PeerAddress(fd).ToString()).Add("why", ToText(refusal));
    LogInfo(line);
  }
  ring_->ShutdownSend(fd);
  ring_->Close(fd, false);
}

void Worker::FreeFinished() {
  if (bench_.failed_lines.left_out() > 0 && !left_out_due_.is_set()) {
    timers_->Set(&left_out_due_, ring_->now_ms() + kLeftOutMs);
  }
  for (Connection* connection : std::exchange(bench_.finished, {})) {
    const uint32_t index = connection->slot();
    Leave(connection->service(), connection->visitor());
    connection->service().open->Subtract();
    connection->service().open_in_process->Subtract();
    slots_[index].connection.reset();
    free_slots_.push_back(index);
    --open_;
    stats_.connections_open.Subtract();
  }
}

void Worker::TellLeftOut() {
  const uint64_t count = bench_.failed_lines.TakeLeftOut();
  if (count == 0) return;
  LogWarning(Line("lines left out of connections that never logged in")
                 .Add("worker", index_)
                 .Add("count", count));
}

// --- Other threads.

void Worker::OnWake() {
  for (FinishedSignature& finished : inbox_->TakeAll()) {
    bench_.signatures.push_back(std::move(finished));
  }
  pings_answered_.store(pings_.load());
  TakeServices();
  DoErrands();
  ObeyOrder();
  ring_->Poll(inbox_->wake_fd(), POLLIN, kWakeTag);
}

// Connections of before keep theirs; the last of them frees it.
void Worker::TakeServices() {
  Services posted;
  {
    const std::lock_guard lock(posted_mutex_);
    posted = std::exchange(posted_, {});
  }
  if (posted.empty()) return;
  SALLYPORT_CHECK(posted.size() == services_.size());
  services_ = std::move(posted);
  // Accepted sockets inherit it.
  for (const ListenSocket& socket : sockets_) {
    ring_->Tune(socket.fd, services_[socket.listener]->tuning);
  }
}

void Worker::ObeyOrder() {
  const Order order = order_.load(std::memory_order_acquire);
  if (order == Order::kServe && obeyed_ == Order::kHold) {
    obeyed_ = Order::kServe;
    ArmAccepts();
  }
  if (order >= Order::kDrain && obeyed_ < Order::kDrain) {
    obeyed_ = Order::kDrain;
    timers_->Clear(&accept_pause_);
    for (uint32_t index = 0; index < sockets_.size(); ++index) {
      if (sockets_[index].accept_in_flight) ring_->Cancel(AcceptTag(index));
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

// --- The end.

// Closes the listening sockets once no Accept is in flight: from then on connecting is refused.
void Worker::StopListening() {
  if (obeyed_ < Order::kDrain) return;
  for (const ListenSocket& socket : sockets_) {
    if (socket.accept_in_flight) return;
  }
  for (const ListenSocket& socket : std::exchange(sockets_, {})) ring_->Close(socket.fd, false);
}

bool Worker::quiet() const { return obeyed_ >= Order::kDrain && sockets_.empty() && open_ == 0; }

}  // namespace sallyport
