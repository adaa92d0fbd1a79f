// Process: the whole proxy from its command line to its exit code. Configuration, then what workers
// share, workers, admin, signals.
//
//   SIGTERM SIGINT   stop accepting, let sessions finish for shutdown_timeout; the second: end now
//   SIGHUP           read configuration and certificates again, for connections that come from then
//                    on; all of it, or (when anything is wrong) nothing
//   SIGUSR1          open log_file again, after its rotation
#ifndef PROXY_PROCESS_H_
#define PROXY_PROCESS_H_

#include <signal.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/admin/admin.h"
#include "proxy/config/command_line.h"
#include "proxy/overseer.h"
#include "proxy/signer_pool.h"
#include "proxy/start.h"
#include "proxy/worker.h"

namespace sallyport {

class Process {
 public:
  // `parse` reads the command line and the configuration file again.
  Process(CommandLine command_line, std::function<CommandLine()> parse);
  ~Process();

  // Run serves until a signal ends it. The result is the exit code.
  int Run();

 private:
  int Complain(const StartError& error) const;
  bool Start(StartError* error);
  bool StartLogInSandbox(StartError* error);
  bool StartWorkers(std::vector<std::vector<ListenSocket>> sockets, StartError* error);
  bool StartAdmin(const std::vector<BoundAddress>& addresses, StartError* error);
  void LogListeners(const std::vector<BoundAddress>& addresses) const;
  void WarnAboutFiles() const;
  void WarnAboutKeyFiles() const;
  int NextSignal();
  void LookAfterWatchdog();
  void ReopenLog();
  void Reload();
  std::string TryReload(std::vector<std::string>* need_restart);
  bool CheckFiles(const Config& config, const std::vector<bool>& keep, StartError* error) const;
  void DrainAndStop(uint32_t grace_ms);
  bool all_ended() const;

  CommandLine command_line_;
  const std::function<CommandLine()> parse_;
  sigset_t signals_{};
  const uint32_t watchdog_ms_;
  int worker_count_ = 0;
  SandboxState sandbox_;
  RingFactory make_ring_;
  std::string engine_;
  ServerDrains drains_;            // Outlives the workers, as does:
  std::vector<OpenCount> counts_;  // The process's, then each listener's. Outlives the workers.
  std::unique_ptr<SignerPool> signers_;      // Null until a key needs them. Outlive the workers.
  std::unique_ptr<AddressLimiter> limiter_;  // Likewise, until there are limits of addresses.
  Services services_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Overseer> overseer_;  // Null without admin.
  std::unique_ptr<Admin> admin_;
};

}  // namespace sallyport

#endif  // PROXY_PROCESS_H_
