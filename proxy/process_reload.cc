// Signals that change what the process serves, or where it logs.
#include <optional>
#include <utility>

#include "absl/strings/str_join.h"
#include "proxy/config/reload.h"
#include "proxy/file_limit.h"
#include "proxy/load_tls.h"
#include "proxy/log/log.h"
#include "proxy/process.h"
#include "proxy/systemd.h"

namespace sallyport {
namespace {

// The line without its beginning and end.
std::string_view Inner(std::string_view complaint) {
  constexpr std::string_view kBegin = "sallyport: ";
  if (complaint.starts_with(kBegin)) complaint.remove_prefix(kBegin.size());
  if (complaint.ends_with('\n')) complaint.remove_suffix(1);
  return complaint;
}

}  // namespace

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
      !MakeServices(plan.config, counts_, servers_.registry(), servers_.services(), keep, &services,
                    &error)) {
    return wanted.Complaint(error.option, error.what, *plan.wanted_listeners[error.listener]);
  }
  GiveSigners(plan.config, &signers_, &services);
  GiveLimiter(&limiter_, &services);
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
  WarnAboutFiles();
  WarnAboutKeyFiles();
  WarnAboutKernelTls();
  WarnAboutExpiries();
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

}  // namespace sallyport
