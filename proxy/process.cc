#include "proxy/process.h"

#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_join.h"
#include "proxy/file_limit.h"
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
    number = WaitForSignal(kExpiryLookMs);
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
  error->option = "max_connections";
  if (!FitFileLimit(worker_count_, command_line_.places.contains("max_connections"),
                    &command_line_.config, &error->what)) {
    return false;
  }
  NewServices services;
  InheritedSockets inherited;
  Listeners listeners;
  if (!MakeServices(config, counts_, servers_.registry(), {}, {}, &services, error) ||
      !Inherit(&inherited, error) ||
      !OpenListeners(config, services, worker_count_, &inherited, &listeners, error)) {
    return false;
  }
  const int admin_socket = TakeAdminSocket(config, &inherited);
  if (!CheckLeft(inherited, error) || !StartLogInSandbox(error) ||
      !ChooseRing(config, &make_ring_, &engine_, error)) {
    return false;
  }
  WarnAboutFiles();
  GiveSigners(config, &signers_, &services);
  GiveLimiter(&limiter_, &services);
  servers_.Put({services.begin(), services.end()});
  NoteExpiries();
  if (!StartWorkers(std::move(listeners.of_worker), error) ||
      !StartAdmin(listeners.addresses, admin_socket, error)) {
    return false;
  }
  servers_.Start();
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

bool Process::StartAdmin(const std::vector<BoundAddress>& addresses, int listener,
                         StartError* error) {
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
      Admin::Start(command_line_.config.admin, std::move(source), listener);
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
    auto worker = std::make_unique<Worker>(servers_.services(), index, make_ring_(),
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
  WarnAboutKernelTls();
  for (const BoundAddress& bound : addresses) {
    const Service& service = *services[bound.listener];
    Line line("listening on " + bound.address.ToString());
    if (!service.name.empty()) line.Add("listener", service.name);
    line.Add("server", Texts(service.servers));
    if (service.session.greets) line.Add("sni_names", service.sni_groups.count());
    line.Add("tls_mode", ToText(command_line_.config.listeners[bound.listener].tls_mode));
    line.Add("io_engine", engine_).Add("workers", worker_count_);
    if (service.kernel_tls.any()) {
      line.Add("kernel_tls", "yes");
      line.Add("key_updates", service.kernel_tls.changes_keys() ? "answered" : "refused");
    }
    if (service.signers != nullptr) line.Add("signers", service.signers->threads());
    if (service.tls != nullptr) {
      line.Add("certificate", service.tls->certificate().subject)
          .Add("key", service.tls->certificate().key_type)
          .Add("certificates", service.tls->certificates().size());
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
  expiry_watch_.Replace(all);
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

// One line, though several listeners may miss it: the kernel is the same.
void Process::WarnAboutKernelTls() const {
  for (const std::shared_ptr<const Service>& service : servers_.services()) {
    const KernelTls& kernel_tls = service->kernel_tls;
    if (kernel_tls.lacks().empty()) continue;
    LogWarning(Line(kernel_tls.any() ? "kernel TLS without some ciphers, which the proxy encrypts"
                                     : "no kernel TLS: the proxy encrypts")
                   .Add("why", kernel_tls.lacks()));
    return;
  }
}

// --- Signals.

// A signal's number, or 0: `ms` have passed, or less.
int Process::WaitForSignal(uint32_t ms) {
  if (watchdog_ms_ > 0) ms = std::min(ms, std::max(1u, watchdog_ms_ / kPingsPerWatchdog));
  const int number = offer_ == nullptr ? signals_->Wait(ms) : signals_->Wait(ms, offer_->fds());
  LookAfterWatchdog();
  WarnAboutExpiries();
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

}  // namespace sallyport
