#include "proxy/servers/health_watch.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "packet/check.h"
#include "proxy/limits.h"
#include "proxy/servers/server_log.h"

namespace sallyport {
namespace {

uint64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

// Only the greeting was wanted, and is known.
bool IsSatisfied(const HealthTarget& target) {
  return target.interval_ms == 0 && target.state->greeting().known() && !target.state->unhealthy();
}

// When to check next, a check being over.
uint64_t NextDueMs(const HealthTarget& target, uint64_t now_ms) {
  if (IsSatisfied(target)) return UINT64_MAX;
  return now_ms + (target.interval_ms > 0 ? target.interval_ms : kGreetingRetryMs);
}

}  // namespace

HealthWatch::HealthWatch() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  SALLYPORT_CHECK(wake_fd_ >= 0);
}

HealthWatch::~HealthWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  eventfd_write(wake_fd_, 1);
  if (thread_.joinable()) thread_.join();
  close(wake_fd_);
}

void HealthWatch::Set(std::vector<HealthTarget> targets) {
  const std::lock_guard lock(mutex_);
  if (targets.empty() && !started_) return;
  posted_ = std::move(targets);
  has_posted_ = true;
  if (!std::exchange(started_, true)) thread_ = std::thread([this] { Run(); });
  eventfd_write(wake_fd_, 1);
}

void HealthWatch::Run() {
  pthread_setname_np(pthread_self(), "health");
  room_ = std::make_unique_for_overwrite<uint8_t[]>(kReceiveBytesMax);
  outboxes_ = std::make_unique<Outboxes>();
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      if (std::exchange(has_posted_, false)) TakeTargets();
    }
    const uint64_t now_ms = WaitAndStep();
    for (Patient& patient : patients_) {
      if (now_ms < patient.due_ms) continue;
      if (patient.check == nullptr) {
        Begin(&patient, now_ms);
      } else {
        Conclude(&patient, HealthCheck::Result::kRunning, now_ms);
      }
    }
  }
}

void HealthWatch::TakeTargets() {
  std::vector<Patient> before = std::exchange(patients_, {});
  const auto find = [](std::vector<Patient>* in, const ServerState* state) {
    return std::find_if(in->begin(), in->end(), [state](const Patient& patient) {
      return patient.target.state.get() == state;
    });
  };
  for (HealthTarget& target : posted_) {
    if (find(&patients_, target.state.get()) != patients_.end()) continue;
    Patient patient{std::move(target), 0, nullptr};
    const auto known = find(&before, patient.target.state.get());
    if (known != before.end()) {
      const uint64_t due_ms = known->due_ms;
      patient.check = std::move(known->check);
      patient.due_ms = std::min(due_ms, NextDueMs(patient.target, NowMs()));
      before.erase(known);
    } else if (IsSatisfied(patient.target)) {
      patient.due_ms = UINT64_MAX;
    }
    patients_.push_back(std::move(patient));
  }
  posted_.clear();
  for (const Patient& gone : before) {
    if (gone.target.state->Unchecked()) LogServerBack(*gone.target.state);
  }
}

// Waits until a socket is ready, the next thing is due, or there are orders; gives the time.
uint64_t HealthWatch::WaitAndStep() {
  std::vector<pollfd> fds = {{wake_fd_, POLLIN, 0}};
  std::vector<Patient*> polled;
  uint64_t next_ms = UINT64_MAX;
  for (Patient& patient : patients_) {
    next_ms = std::min(next_ms, patient.due_ms);
    if (patient.check == nullptr) continue;
    fds.push_back({patient.check->fd(), patient.check->events(), 0});
    polled.push_back(&patient);
  }
  uint64_t now_ms = NowMs();
  int timeout_ms = -1;
  if (next_ms != UINT64_MAX) {
    constexpr uint64_t kPatienceMs = 3'600'000;
    timeout_ms = static_cast<int>(std::min(next_ms - std::min(next_ms, now_ms), kPatienceMs));
  }
  poll(fds.data(), fds.size(), timeout_ms);
  now_ms = NowMs();
  eventfd_t count = 0;
  eventfd_read(wake_fd_, &count);
  for (size_t i = 0; i < polled.size(); ++i) {
    if (fds[i + 1].revents != 0) GoOn(polled[i], now_ms);
  }
  return now_ms;
}

void HealthWatch::Begin(Patient* patient, uint64_t now_ms) {
  const HealthTarget& target = patient->target;
  patient->check = std::make_unique<HealthCheck>(target.address, target.proxy_protocol);
  patient->due_ms = now_ms + target.timeout_ms;
  if (!patient->check->why().empty()) Conclude(patient, HealthCheck::Result::kFailed, now_ms);
}

void HealthWatch::GoOn(Patient* patient, uint64_t now_ms) {
  const HealthCheck::Result result =
      patient->check->Step({room_.get(), kReceiveBytesMax}, outboxes_.get());
  if (result != HealthCheck::Result::kRunning) Conclude(patient, result, now_ms);
}

// One that still runs has no more time.
void HealthWatch::Conclude(Patient* patient, HealthCheck::Result result, uint64_t now_ms) {
  ServerState& state = *patient->target.state;
  if (const GreetingTraits* traits = patient->check->traits()) state.greeting().Learn(*traits);
  if (result == HealthCheck::Result::kPassed) {
    if (state.CheckPassed()) LogServerBack(state);
  } else if (state.CheckFailed()) {
    LogServerDown(state, result == HealthCheck::Result::kFailed
                             ? patient->check->why()
                             : "health check: no answer in time");
  }
  patient->check.reset();
  patient->due_ms = NextDueMs(patient->target, now_ms);
}

}  // namespace sallyport
