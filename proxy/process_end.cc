// The end of a Process: how it drains, and what it says of it.
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "proxy/log/log.h"
#include "proxy/process.h"
#include "proxy/systemd.h"

namespace sallyport {
namespace {

// How late the end of the last session may be noticed.
constexpr uint64_t kLookMs = 20;

uint64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace

// Not ready, then not accepting, then no sessions: a line for each.
void Process::EndBySignal(int number) {
  const Config& config = command_line_.config;
  offer_.reset();
  NotifyStopping(uint64_t{config.drain_delay_ms} + config.shutdown_timeout_ms);
  LogInfo(Line("stopping: not ready any more")
              .Add("signal", number == SIGTERM ? "SIGTERM" : "SIGINT")
              .Add("drain_delay_ms", config.drain_delay_ms)
              .Add("sessions", open_sessions()));
  if (admin_ != nullptr) admin_->SetStopping();
  const Waited waited = WaitForEnd(config.drain_delay_ms, false);
  StopAccepting();
  if (waited == Waited::kSignal) return EndSessions("signal");
  const bool hurry = WaitForEnd(config.shutdown_timeout_ms, true) == Waited::kSignal;
  EndSessions(hurry ? "signal" : "shutdown_timeout");
}

// Another process accepts now, from the same sockets. The manager of this one isn't told that it
// stops: it would lose its patience long before the sessions are over.
void Process::GiveWay() {
  const Config& config = command_line_.config;
  LogInfo(Line("upgrade: another process serves now").Add("sessions", open_sessions()));
  StopAccepting();
  offer_.reset();
  if (admin_ != nullptr) admin_->StopAccepting();
  NotifyStatus("Another process serves now; this one ends with its last session");
  const char* why = "upgrade_timeout";
  if (WaitForEnd(config.upgrade_timeout_ms, true) == Waited::kSignal) {
    NotifyStopping(config.shutdown_timeout_ms);
    LogInfo(Line("stopping").Add("sessions", open_sessions()));
    const bool hurry = WaitForEnd(config.shutdown_timeout_ms, true) == Waited::kSignal;
    why = hurry ? "signal" : "shutdown_timeout";
  }
  EndSessions(why);
}

void Process::StopAccepting() {
  for (const auto& worker : workers_) worker->Drain();
  LogInfo(Line("accepting no more").Add("sessions", open_sessions()));
}

// Joins the workers, whether or not there is a session left to end.
void Process::EndSessions(const char* why) {
  if (!all_ended()) {
    LogInfo(Line("ending all sessions").Add("why", why).Add("sessions", open_sessions()));
  }
  StopWorkers();
}

void Process::StopWorkers() {
  for (const auto& worker : workers_) worker->Stop();
  for (const auto& worker : workers_) worker->Join();
}

// Only a signal to end counts: what is read again now would serve nobody.
Process::Waited Process::WaitForEnd(uint64_t ms, bool until_all_ended) {
  const uint64_t deadline_ms = NowMs() + ms;
  for (uint64_t now_ms = NowMs(); now_ms < deadline_ms; now_ms = NowMs()) {
    if (until_all_ended && all_ended()) return Waited::kAllEnded;
    const uint64_t left_ms = deadline_ms - now_ms;
    const int number = WaitForSignal(
        static_cast<uint32_t>(until_all_ended ? std::min(left_ms, kLookMs) : left_ms));
    if (number == SIGTERM || number == SIGINT) return Waited::kSignal;
    if (number == SIGUSR1) ReopenLog();
  }
  return Waited::kAllOfIt;
}

uint64_t Process::open_sessions() const {
  uint64_t sum = 0;
  for (const auto& worker : workers_) sum += worker->stats().connections_open.value();
  return sum;
}

bool Process::all_ended() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->ended(); });
}

}  // namespace sallyport
