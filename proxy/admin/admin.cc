#include "proxy/admin/admin.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "proxy/admin/access.h"
#include "proxy/admin/page/page.h"
#include "proxy/ring/address.h"

namespace sallyport {
namespace {

constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kJsonType[] = "application/json";

// The page's own files and nothing else, in no frame.
constexpr char kContentPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// A page of the listing, in sessions.
constexpr uint32_t kPageSessions = 100;
constexpr uint32_t kPageSessionsMax = 1'000;

// The census looks at so many sessions: 3 ms of the workers' time, in ten pieces.
constexpr uint32_t kCensusSessionsMax = 5'000;
constexpr std::chrono::seconds kCensusAge{4};
constexpr size_t kTopClients = 10;

double UnixNow() {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return now.count();
}

// Leaves `*out` alone where there is no text. False: it is no number, or too large.
template <typename Number>
bool ReadNumber(std::optional<std::string_view> text, Number* out) {
  if (!text.has_value()) return true;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *out);
  return error == std::errc() && end == text->data() + text->size();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Admin>> Admin::Start(std::string_view address, AdminSource source) {
  absl::StatusOr<std::vector<Address>> addresses = ResolveAddress(address);
  if (!addresses.ok()) return addresses.status();
  const bool any_unix = std::any_of(addresses->begin(), addresses->end(),
                                    [](const Address& a) { return a.is_unix(); });
  if (any_unix) return absl::InvalidArgumentError("HTTP for operators needs HOST:PORT");

  // ":PORT" is 0.0.0.0 and [::]. One listener on [::] takes both, so it goes first; the other
  // serves where there is no IPv6.
  if (address.starts_with(':')) std::reverse(addresses->begin(), addresses->end());

  std::unique_ptr<Admin> admin(new Admin(std::move(source)));
  absl::StatusOr<std::unique_ptr<HttpServer>> server = HttpServer::Start(
      *addresses,
      [self = admin.get()](const HttpRequest& request) { return self->Answer(request); });
  if (!server.ok()) return server.status();
  admin->server_ = *std::move(server);
  return admin;
}

Admin::Admin(AdminSource source)
    : source_(std::move(source)),
      start_time_(UnixNow()),
      metrics_(source_.workers, start_time_, source_.io_engine) {}

Admin::~Admin() { Stop(); }

std::string Admin::address() const { return server_->address().ToString(); }

void Admin::SetStopping() { stopping_.store(true, std::memory_order_relaxed); }

void Admin::Stop() {
  if (server_ != nullptr) server_->Stop();
}

struct Admin::Route {
  std::string_view method;
  std::string_view path;
  bool everybody;  // By whatever name the request calls this host.
  HttpReply (Admin::*answer)(const HttpRequest& request);
};

const Admin::Route Admin::kRoutes[] = {
    {"GET", "/healthz", true, &Admin::Health},
    {"GET", "/readyz", true, &Admin::Ready},
    {"GET", "/metrics", true, &Admin::MetricsText},
    {"GET", "/", false, &Admin::Page},
    {"GET", "/status.js", false, &Admin::Page},
    {"GET", "/status.css", false, &Admin::Page},
    {"GET", "/icon.svg", false, &Admin::Page},
    {"GET", "/status.json", false, &Admin::StatusJson},
    {"GET", "/sessions.json", false, &Admin::SessionsJson},
    {"POST", "/sessions/close", false, &Admin::CloseSession},
    {"POST", "/servers/drain", false, &Admin::DrainServer},
    {"POST", "/servers/undrain", false, &Admin::DrainServer},
};

HttpReply Admin::Answer(const HttpRequest& request) {
  const Route* const route =
      std::find_if(std::begin(kRoutes), std::end(kRoutes),
                   [&](const Route& known) { return known.path == request.path; });
  if (route == std::end(kRoutes)) {
    return {.status = 404,
            .body = "Here are / /status.json /sessions.json /metrics /healthz /readyz\n"};
  }
  const bool get = route->method == "GET";
  if (request.method != route->method && !(get && request.method == "HEAD")) {
    return {.status = 405,
            .body = std::string(route->method) + " only\n",
            .headers = {{"Allow", get ? "GET, HEAD" : "POST"}}};
  }
  const AccessHeaders headers = {request.Header("Host"), request.Header("Origin"),
                                 request.Header("Sec-Fetch-Site"), request.Header("X-Sallyport")};
  if (!route->everybody && !MayRead(headers)) {
    return {.status = 421, .body = "Call this host by its address, or as localhost\n"};
  }
  if (!get && !MayChange(headers)) {
    return {.status = 403, .body = "The header X-Sallyport is wanted, and no page of others\n"};
  }
  return (this->*route->answer)(request);
}

HttpReply Admin::Health(const HttpRequest&) {
  if (stopping_.load(std::memory_order_relaxed)) return {.status = 503, .body = "stopping"};
  return {.body = "ok"};
}

HttpReply Admin::Ready(const HttpRequest& request) {
  for (const ListenerFacts& listener : source_.listeners()) {
    const bool drained = std::all_of(listener.servers.begin(), listener.servers.end(),
                                     [](const ServerFacts& server) { return server.drained; });
    if (drained) return {.status = 503, .body = "drained"};
  }
  return Health(request);
}

HttpReply Admin::MetricsText(const HttpRequest&) {
  return {.content_type = kMetricsType, .body = metrics_.Text()};
}

// A page in front of each viewer asks every two seconds; workers are asked less often.
void Admin::RefreshCensus() {
  const auto now = std::chrono::steady_clock::now();
  if (census_taken_.has_value() && now - *census_taken_ < kCensusAge) return;
  census_ = TakeCensus(source_.list_sessions(0, kCensusSessionsMax), kTopClients);
  census_taken_ = std::chrono::steady_clock::now();
}

HttpReply Admin::StatusJson(const HttpRequest&) {
  RefreshCensus();
  return {.content_type = kJsonType,
          .body = sallyport::StatusJson({.workers = source_.workers,
                                         .io_engine = source_.io_engine,
                                         .start_time = start_time_,
                                         .now = UnixNow(),
                                         .stopping = stopping_.load(std::memory_order_relaxed),
                                         .listeners = source_.listeners(),
                                         .census = census_})};
}

HttpReply Admin::SessionsJson(const HttpRequest& request) {
  uint64_t after = 0;
  uint32_t limit = kPageSessions;
  if (!ReadNumber(request.Argument("after"), &after) ||
      !ReadNumber(request.Argument("limit"), &limit) || limit == 0 || limit > kPageSessionsMax) {
    return {.status = 400, .body = "limit=1 to 1000, after=the next of the page before\n"};
  }
  return {.content_type = kJsonType,
          .body = sallyport::SessionsJson(source_.list_sessions(after, limit))};
}

HttpReply Admin::CloseSession(const HttpRequest& request) {
  uint64_t id = 0;
  if (!request.Argument("id").has_value() || !ReadNumber(request.Argument("id"), &id)) {
    return {.status = 400, .body = "id=ID is missing\n"};
  }
  switch (source_.close_session(id)) {
    case CloseOutcome::kClosed:
      return {.body = "closed\n"};
    case CloseOutcome::kNoSuchSession:
      return {.status = 404, .body = "no such session\n"};
    case CloseOutcome::kNoAnswer:
      break;
  }
  return {.status = 503, .body = "its worker does not answer\n"};
}

HttpReply Admin::DrainServer(const HttpRequest& request) {
  const bool drained = request.path == "/servers/drain";
  const std::optional<std::string_view> server = request.Argument("server");
  if (!server.has_value()) return {.status = 400, .body = "server=HOST:PORT is missing\n"};
  if (!source_.drain_server(*server, drained)) {
    return {.status = 404, .body = "no listener has that server\n"};
  }
  return {.body = drained ? "drained\n" : "in use\n"};
}

HttpReply Admin::Page(const HttpRequest& request) {
  HttpReply reply = {
      .content_type = "text/html; charset=utf-8",
      .body = std::string(page::kHtml),
      .headers = {{"Content-Security-Policy", kContentPolicy}, {"Referrer-Policy", "no-referrer"}}};
  if (request.path == "/status.js") {
    reply.content_type = "text/javascript; charset=utf-8";
    reply.body = page::kScript;
  } else if (request.path == "/status.css") {
    reply.content_type = "text/css; charset=utf-8";
    reply.body = page::kStyle;
  } else if (request.path == "/icon.svg") {
    reply.content_type = "image/svg+xml";
    reply.body = page::kIcon;
  }
  return reply;
}

}  // namespace sallyport
