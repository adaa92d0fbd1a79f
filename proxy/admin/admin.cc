#include "proxy/admin/admin.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "proxy/ring/address.h"

namespace sallyport {
namespace {

constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";

double UnixNow() {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return now.count();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Admin>> Admin::Start(std::string_view address,
                                                    std::vector<const Stats*> workers,
                                                    int listener) {
  absl::StatusOr<std::vector<Address>> addresses = ResolveAddress(address);
  if (!addresses.ok()) return addresses.status();
  const bool any_unix = std::any_of(addresses->begin(), addresses->end(),
                                    [](const Address& a) { return a.is_unix(); });
  if (any_unix) return absl::InvalidArgumentError("HTTP for operators needs HOST:PORT");

  // ":PORT" is 0.0.0.0 and [::]. One listener on [::] takes both, so it goes first; the other
  // serves where there is no IPv6.
  if (address.starts_with(':')) std::reverse(addresses->begin(), addresses->end());

  std::unique_ptr<Admin> admin(new Admin(std::move(workers)));
  absl::StatusOr<std::unique_ptr<HttpServer>> server = HttpServer::Start(
      *addresses,
      [self = admin.get()](std::string_view method, std::string_view path) {
        return self->Answer(method, path);
      },
      {}, listener);
  if (!server.ok()) return server.status();
  admin->server_ = *std::move(server);
  return admin;
}

Admin::Admin(std::vector<const Stats*> workers) : metrics_(std::move(workers), UnixNow()) {}

Admin::~Admin() { Stop(); }

std::string Admin::address() const { return server_->address().ToString(); }

void Admin::SetStopping() { stopping_.store(true, std::memory_order_relaxed); }

void Admin::Stop() {
  if (server_ != nullptr) server_->Stop();
}

HttpReply Admin::Answer(std::string_view method, std::string_view path) const {
  const bool health = path == "/healthz" || path == "/readyz";
  const bool metrics = path == "/metrics";
  if (!health && !metrics) return {.status = 404, .body = "Here are /healthz /readyz /metrics\n"};
  if (method != "GET" && method != "HEAD") {
    return {.status = 405, .body = "GET and HEAD only\n", .allow = "GET, HEAD"};
  }
  if (metrics) return {.content_type = kMetricsType, .body = metrics_.Text()};
  if (stopping_.load(std::memory_order_relaxed)) return {.status = 503, .body = "stopping"};
  return {.body = "ok"};
}

}  // namespace sallyport
