// Process: the whole proxy from its command line to its exit code. Configuration, then what workers
// share, workers, admin, signals.
//
//   SIGTERM SIGINT   not ready for drain_delay, then stop accepting and let sessions finish for
//                    shutdown_timeout; the second: end now
//   SIGHUP           read configuration and certificates again, for connections that come from then
//                    on; all of it, or (when anything is wrong) nothing
//   SIGUSR1          open log_file again, after its rotation
//
// With upgrade_socket a process that starts takes the listening sockets over from the one that
// runs; that one accepts no more and lets sessions finish for upgrade_timeout.
#ifndef PROXY_PROCESS_H_
#define PROXY_PROCESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/admin/admin.h"
#include "proxy/config/command_line.h"
#include "proxy/expiry.h"
#include "proxy/handover/upgrade.h"
#include "proxy/listeners.h"
#include "proxy/overseer.h"
#include "proxy/server_watch.h"
#include "proxy/signals.h"
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
  bool Inherit(InheritedSockets* inherited, StartError* error);
  bool StartWorkers(std::vector<std::vector<ListenSocket>> sockets, StartError* error);
  bool StartAdmin(const std::vector<BoundAddress>& addresses, int listener, StartError* error);
  void Serve(Listeners listeners, const InheritedSockets& inherited);
  void LogListeners(const std::vector<BoundAddress>& addresses);
  void WarnAboutFiles() const;
  void WarnAboutKeyFiles() const;
  void NoteExpiries();
  void WarnAboutExpiries();
  void WarnAboutKernelTls() const;
  int WaitForSignal(uint32_t ms);
  void LookAfterWatchdog();

  // --- What it serves, and where it logs, anew (process_reload.cc).
  void ReopenLog();
  void Reload();
  std::string TryReload(std::vector<std::string>* need_restart);
  bool CheckFiles(const Config& config, const std::vector<bool>& keep, StartError* error) const;

  // --- The end (process_end.cc).
  enum class Waited { kAllOfIt, kSignal, kAllEnded };
  void EndBySignal(int number);
  void GiveWay();
  void StopAccepting();
  void EndSessions(const char* why);
  void StopWorkers();
  Waited WaitForEnd(uint64_t ms, bool until_all_ended);
  uint64_t open_sessions() const;
  bool all_ended() const;

  CommandLine command_line_;
  const std::function<CommandLine()> parse_;
  std::optional<Signals> signals_;
  const uint32_t watchdog_ms_;
  int worker_count_ = 0;
  std::unique_ptr<UpgradeOffer> offer_;  // Null: nobody can take over.
  std::unique_ptr<UpgradeClaim> claim_;  // Null, once this process serves.
  SandboxState sandbox_;
  RingFactory make_ring_;
  std::string engine_;
  std::vector<OpenCount> counts_;  // The process's, then each listener's. Outlives the workers.
  std::unique_ptr<SignerPool> signers_;      // Null until a key needs them. Outlive the workers.
  std::unique_ptr<AddressLimiter> limiter_;  // Likewise, until there are limits of addresses.
  ExpiryWatch expiry_watch_;                 // Outlives admin_.
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Overseer> overseer_;  // Null without admin.
  ServerWatch servers_;                 // Has the services; its threads use what stands above.
  std::unique_ptr<Admin> admin_;
};

}  // namespace sallyport

#endif  // PROXY_PROCESS_H_
