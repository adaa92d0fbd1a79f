#include "bench/client/steady.h"

#include "bench/lib/clock.h"

namespace sallyport::bench {
namespace {

// Log-ins under way at once and thread: setting up is no storm, and no target's backlog overflows.
constexpr size_t kLogInsAtOnce = 32;

}  // namespace

SteadyThread::SteadyThread(Run* run, Tally* tally, uint64_t connections, double rate,
                           uint64_t index, bool silent)
    : run_(run),
      tally_(tally),
      silent_(silent),
      tls_(run->plan.resume, run->plan.tls_version),
      pacer_(rate, static_cast<double>(index) / static_cast<double>(run->plan.threads)) {
  held_.reserve(connections);
  for (uint64_t i = 0; i < connections; ++i) {
    held_.emplace_back(rate, static_cast<double>(i) + static_cast<double>(index) /
                                                          static_cast<double>(run->plan.threads));
  }
}

void SteadyThread::Loop() {
  while (run_->phase() != Phase::kStop) {
    if (run_->phase() == Phase::kSetup || silent_) {
      LogInMore();
    } else if (!traffic_) {
      StartTraffic();
    }
    uint64_t deadline = UINT64_MAX;
    if (traffic_ && pacer_.paced() && !held_.empty()) {
      SendDue();
      deadline = pacer_.due_ns();
    }
    for (const epoll_event& event : poller_.Wait(deadline)) {
      OnReady(event);
    }
  }
}

void SteadyThread::LogInMore() {
  while (started_ < held_.size() && logging_in_ < kLogInsAtOnce) {
    Held* held = &held_[started_];
    held->connection =
        std::make_unique<ClientConnection>(run_->plan.connection, &tls_, poller_.fd(), started_);
    ++started_;
    ++logging_in_;
    OnEvent(held, held->connection->Start(&scratch_));
  }
}

void SteadyThread::StartTraffic() {
  traffic_ = true;
  pacer_.Start(run_->start_ns());
  for (Held& held : held_) {
    held.pacer.Start(run_->start_ns());
    if (!pacer_.paced() && held.connection != nullptr && held.connection->ready()) {
      SendNow(&held, NowNs());
    }
  }
}

// Each connection has every n-th due time. One that is still waiting for an answer then sends its
// request as soon as that came, late by its own pacer.
void SteadyThread::SendDue() {
  const uint64_t now = NowNs();
  while (pacer_.due_ns() <= now) {
    Held* held = &held_[next_];
    if (held->connection != nullptr && held->connection->ready() && held->pacer.due_ns() <= now) {
      SendNow(held, held->pacer.due_ns());
    }
    next_ = (next_ + 1) % held_.size();
    pacer_.Step(1);
  }
}

void SteadyThread::SendNow(Held* held, uint64_t due_ns) {
  held->due_ns = due_ns;
  held->pacer.Step(static_cast<double>(held_.size()));
  OnEvent(held, held->connection->Request(packet::AsBytes(run_->plan.request), &scratch_));
}

void SteadyThread::OnReady(const epoll_event& event) {
  Held* held = &held_[event.data.u64];
  if (held->connection != nullptr) {
    OnEvent(held, held->connection->OnReady(event.events, &scratch_));
  }
}

void SteadyThread::OnEvent(Held* held, ClientConnection::Event event) {
  switch (event) {
    case ClientConnection::Event::kNone:
      return;
    case ClientConnection::Event::kLoggedIn:
      if (held->connection->tls() != nullptr) {
        run_->NoteTls(held->connection->tls()->description());
      }
      if (silent_) {
        held->due_ns = NowNs();
        OnEvent(held, held->connection->Request(packet::AsBytes(run_->plan.request), &scratch_));
        return;
      }
      --logging_in_;
      run_->logged_in.fetch_add(1);
      return;
    case ClientConnection::Event::kReply:
      OnReply(held);
      return;
    case ClientConnection::Event::kFailed:
      if (run_->phase() == Phase::kSetup) {
        --logging_in_;
      }
      run_->NoteError(tally_, held->connection->error());
      held->connection.reset();
      return;
  }
}

void SteadyThread::OnReply(Held* held) {
  if (silent_) {
    --logging_in_;
    run_->logged_in.fetch_add(1);
    return;
  }
  const uint64_t now = NowNs();
  size_t index = 0;
  if (run_->Measured(&index)) {
    tally_->requests[index].Record(now - held->due_ns);
    Increase(&tally_->reply_bytes, held->connection->reply_bytes());
    Increase(&tally_->request_bytes, run_->plan.request.size());
  }
  if (!pacer_.paced()) {
    SendNow(held, now);
  } else if (held->pacer.due_ns() <= now) {
    SendNow(held, held->pacer.due_ns());
  }
}

}  // namespace sallyport::bench
