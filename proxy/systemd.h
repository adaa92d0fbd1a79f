// What a service manager is told, where there is one (sd_notify(3)); without, nothing happens.
#ifndef PROXY_SYSTEMD_H_
#define PROXY_SYSTEMD_H_

#include <cstdint>
#include <string>

namespace sallyport {

void NotifyReady();
// NotifyReloading: NotifyReady ends it, whatever became of the reload.
void NotifyReloading();
// NotifyStopping: it may take so long, and the manager's patience is made to last.
void NotifyStopping(uint64_t ms);
// NotifyStatus: a line for whoever asks the manager.
void NotifyStatus(const std::string& status);

// WatchdogMs is how often the manager wants a sign of life at least; 0: never.
uint32_t WatchdogMs();
void FeedWatchdog();

}  // namespace sallyport

#endif  // PROXY_SYSTEMD_H_
