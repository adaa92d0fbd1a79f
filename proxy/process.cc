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
#include "proxy/load_tls.h"
#include "proxy/log/log.h"
#include "proxy/systemd.h"

namespace sallyport {
namespace {

// Signs of life are asked for this often in the manager's interval: one that is late by a half of
// it still counts.
constexpr uint32_t kPingsPerWatchdog = 4;

// How often to look whether a day has passed, and with it the time for warnings.
constexpr uint32_t kExpiryLookMs = 600'000;

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

// "2027-01-31T12:00:00Z"
std::string UtcText(int64_t seconds) {
  const time_t time = seconds;
  tm parts{};
  char text[32];
  gmtime_r(&time, &parts);
  return {text, strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts)};
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
      counts_(command_line_.config.listeners.size() + 1),
      servers_([this](const Services& services) {
        for (const auto& worker : workers_) worker->Replace(services);
        if (overseer_ != nullptr) overseer_->SetServices(services);
      }) {
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
  NewServices services;
  std::vector<std::vector<ListenSocket>> sockets;
  std::vector<BoundAddress> addresses;
  if (!MakeServices(config, counts_, servers_.registry(), {}, {}, &services, error) ||
      !OpenListeners(config, services, worker_count_, &sockets, &addresses, error) ||
      !StartLogInSandbox(error) || !ChooseRing(config, &make_ring_, &engine_, error)) {
    return false;
  }
  GiveSigners(config, &signers_, &services);
  servers_.Put({services.begin(), services.end()});
  NoteExpiries();
  RaiseFileLimit(config, worker_count_);
  if (!StartWorkers(std::move(sockets), error)) return false;
  if (!StartAdmin(addresses, error)) return false;
  servers_.Start();
  LogListeners(addresses);
  return true;
}

bool Process::StartAdmin(const std::vector<BoundAddress>& addresses, StartError* error) {
  if (command_line_.config.admin.empty()) return true;
  std::vector<Worker*> workers;
  for (const auto& worker : workers_) workers.push_back(worker.get());
  std::vector<std::vector<std::string>> listen(servers_.services().size());
  for (const BoundAddress& bound : addresses) {
    listen[bound.listener].push_back(bound.address.ToString());
  }
  overseer_ = std::make_unique<Overseer>(std::move(workers), servers_.registry()->drains(),
                                         std::move(listen));
  overseer_->SetServices(servers_.services());

  AdminSource source;
  source.io_engine = engine_;
  source.expiry = &expiry_watch_;
  for (const auto& worker : workers_) source.workers.push_back(&worker->stats());
  source.list_sessions = [this](uint64_t after, uint32_t count_max) {
    return overseer_->ListSessions(after, count_max);
  };
  source.close_session = [this](uint64_t id) { return overseer_->CloseSession(id); };
  source.drain_server = [this](std::string_view server, bool drained) {
    return overseer_->DrainServer(server, drained);
  };
  source.listeners = [this] { return overseer_->Listeners(); };
  source.servers = [this] { return servers_.registry()->All(); };
  source.why_not_ready = [this] { return servers_.WhyNotReady(); };
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
    auto worker = std::make_unique<Worker>(servers_.services(), index, make_ring_(),
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

void Process::LogListeners(const std::vector<BoundAddress>& addresses) {
  const Services services = servers_.services();
  const bool self_signed = std::any_of(services.begin(), services.end(), [](const auto& service) {
    return service->self_signed != nullptr;
  });
  if (self_signed) {
    LogWarning(
        "no tls_cert given: using a self-signed certificate made in memory; clients can't verify "
        "it");
  }
  WarnAboutKeyFiles();
  WarnAboutExpiries();
  for (const BoundAddress& bound : addresses) {
    const Service& service = *services[bound.listener];
    Line line("listening on " + bound.address.ToString());
    if (!service.name.empty()) line.Add("listener", service.name);
    line.Add("server", Texts(service.servers));
    line.Add("tls_mode", ToText(command_line_.config.listeners[bound.listener].tls_mode));
    line.Add("io_engine", engine_).Add("workers", worker_count_);
    if (service.signers != nullptr) line.Add("signers", service.signers->threads());
    if (service.tls != nullptr) {
      line.Add("certificate", service.tls->certificate().subject)
          .Add("key", service.tls->certificate().key_type)
          .Add("certificates", service.tls->certificates().size());
    }
    LogInfo(line);
  }
}

void Process::WarnAboutKeyFiles() const {
  for (const std::shared_ptr<const Service>& service : servers_.services()) {
    for (const LooseKeyFile& file : service->loose_key_files) {
      LogWarning(Line("others than its owner may touch the private key's file; chmod 600 it")
                     .Add("file", file.path)
                     .Add("mode", file.mode));
    }
  }
}

void Process::NoteExpiries() {
  const Services services = servers_.services();
  std::vector<Expiry> all;
  for (size_t i = 0; i < services.size(); ++i) {
    const auto of_one = ExpiriesOf(command_line_.config.listeners[i], *services[i]);
    all.insert(all.end(), of_one.begin(), of_one.end());
  }
  expiry_watch_.Replace(std::move(all));
}

void Process::WarnAboutExpiries() {
  const int64_t now = time(nullptr);
  for (const Expiry& expiry : expiry_watch_.Due(now)) {
    Line line(expiry.not_after <= now ? "expired" : "expires soon");
    line.Add("what", expiry.kind).Add("file", expiry.file).Add("subject", expiry.subject);
    line.Add("listener", expiry.listener).Add("not_after", UtcText(expiry.not_after));
    LogWarning(line.Add("days_left", (expiry.not_after - now) / ExpiryWatch::kDaySeconds));
  }
}

// --- Signals.

int Process::NextSignal() {
  const timespec patience = Milliseconds(
      watchdog_ms_ == 0 ? kExpiryLookMs : std::max(1u, watchdog_ms_ / kPingsPerWatchdog));
  for (;;) {
    const int number = sigtimedwait(&signals_, nullptr, &patience);
    LookAfterWatchdog();
    WarnAboutExpiries();
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
  NewServices services;
  std::vector<bool> keep;  // What is not in the file any more: so may its certificate be gone.
  for (const std::optional<size_t>& listener : plan.wanted_listeners) {
    keep.push_back(!listener.has_value());
  }
  if (!CheckFiles(plan.config, keep, &error) ||
      !MakeServices(plan.config, counts_, servers_.registry(), servers_.services(), keep, &services,
                    &error)) {
    return wanted.Complaint(error.option, error.what, *plan.wanted_listeners[error.listener]);
  }
  GiveSigners(plan.config, &signers_, &services);
  servers_.Put({services.begin(), services.end()});
  wanted.config = std::move(plan.config);
  for (size_t i = 0; i < plan.wanted_listeners.size(); ++i) {
    const std::optional<size_t> listener = plan.wanted_listeners[i];
    if (listener.has_value()) {
      command_line_.listener_places[i] = wanted.listener_places[*listener];
    }
  }
  wanted.listener_places = std::move(command_line_.listener_places);
  command_line_ = std::move(wanted);
  NoteExpiries();
  WarnAboutKeyFiles();
  WarnAboutExpiries();
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
    if (keep[i]) continue;
    error->listener = i;
    if (!CheckReadable(sandbox_, "server_public_key", listener.server_public_key, error)) {
      return false;
    }
    for (const TlsFile& file : TlsFiles(listener)) {
      if (!CheckReadable(sandbox_, file.option, file.path, error)) return false;
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
