// Sallyport's main: wiring only. Configuration, then what workers share, workers, admin, signals.
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proxy/admin/admin.h"
#include "proxy/config/command_line.h"
#include "proxy/log/log.h"
#include "proxy/start.h"
#include "proxy/worker.h"

namespace sallyport {
namespace {

int Complain(const CommandLine& command_line, const StartError& error) {
  StopLog();
  std::fputs(command_line.Complaint(error.option, error.what).c_str(), stderr);
  return error.bad_config ? kExitBadConfig : kExitFailedStart;
}

// Blocked before any thread starts, so that only WaitForSignal sees them.
sigset_t BlockSignals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

bool AllEnded(const std::vector<std::unique_ptr<Worker>>& workers) {
  return std::all_of(workers.begin(), workers.end(),
                     [](const auto& worker) { return worker->ended(); });
}

// The first signal begins the drain; its grace time's end, or a second signal, ends all sessions.
void DrainAndStop(const sigset_t& signals, uint32_t grace_ms,
                  const std::vector<std::unique_ptr<Worker>>& workers) {
  for (const auto& worker : workers) worker->Drain();
  constexpr uint32_t kLookMs = 20;
  const timespec look = {0, kLookMs * 1'000'000};
  for (uint32_t waited_ms = 0; waited_ms < grace_ms && !AllEnded(workers); waited_ms += kLookMs) {
    if (sigtimedwait(&signals, nullptr, &look) > 0) {
      LogInfo("second signal: ending all sessions at once");
      break;
    }
  }
  for (const auto& worker : workers) worker->Stop();
  for (const auto& worker : workers) worker->Join();
}

void LogReady(const Config& config, const Foundation& foundation,
              const std::vector<Address>& addresses, const std::string& engine, int workers) {
  if (foundation.self_signed && foundation.tls != nullptr) {
    LogWarning(
        "no tls_cert given: using a self-signed certificate made in memory; clients can't verify "
        "it");
  }
  if (!foundation.key_file_mode.empty()) {
    LogWarning(Line("others than its owner may touch the private key's file; chmod 600 it")
                   .Add("file", config.tls_key)
                   .Add("mode", foundation.key_file_mode));
  }
  std::string servers;
  for (const ServerAddress& server : foundation.service.servers) {
    servers += (servers.empty() ? "" : ",") + server.text;
  }
  const char* tls = config.tls_mode == TlsMode::kDisabled   ? "disabled"
                    : config.tls_mode == TlsMode::kRequired ? "required"
                                                            : "preferred";
  for (const Address& address : addresses) {
    Line line("listening on " + address.ToString());
    line.Add("server", servers).Add("tls_mode", tls).Add("io_engine", engine);
    line.Add("workers", workers);
    if (foundation.signers != nullptr) line.Add("signers", foundation.signers->threads());
    if (foundation.tls != nullptr) {
      line.Add("certificate", foundation.tls->certificate().subject)
          .Add("key", foundation.tls->certificate().key_type);
    }
    LogInfo(line);
  }
}

int Serve(const CommandLine& command_line) {
  const Config& config = command_line.config;
  if (!config.core_dumps) prctl(PR_SET_DUMPABLE, 0);
  const sigset_t signals = BlockSignals();
  const int workers_wanted =
      config.workers > 0 ? config.workers
                         : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));

  StartError error;
  Foundation foundation;
  RingFactory make_ring;
  std::string engine;
  std::vector<std::vector<int>> fds;
  std::vector<Address> addresses;
  std::string sandbox_refusal;
  if (!LoadTls(config, &foundation, &error) || !MakeService(config, &foundation, &error) ||
      !OpenListeners(config, foundation.service.tuning, workers_wanted, &fds, &addresses, &error) ||
      !EnterSandboxFor(config, command_line.config_file, &sandbox_refusal, &error)) {
    return Complain(command_line, error);
  }
  // The log's is the first thread: a sandbox holds only for threads that start inside.
  StartLog(config.log_level);
  if (!sandbox_refusal.empty()) {
    LogWarning(Line("no sandbox: the process may open any file").Add("why", sandbox_refusal));
  }
  if (!ChooseRing(config, &make_ring, &engine, &error)) return Complain(command_line, error);
  RaiseFileLimit(config, workers_wanted);
  StartSigners(config, &foundation);

  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<const Stats*> stats;
  const std::vector<int> cpus = config.pin_workers ? AllowedCpus() : std::vector<int>();
  for (int index = 0; index < workers_wanted; ++index) {
    auto worker = std::make_unique<Worker>(&foundation.service, index, make_ring(),
                                           std::move(fds[static_cast<size_t>(index)]));
    const absl::Status started =
        worker->Start(cpus.empty() ? -1 : cpus[static_cast<size_t>(index) % cpus.size()]);
    if (!started.ok()) {
      for (const auto& earlier : workers) earlier->Stop();
      for (const auto& earlier : workers) earlier->Join();
      return Complain(command_line, {"io_engine", std::string(started.message()), false});
    }
    stats.push_back(&worker->stats());
    workers.push_back(std::move(worker));
  }

  std::unique_ptr<Admin> admin;
  if (!config.admin.empty()) {
    absl::StatusOr<std::unique_ptr<Admin>> started = Admin::Start(config.admin, stats);
    if (!started.ok()) {
      DrainAndStop(signals, 0, workers);
      return Complain(command_line, {"admin", std::string(started.status().message()), false});
    }
    admin = *std::move(started);
    LogInfo("admin on " + admin->address());
  }
  LogReady(config, foundation, addresses, engine, workers_wanted);

  int signal_number = 0;
  sigwait(&signals, &signal_number);
  LogInfo(Line("stopping").Add("signal", signal_number == SIGTERM ? "SIGTERM" : "SIGINT"));
  if (admin != nullptr) admin->SetStopping();
  DrainAndStop(signals, config.shutdown_timeout_ms, workers);
  admin.reset();
  LogInfo("stopped");
  StopLog();
  return 0;
}

int CheckConfig(const CommandLine& command_line) {
  StartError error;
  Foundation foundation;
  if (!LoadTls(command_line.config, &foundation, &error)) return Complain(command_line, error);
  std::fputs(command_line.text.c_str(), stdout);
  return 0;
}

}  // namespace
}  // namespace sallyport

int main(int argc, char** argv) {
  // `bazel run` changes to a folder of its own; paths are meant from where it was called.
  if (const char* called_from = std::getenv("BUILD_WORKING_DIRECTORY")) {
    if (chdir(called_from) != 0) std::perror(called_from);
  }
  using sallyport::CommandLine;
  const CommandLine command_line = sallyport::ParseCommandLine(argc, argv);
  switch (command_line.action) {
    case CommandLine::Action::kRun:
      return sallyport::Serve(command_line);
    case CommandLine::Action::kCheckConfig:
      return sallyport::CheckConfig(command_line);
    case CommandLine::Action::kExit:
      break;
  }
  std::fputs(command_line.text.c_str(), stdout);
  std::fputs(command_line.error.c_str(), stderr);
  return command_line.exit_code;
}
