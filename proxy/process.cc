#include "proxy/process.h"

#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_join.h"
#include "proxy/config/reload.h"
#include "proxy/log/log.h"
#include "proxy/systemd.h"

namespace sallyport {
namespace {

// Signs of life are asked for this often in the manager's interval: one that is late by a half of
// it still counts.
constexpr uint32_t kPingsPerWatchdog = 4;

constexpr uint32_t kForeverMs = UINT32_MAX;

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
  signals_.emplace({SIGTERM, SIGINT, SIGHUP, SIGUSR1});
  StartError error;
  if (!Start(&error)) {
    claim_.reset();  // The process that serves goes on.
    StopWorkers();
    StopLog();
    return Complain(error);
  }
  NotifyReady();
  int number = 0;
  bool replaced = false;
  while (number != SIGTERM && number != SIGINT && !replaced) {
    number = WaitForSignal(kForeverMs);
    if (number == SIGHUP) Reload();
    if (number == SIGUSR1) ReopenLog();
    replaced = offer_ != nullptr && offer_->Look();
  }
  if (replaced) {
    GiveWay();
  } else {
    EndBySignal(number);
  }
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

// What a mistake in the configuration can stop comes first, so that a running process isn't
// bothered for nothing; and nobody is accepted before all stands.
bool Process::Start(StartError* error) {
  const Config& config = command_line_.config;
  NewServices services;
  InheritedSockets inherited;
  Listeners listeners;
  if (!MakeServices(config, counts_, {}, {}, &services, error) || !Inherit(&inherited, error) ||
      !OpenListeners(config, services, worker_count_, &inherited, &listeners, error)) {
    return false;
  }
  const int admin_socket = TakeAdminSocket(config, &inherited);
  if (!CheckLeft(inherited, error) || !StartLogInSandbox(error) ||
      !ChooseRing(config, &make_ring_, &engine_, error)) {
    return false;
  }
  GiveSigners(config, &signers_, &services);
  services_.assign(services.begin(), services.end());
  RaiseFileLimit(config, worker_count_);
  if (!StartWorkers(std::move(listeners.of_worker), error) || !StartAdmin(admin_socket, error)) {
    return false;
  }
  Serve(std::move(listeners), inherited);
  return true;
}

// Sockets of the service manager, and of the process that serves now.
bool Process::Inherit(InheritedSockets* inherited, StartError* error) {
  for (NamedSocket& socket : SocketsOfManager()) {
    if (const absl::Status status = inherited->Add(std::move(socket), true); !status.ok()) {
      *error = {"listen", "from the service manager: " + std::string(status.message())};
      return false;
    }
  }
  const std::string& path = command_line_.config.upgrade_socket;
  if (path.empty()) return true;
  absl::StatusOr<std::unique_ptr<UpgradeClaim>> claim = UpgradeClaim::Ask(path, inherited);
  absl::Status status = claim.status();
  if (claim.ok() && *claim != nullptr) {
    claim_ = *std::move(claim);
    offer_ = claim_->TakeOffer();
  } else if (claim.ok()) {
    absl::StatusOr<std::unique_ptr<UpgradeOffer>> offer = UpgradeOffer::Listen(path);
    status = offer.status();
    if (offer.ok()) offer_ = *std::move(offer);
  }
  if (!status.ok()) *error = {"upgrade_socket", std::string(status.message())};
  return status.ok();
}

bool Process::StartAdmin(int listener, StartError* error) {
  const std::string& address = command_line_.config.admin;
  if (address.empty()) return true;
  std::vector<const Stats*> stats;
  for (const auto& worker : workers_) stats.push_back(&worker->stats());
  absl::StatusOr<std::unique_ptr<Admin>> admin = Admin::Start(address, stats, listener);
  if (!admin.ok()) {
    *error = {"admin", std::string(admin.status().message())};
    return false;
  }
  admin_ = *std::move(admin);
  LogInfo("admin on " + admin_->address());
  return true;
}

void Process::Serve(Listeners listeners, const InheritedSockets& inherited) {
  if (offer_ != nullptr) {
    if (admin_ != nullptr) listeners.to_hand_over.push_back({admin_->listener(), ""});
    offer_->SetSockets(std::move(listeners.to_hand_over));
  }
  for (const auto& worker : workers_) worker->Serve();
  LogListeners(listeners.addresses);
  if (claim_ == nullptr) return;
  claim_->Done();
  LogInfo(Line("upgrade: took over").Add("old_process", claim_->peer()));
  for (const InheritedSockets::Socket& socket : inherited.left()) {
    LogWarning(Line("not listening any more on " + socket.address.ToString()));
  }
  claim_.reset();
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
    worker->Hold();  // Whom it accepts before all else stands is lost when that fails.
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

void Process::WarnAboutKeyFiles() const {
  for (size_t i = 0; i < services_.size(); ++i) {
    if (services_[i]->key_file_mode.empty()) continue;
    LogWarning(Line("others than its owner may touch the private key's file; chmod 600 it")
                   .Add("file", command_line_.config.listeners[i].tls_key)
                   .Add("mode", services_[i]->key_file_mode));
  }
}

// --- Signals.

// A signal's number, or 0: `ms` have passed, or less.
int Process::WaitForSignal(uint32_t ms) {
  if (watchdog_ms_ > 0) ms = std::min(ms, std::max(1u, watchdog_ms_ / kPingsPerWatchdog));
  const int number = offer_ == nullptr ? signals_->Wait(ms) : signals_->Wait(ms, offer_->fds());
  LookAfterWatchdog();
  return number;
}

// A worker that hangs answers no ping, and then the manager hears nothing from us either.
void Process::LookAfterWatchdog() {
  if (watchdog_ms_ == 0) return;
  const bool alive = std::all_of(workers_.begin(), workers_.end(), [](const auto& worker) {
    return worker->ended() || worker->answered();
  });
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
  services_.assign(services.begin(), services.end());
  for (const auto& worker : workers_) worker->Replace(services_);
  wanted.config = std::move(plan.config);
  for (size_t i = 0; i < plan.wanted_listeners.size(); ++i) {
    const std::optional<size_t> listener = plan.wanted_listeners[i];
    if (listener.has_value()) {
      command_line_.listener_places[i] = wanted.listener_places[*listener];
    }
  }
  wanted.listener_places = std::move(command_line_.listener_places);
  command_line_ = std::move(wanted);
  WarnAboutKeyFiles();
  SetLogLevel(command_line_.config.log_level);
  RaiseFileLimit(command_line_.config, worker_count_);
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

}  // namespace sallyport
