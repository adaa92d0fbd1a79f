#include "proxy/servers/name_watch.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "proxy/limits.h"
#include "proxy/log/log.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::vector<std::string> Sorted(const std::vector<Address>& addresses) {
  std::vector<std::string> texts;
  texts.reserve(addresses.size());
  for (const Address& address : addresses) texts.push_back(address.ToString());
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts;
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ",") + text;
  return joined;
}

bool SameNames(const WatchedNames& a, const WatchedNames& b) {
  return std::equal(a.names.begin(), a.names.end(), b.names.begin(), b.names.end(),
                    [](const ResolvedName& x, const ResolvedName& y) { return x.text == y.text; });
}

uint64_t Failures(const WatchedNames& listener) {
  uint64_t sum = 0;
  for (const auto& state : listener.states) sum += state->failures();
  return sum;
}

}  // namespace

bool IsName(std::string_view text) {
  if (text.starts_with("unix:") || text.starts_with('[')) return false;
  const std::string_view host = text.substr(0, text.rfind(':'));
  return host.find_first_not_of("0123456789.") != std::string_view::npos;
}

LookUp TakeLookUp(absl::StatusOr<std::vector<Address>> result, ResolvedName* name) {
  if (!result.ok() || result->empty()) return LookUp::kFailed;
  if (Sorted(*result) == Sorted(name->addresses)) return LookUp::kSame;
  name->addresses = *std::move(result);
  return LookUp::kChanged;
}

class NameWatch::Looker : public std::enable_shared_from_this<Looker> {
 public:
  Looker(Resolve resolve, Changed changed)
      : resolve_(std::move(resolve)), changed_(std::move(changed)) {}

  uint64_t Set(std::vector<WatchedNames> listeners);
  // Stop returns once `changed` isn't running and won't be.
  void Stop();

 private:
  struct Listener {
    WatchedNames watched;
    std::vector<bool> failing;  // By name: its failure was told.
    steady_clock::time_point looked;
    uint64_t failures = 0;  // Of its servers, by then.
  };

  void Run();
  std::optional<size_t> NextDue() const;
  steady_clock::time_point NextLook() const;
  bool IsDue(const Listener& listener, steady_clock::time_point now) const;
  void LookAt(size_t index, std::unique_lock<std::mutex>* lock);
  void Tell(const ResolvedName& name, LookUp outcome, const std::string& why, Listener* listener,
            size_t index) const;

  const Resolve resolve_;
  const Changed changed_;
  std::mutex mutex_;  // Guards what follows.
  std::condition_variable woken_;
  std::vector<Listener> listeners_;
  uint64_t generation_ = 0;
  bool started_ = false;
  bool stopping_ = false;
  bool calling_ = false;
};

uint64_t NameWatch::Looker::Set(std::vector<WatchedNames> listeners) {
  const std::lock_guard lock(mutex_);
  const std::vector<Listener> before = std::exchange(listeners_, {});
  bool any = false;
  for (WatchedNames& watched : listeners) {
    any = any || (watched.interval_ms > 0 &&
                  std::any_of(watched.names.begin(), watched.names.end(),
                              [](const ResolvedName& name) { return IsName(name.text); }));
    const size_t index = listeners_.size();
    Listener listener{{}, std::vector<bool>(watched.names.size()), steady_clock::now(), 0};
    if (index < before.size() && SameNames(before[index].watched, watched)) {
      listener.failing = before[index].failing;
      listener.looked = before[index].looked;
    }
    listener.failures = Failures(watched);
    listener.watched = std::move(watched);
    listeners_.push_back(std::move(listener));
  }
  if (any && !std::exchange(started_, true)) {
    std::thread([self = shared_from_this()] { self->Run(); }).detach();
  }
  woken_.notify_all();
  return ++generation_;
}

void NameWatch::Looker::Stop() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  woken_.notify_all();
  woken_.wait(lock, [this] { return !calling_; });
}

void NameWatch::Looker::Run() {
  pthread_setname_np(pthread_self(), "names");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const std::optional<size_t> due = NextDue();
    if (due.has_value()) {
      LookAt(*due, &lock);
    } else {
      woken_.wait_until(lock, NextLook());
    }
  }
}

std::optional<size_t> NameWatch::Looker::NextDue() const {
  const steady_clock::time_point now = steady_clock::now();
  for (size_t i = 0; i < listeners_.size(); ++i) {
    if (IsDue(listeners_[i], now)) return i;
  }
  return std::nullopt;
}

steady_clock::time_point NameWatch::Looker::NextLook() const {
  steady_clock::time_point next = steady_clock::now() + milliseconds(kNameLookMs);
  for (const Listener& listener : listeners_) {
    const uint32_t interval_ms = listener.watched.interval_ms;
    if (interval_ms > 0) next = std::min(next, listener.looked + milliseconds(interval_ms));
  }
  return next;
}

bool NameWatch::Looker::IsDue(const Listener& listener, steady_clock::time_point now) const {
  const uint32_t interval_ms = listener.watched.interval_ms;
  if (interval_ms == 0) return false;
  if (now - listener.looked >= milliseconds(interval_ms)) return true;
  return Failures(listener.watched) != listener.failures &&
         now - listener.looked >= milliseconds(kNameLookAfterFailureMs);
}

void NameWatch::Looker::LookAt(size_t index, std::unique_lock<std::mutex>* lock) {
  const uint64_t generation = generation_;
  listeners_[index].failures = Failures(listeners_[index].watched);
  bool any_changed = false;
  for (size_t i = 0; i < listeners_[index].watched.names.size(); ++i) {
    const std::string text = listeners_[index].watched.names[i].text;
    if (!IsName(text)) continue;
    lock->unlock();
    absl::StatusOr<std::vector<Address>> result = resolve_(text);
    const std::string why = std::string(result.status().message());
    lock->lock();
    if (stopping_ || generation != generation_) return;
    ResolvedName* const name = &listeners_[index].watched.names[i];
    const LookUp outcome = TakeLookUp(std::move(result), name);
    Tell(*name, outcome, why, &listeners_[index], i);
    any_changed = any_changed || outcome == LookUp::kChanged;
  }
  listeners_[index].looked = steady_clock::now();
  if (!any_changed) return;
  const std::vector<ResolvedName> names = listeners_[index].watched.names;
  calling_ = true;
  lock->unlock();
  changed_(generation, index, names);
  lock->lock();
  calling_ = false;
  woken_.notify_all();
}

// A resolver that stays away leaves one line, and one when it is back.
void NameWatch::Looker::Tell(const ResolvedName& name, LookUp outcome, const std::string& why,
                             Listener* listener, size_t index) const {
  const bool failed = outcome == LookUp::kFailed;
  const bool before = listener->failing[index];
  listener->failing[index] = failed;
  if (failed && !before) {
    LogWarning(Line("server's name can't be looked up, its old addresses stay")
                   .Add("name", name.text)
                   .Add("why", why)
                   .Add("addresses", Joined(Sorted(name.addresses))));
  } else if (!failed && (before || outcome == LookUp::kChanged)) {
    LogInfo(Line("server's name looked up")
                .Add("name", name.text)
                .Add("addresses", Joined(Sorted(name.addresses))));
  }
}

NameWatch::NameWatch(Resolve resolve, Changed changed)
    : looker_(std::make_shared<Looker>(std::move(resolve), std::move(changed))) {}

NameWatch::~NameWatch() { looker_->Stop(); }

uint64_t NameWatch::Set(std::vector<WatchedNames> listeners) {
  return looker_->Set(std::move(listeners));
}

}  // namespace sallyport
