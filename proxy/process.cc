#include "proxy/process.h"

#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_join.h"
#include "proxy/config/reload.h"
#include "proxy/file_limit.h"
#include "proxy/log/log.h"
#include "proxy/systemd.h"

namespace sallyport {
namespace {

// Signs of life are asked for this often in the manager's interval: one that is late by a half of
// it still counts.
constexpr uint32_t kPingsPerWatchdog = 4;

// Blocked before any thread starts, so that only NextSignal sees them.
sigset_t BlockSignals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

timespec Milliseconds(uint32_t ms) { return {ms / 1000, static_cast<long>(ms % 1000) * 1'000'000}; }

// The line without its beginning and end.
std::string_view Inner(std::string_view complaint) {
  constexpr std::string_view kBegin = "sallyport: ";
  if (complaint.starts_with(kBegin)) complaint.remove_prefix(kBegin.size());
  if (complaint.ends_with('\n')) complaint.remove_suffix(1);
  return complaint;
}

const char* ToText(TlsMode mode) {
  switch (mode) {
    case TlsMode::kPreferred:
      return "preferred";
    case TlsMode::kRequired:
      return "required";
    case TlsMode::kDisabled:
      return "disabled";
  }
  return "";
}

std::string Texts(const std::vector<ServerAddress>& servers) {
  return absl::StrJoin(servers, ",", [](std::string* out, const ServerAddress& server) {
    out->append(server.text);
  });
}

}  // namespace

Process::Process(CommandLine command_line, std::function<CommandLine()> parse)
    : command_line_(std::move(command_line)),
      parse_(std::move(parse)),
      watchdog_ms_(WatchdogMs()),
      counts_(command_line_.config.listeners.size() + 1) {
  const Config& config = command_line_.config;
  worker_count_ = config.workers > 0
                      ? config.workers
                      : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

Process::~Process() = default;

int Process::Run() {
  if (!command_line_.config.core_dumps) prctl(PR_SET_DUMPABLE, 0);
  signals_ = BlockSignals();
  StartError error;
  if (!Start(&error)) {
    DrainAndStop(0);
    StopLog();
    return Complain(error);
  }
  NotifyReady();
  int signal_number = NextSignal();
  for (; signal_number != SIGTERM && signal_number != SIGINT; signal_number = NextSignal()) {
    if (signal_number == SIGHUP) Reload();
    if (signal_number == SIGUSR1) ReopenLog();
  }

  NotifyStopping();
  LogInfo(Line("stopping").Add("signal", signal_number == SIGTERM ? "SIGTERM" : "SIGINT"));
  if (admin_ != nullptr) admin_->SetStopping();
  DrainAndStop(command_line_.config.shutdown_timeout_ms);
  admin_.reset();
  LogInfo("stopped");
  StopLog();
  return 0;
}

int Process::Complain(const StartError& error) const {
  std::fputs(command_line_.Complaint(error.option, error.what, error.listener).c_str(), stderr);
  return error.bad_config ? kExitBadConfig : kExitFailedStart;
}

// --- The start.

bool Process::Start(StartError* error) {
  const Config& config = command_line_.config;
  error->option = "max_connections";
  if (!FitFileLimit(worker_count_, command_line_.places.contains("max_connections"),
                    &command_line_.config, &error->what)) {
    return false;
  }
  NewServices services;
  std::vector<std::vector<ListenSocket>> sockets;
  std::vector<BoundAddress> addresses;
  if (!MakeServices(config, counts_, {}, {}, &services, error) ||
      !OpenListeners(config, services, worker_count_, &sockets, &addresses, error) ||
      !StartLogInSandbox(error) || !ChooseRing(config, &make_ring_, &engine_, error)) {
    return false;
  }
  WarnAboutFiles();
  GiveSigners(config, &signers_, &services);
  GiveLimiter(&limiter_, &services);
  GiveDrains(&drains_, &services);
  services_.assign(services.begin(), services.end());
  if (!StartWorkers(std::move(sockets), error)) return false;
  if (!StartAdmin(addresses, error)) return false;
  LogListeners(addresses);
  return true;
}

bool Process::StartAdmin(const std::vector<BoundAddress>& addresses, StartError* error) {
  if (command_line_.config.admin.empty()) return true;
  std::vector<Worker*> workers;
  for (const auto& worker : workers_) workers.push_back(worker.get());
  std::vector<std::vector<std::string>> listen(services_.size());
  for (const BoundAddress& bound : addresses) {
    listen[bound.listener].push_back(bound.address.ToString());
  }
  overseer_ = std::make_unique<Overseer>(std::move(workers), &drains_, std::move(listen));
  overseer_->SetServices(services_);

  AdminSource source;
  source.io_engine = engine_;
  for (const auto& worker : workers_) source.workers.push_back(&worker->stats());
  source.list_sessions = [this](uint64_t after, uint32_t count_max) {
    return overseer_->ListSessions(after, count_max);
  };
  source.close_session = [this](uint64_t id) { return overseer_->CloseSession(id); };
  source.drain_server = [this](std::string_view server, bool drained) {
    return overseer_->DrainServer(server, drained);
  };
  source.listeners = [this] { return overseer_->Listeners(); };
  absl::StatusOr<std::unique_ptr<Admin>> admin =
      Admin::Start(command_line_.config.admin, std::move(source));
  if (!admin.ok()) {
    *error = {"admin", std::string(admin.status().message())};
    return false;
  }
  admin_ = *std::move(admin);
  LogInfo("admin on " + admin_->address());
  return true;
}

// The log's thread is the first, and a sandbox holds only for threads that start inside.
bool Process::StartLogInSandbox(StartError* error) {
  const Config& config = command_line_.config;
  const absl::StatusOr<LogTarget> target = OpenLogTarget(config.log_file);
  if (!target.ok()) {
    *error = {"log_file", std::string(target.status().message())};
    return false;
  }
  if (!EnterSandboxFor(config, command_line_.config_file, &sandbox_, error)) return false;
  StartLog({.level = config.log_level, .format = config.log_format, .target = *target});
  if (!sandbox_.refusal.empty()) {
    LogWarning(Line("no sandbox: the process may open any file").Add("why", sandbox_.refusal));
  }
  return true;
}

bool Process::StartWorkers(std::vector<std::vector<ListenSocket>> sockets, StartError* error) {
  const std::vector<int> cpus =
      command_line_.config.pin_workers ? AllowedCpus() : std::vector<int>();
  for (int index = 0; index < worker_count_; ++index) {
    auto worker = std::make_unique<Worker>(services_, index, make_ring_(),
                                           std::move(sockets[static_cast<size_t>(index)]));
    const absl::Status started =
        worker->Start(cpus.empty() ? -1 : cpus[static_cast<size_t>(index) % cpus.size()]);
    if (!started.ok()) {
      *error = {"io_engine", std::string(started.message())};
      return false;
    }
    workers_.push_back(std::move(worker));
  }
  return true;
}

void Process::LogListeners(const std::vector<BoundAddress>& addresses) const {
  const bool self_signed = std::any_of(services_.begin(), services_.end(),
                                       [](const auto& service) { return service->self_signed; });
  if (self_signed) {
    LogWarning(
        "no tls_cert given: using a self-signed certificate made in memory; clients can't verify "
        "it");
  }
  WarnAboutKeyFiles();
  for (const BoundAddress& bound : addresses) {
    const Service& service = *services_[bound.listener];
    Line line("listening on " + bound.address.ToString());
    if (!service.name.empty()) line.Add("listener", service.name);
    line.Add("server", Texts(service.servers));
    line.Add("tls_mode", ToText(command_line_.config.listeners[bound.listener].tls_mode));
    line.Add("io_engine", engine_).Add("workers", worker_count_);
    if (service.signers != nullptr) line.Add("signers", service.signers->threads());
    if (service.tls != nullptr) {
      line.Add("certificate", service.tls->certificate().subject)
          .Add("key", service.tls->certificate().key_type);
    }
    LogInfo(line);
  }
}

void Process::WarnAboutFiles() const {
  const uint32_t wanted = Config{}.max_connections;
  const uint32_t allowed = command_line_.config.max_connections;
  if (command_line_.places.contains("max_connections") || allowed == wanted) return;
  LogWarning(Line("max_connections lowered, for there are too few file descriptors")
                 .Add("max_connections", allowed)
                 .Add("default", wanted));
}

void Process::WarnAboutKeyFiles() const {
  for (size_t i = 0; i < services_.size(); ++i) {
    if (services_[i]->key_file_mode.empty()) continue;
    LogWarning(Line("others than its owner may touch the private key's file; chmod 600 it")
                   .Add("file", command_line_.config.listeners[i].tls_key)
                   .Add("mode", services_[i]->key_file_mode));
  }
}

// --- Signals.

int Process::NextSignal() {
  const timespec patience = Milliseconds(std::max(1u, watchdog_ms_ / kPingsPerWatchdog));
  for (;;) {
    siginfo_t info;
    const int number = watchdog_ms_ == 0 ? sigwaitinfo(&signals_, &info)
                                         : sigtimedwait(&signals_, &info, &patience);
    LookAfterWatchdog();
    if (number > 0) return number;
  }
}

// A worker that hangs answers no ping, and then the manager hears nothing from us either.
void Process::LookAfterWatchdog() {
  if (watchdog_ms_ == 0) return;
  const bool alive = std::all_of(workers_.begin(), workers_.end(),
                                 [](const auto& worker) { return worker->answered(); });
  if (!alive) return;
  FeedWatchdog();
  for (const auto& worker : workers_) worker->Ping();
}

void Process::ReopenLog() {
  const std::string& file = command_line_.config.log_file;
  if (file.empty() || file == kLogToJournal) return;
  const absl::StatusOr<LogTarget> target = OpenLogTarget(file);
  if (!target.ok()) {
    LogError(
        Line("log_file can't be opened again").Add("why", std::string(target.status().message())));
    return;
  }
  MoveLog(*target);
  LogInfo("log opened again");
}

void Process::Reload() {
  NotifyReloading();
  std::vector<std::string> need_restart;
  const std::string why_not = TryReload(&need_restart);
  if (!why_not.empty()) {
    LogError(Line("reload refused, what was in force stays").Add("why", Inner(why_not)));
  } else {
    Line line("reloaded");
    if (!need_restart.empty()) line.Add("needs_restart", absl::StrJoin(need_restart, ","));
    LogInfo(line);
  }
  NotifyReady();
}

// The complaint, or nothing. Nothing has changed unless all of it went well.
std::string Process::TryReload(std::vector<std::string>* need_restart) {
  StartError error;
  if (!CheckReadable(sandbox_, "--config", command_line_.config_file, &error)) {
    return error.option + ": " + error.what;
  }
  CommandLine wanted = parse_();
  if (wanted.action != CommandLine::Action::kRun) return wanted.error;
  ReloadPlan plan = PlanReload(command_line_.config, wanted.config);
  if (std::string why;
      !FitFileLimit(worker_count_, wanted.places.contains("max_connections"), &plan.config, &why)) {
    return wanted.Complaint("max_connections", why);
  }
  NewServices services;
  std::vector<bool> keep;  // What is not in the file any more: so may its certificate be gone.
  for (const std::optional<size_t>& listener : plan.wanted_listeners) {
    keep.push_back(!listener.has_value());
  }
  if (!CheckFiles(plan.config, keep, &error) ||
      !MakeServices(plan.config, counts_, services_, keep, &services, &error)) {
    return wanted.Complaint(error.option, error.what, *plan.wanted_listeners[error.listener]);
  }
  GiveSigners(plan.config, &signers_, &services);
  GiveLimiter(&limiter_, &services);
  GiveDrains(&drains_, &services);
  services_.assign(services.begin(), services.end());
  for (const auto& worker : workers_) worker->Replace(services_);
  if (overseer_ != nullptr) overseer_->SetServices(services_);
  wanted.config = std::move(plan.config);
  for (size_t i = 0; i < plan.wanted_listeners.size(); ++i) {
    const std::optional<size_t> listener = plan.wanted_listeners[i];
    if (listener.has_value()) {
      command_line_.listener_places[i] = wanted.listener_places[*listener];
    }
  }
  wanted.listener_places = std::move(command_line_.listener_places);
  command_line_ = std::move(wanted);
  WarnAboutFiles();
  WarnAboutKeyFiles();
  SetLogLevel(command_line_.config.log_level);
  *need_restart = std::move(plan.need_restart);
  return "";
}

// Outside of the sandbox a file can't be opened, and "Permission denied" would send the operator to
// look at its mode.
bool Process::CheckFiles(const Config& config, const std::vector<bool>& keep,
                         StartError* error) const {
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    const ListenerConfig& listener = config.listeners[i];
    if (keep[i] || listener.tls_mode == TlsMode::kDisabled) continue;
    error->listener = i;
    if (!CheckReadable(sandbox_, "tls_cert", listener.tls_cert, error) ||
        !CheckReadable(sandbox_, "tls_key", listener.tls_key, error)) {
      return false;
    }
  }
  return true;
}

// --- The end.

bool Process::all_ended() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->ended(); });
}

// The grace time's end, or a second signal, ends all sessions.
void Process::DrainAndStop(uint32_t grace_ms) {
  for (const auto& worker : workers_) worker->Drain();
  constexpr uint32_t kLookMs = 20;
  const timespec look = Milliseconds(kLookMs);
  for (uint32_t waited_ms = 0; waited_ms < grace_ms && !all_ended(); waited_ms += kLookMs) {
    const int number = sigtimedwait(&signals_, nullptr, &look);
    if (number == SIGTERM || number == SIGINT) {
      LogInfo("second signal: ending all sessions at once");
      break;
    }
  }
  for (const auto& worker : workers_) worker->Stop();
  for (const auto& worker : workers_) worker->Join();
}

}  // namespace sallyport
