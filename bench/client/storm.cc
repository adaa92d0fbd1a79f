#include "bench/client/storm.h"

#include "bench/lib/clock.h"

namespace sallyport::bench {

StormThread::StormThread(Run* run, Tally* tally, uint64_t slots, double rate, Phase from)
    : run_(run),
      tally_(tally),
      from_(from),
      tls_(run->plan.resume, run->plan.tls_version),
      slots_(slots),
      pacer_(rate, 0) {
  for (uint64_t i = 0; i < slots; ++i) {
    free_.push_back(static_cast<uint32_t>(i));
  }
}

void StormThread::Loop() {
  for (Phase phase = run_->phase(); phase != Phase::kStop; phase = run_->phase()) {
    uint64_t deadline = UINT64_MAX;
    if (phase >= from_) {
      StartDue();
      // With all slots taken, the next to end starts what is due.
      if (pacer_.paced() && !free_.empty()) deadline = pacer_.due_ns();
    }
    for (const epoll_event& event : poller_.Wait(deadline)) {
      OnReady(event);
    }
  }
}

void StormThread::StartDue() {
  const uint64_t now = NowNs();
  if (!started_) {
    started_ = true;
    pacer_.Start(now);
  }
  // No more than there are slots now: one that fails at once is free again at once, and a target
  // that is gone would keep this loop for ever.
  for (size_t left = free_.size(); left > 0 && !free_.empty(); --left) {
    uint64_t due = now;
    if (pacer_.paced()) {
      due = pacer_.due_ns();
      if (due > now) return;
      pacer_.Step(1);
    }
    const uint32_t index = free_.back();
    free_.pop_back();
    Slot* slot = &slots_[index];
    slot->due_ns = due;
    ++slot->generation;
    const uint64_t token = uint64_t{slot->generation} << 32 | index;
    slot->connection =
        std::make_unique<ClientConnection>(run_->plan.connection, &tls_, poller_.fd(), token);
    OnEvent(index, slot->connection->Start(&scratch_));
  }
}

void StormThread::OnReady(const epoll_event& event) {
  const auto index = static_cast<uint32_t>(event.data.u64);
  Slot* slot = &slots_[index];
  if (slot->connection != nullptr && slot->generation == event.data.u64 >> 32) {
    OnEvent(index, slot->connection->OnReady(event.events, &scratch_));
  }
}

void StormThread::OnEvent(uint32_t index, ClientConnection::Event event) {
  Slot* slot = &slots_[index];
  switch (event) {
    case ClientConnection::Event::kNone:
      return;
    case ClientConnection::Event::kLoggedIn:
      OnEvent(index, slot->connection->Request(packet::AsBytes(run_->plan.request), &scratch_));
      return;
    case ClientConnection::Event::kReply: {
      size_t phase = 0;
      if (run_->Measured(&phase)) {
        tally_->connects[phase].Record(NowNs() - slot->due_ns);
        const TlsClient* tls = slot->connection->tls();
        if (tls != nullptr) {
          Increase(&tally_->resumed, tls->resumed() ? 1 : 0);
          if (tally_->connects[phase].count() == 1) run_->NoteTls(tls->description());
        }
      }
      slot->connection->Quit(&scratch_);
      End(index);
      return;
    }
    case ClientConnection::Event::kFailed:
      run_->NoteError(tally_, slot->connection->error());
      End(index);
      return;
  }
}

void StormThread::End(uint32_t index) {
  slots_[index].connection.reset();
  free_.push_back(index);
}

}  // namespace sallyport::bench
