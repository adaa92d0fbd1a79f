// Connection's and Worker's answers to an operator.
#include "proxy/inspect.h"

#include <algorithm>
#include <utility>

#include "proxy/connection.h"
#include "proxy/worker.h"

namespace sallyport {
namespace {

// Errands that wait for a worker. Admin has one thread and gives one at a time, so more than a few
// are those of a worker that hangs.
constexpr size_t kErrandsMax = 16;

std::string_view TextOf(Phase phase) {
  switch (phase) {
    case Phase::kGreeting:
      return "greeting";
    case Phase::kClientReply:
      return "client_reply";
    case Phase::kTlsHandshake:
      return "tls_handshake";
    case Phase::kHandshakeResponse:
    case Phase::kServerGreeting:
    case Phase::kAuth:
      return "log_in";
    case Phase::kCommand:
      return "session";
    case Phase::kExcuse:
      return "finishing_log_in";
    case Phase::kClosed:
      return "closing";
  }
  return "";
}

}  // namespace

SessionInfo Connection::Inspect() const {
  const SessionSummary& summary = session_.summary();
  const uint64_t now_ms = bench_->ring->now_ms();
  SessionInfo info;
  info.id = id_;
  info.client = client_text_;
  info.listener = service_->name;
  info.server = server_text();
  info.server_thread = summary.thread_id;
  info.user = summary.user;
  info.database = summary.database;
  info.plugin = summary.plugin;
  info.tls_version = summary.tls.version;
  info.cipher = summary.tls.cipher;
  info.resumed = summary.tls.resumed;
  const bool has_server = links_[Side::kServer].connected || session_.client_finished();
  const bool comes_later = service_->session.greets && !session_.wants_server();
  info.state = has_server || comes_later ? TextOf(session_.phase()) : "connecting";
  info.age_ms = now_ms - started_ms_;
  info.idle_ms = now_ms - active_ms_;
  info.bytes_from_client = links_[Side::kClient].bytes_received;
  info.bytes_from_server = links_[Side::kServer].bytes_received;
  for (const Side side : kBothSides) {
    info.bytes_waiting += links_[side].queue.size() + links_[side].piped;
  }
  return info;
}

SessionPage Worker::ListNow(const SessionQuery& query) const {
  SessionPage page;
  const uint32_t count_max = std::min(query.count_max, kSessionsPerAnswerMax);
  const size_t end = std::min<size_t>(slots_.size(), size_t{query.first_slot} + kSlotsPerAnswerMax);
  size_t slot = query.first_slot;
  for (; slot < end && page.sessions.size() < count_max; ++slot) {
    const Connection* connection = slots_[slot].connection.get();
    if (connection != nullptr) page.sessions.push_back(connection->Inspect());
  }
  if (slot < slots_.size()) page.next_slot = static_cast<uint32_t>(slot);
  return page;
}

bool Worker::CloseNow(uint64_t id) {
  for (const Slot& slot : slots_) {
    if (slot.connection == nullptr || slot.connection->id() != id) continue;
    slot.connection->Shutdown(CloseReason::kClosedByOperator);
    return true;
  }
  return false;
}

std::future<SessionPage> Worker::List(const SessionQuery& query) {
  return Post<SessionPage>([this, query] { return ListNow(query); });
}

std::future<bool> Worker::CloseSession(uint64_t id) {
  return Post<bool>([this, id] { return CloseNow(id); });
}

template <typename Result>
std::future<Result> Worker::Post(std::function<Result()> errand) {
  const auto task = std::make_shared<std::packaged_task<Result()>>(std::move(errand));
  {
    const std::lock_guard lock(posted_mutex_);
    if (errands_.size() >= kErrandsMax) return {};
    errands_.push_back([task] { (*task)(); });
  }
  inbox_->Wake();
  return task->get_future();
}

void Worker::DoErrands() {
  std::vector<std::function<void()>> errands;
  {
    const std::lock_guard lock(posted_mutex_);
    errands = std::exchange(errands_, {});
  }
  for (const std::function<void()>& errand : errands) errand();
}

}  // namespace sallyport
