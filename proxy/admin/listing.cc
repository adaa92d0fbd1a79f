#include "proxy/admin/listing.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "nlohmann/json.hpp"
#include "proxy/log/escape.h"
#include "proxy/ring/address.h"

namespace sallyport {
namespace {

using nlohmann::json;

constexpr timeval kPatience = {.tv_sec = 5, .tv_usec = 0};

struct Column {
  const char* heading;
  const char* key;
  size_t width;  // Longer values move the rest of their line.
};
constexpr Column kColumns[] = {
    {"ID", "id", 18},
    {"CLIENT", "client", 22},
    {"LISTENER", "listener", 10},
    {"SERVER", "server", 22},
    {"USER", "user", 16},
    {"DB", "db", 12},
    {"TLS", "tls", 8},
    {"STATE", "state", 14},
    {"AGE_S", "age_ms", 9},
    {"IDLE_S", "idle_ms", 9},
    {"IN", "bytes_from_client", 12},
    {"OUT", "bytes_from_server", 12},
};

std::string TextOf(const json& session, const char* key) {
  const auto value = session.find(key);
  if (value == session.end()) return "";
  if (value->is_string()) return EscapeControls(value->get_ref<const std::string&>());
  if (!value->is_number_unsigned()) return "";
  const uint64_t number = value->get<uint64_t>();
  return std::string_view(key).ends_with("_ms") ? std::to_string(number / 1000)
                                                : std::to_string(number);
}

void AppendCell(std::string_view text, size_t width, std::string* line) {
  line->append(text.empty() ? "-" : text);
  const size_t size = std::max<size_t>(text.size(), 1);
  line->append(size < width ? width - size + 1 : 1, ' ');
}

void EndLine(std::string* line) {
  line->erase(line->find_last_not_of(' ') + 1);
  line->push_back('\n');
}

absl::Status Failure(std::string_view address, const char* what) {
  return absl::UnavailableError(std::string(address) + ": " + what);
}

absl::StatusOr<std::string> Exchange(int fd, std::string_view address, std::string_view request) {
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return Failure(address, "the request could not be sent");
  }
  std::string reply;
  std::array<char, 16 * 1024> buffer;
  ssize_t count = 0;
  while ((count = recv(fd, buffer.data(), buffer.size(), 0)) > 0) {
    reply.append(buffer.data(), static_cast<size_t>(count));
  }
  if (count < 0) return Failure(address, std::strerror(errno));
  return reply;
}

}  // namespace

absl::StatusOr<std::string> HttpGet(std::string_view address, std::string_view path) {
  const absl::StatusOr<std::vector<Address>> resolved = ResolveAddress(address);
  if (!resolved.ok()) return resolved.status();
  const std::string request =
      "GET " + std::string(path) + " HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  absl::Status status = Failure(address, "no address");
  for (const Address& candidate : *resolved) {
    const int fd = socket(candidate.family(), SOCK_STREAM | SOCK_CLOEXEC, /*protocol=*/0);
    if (fd < 0 || connect(fd, candidate.get(), candidate.size()) != 0) {
      status = Failure(address, std::strerror(errno));
      if (fd >= 0) close(fd);
      continue;
    }
    const absl::StatusOr<std::string> reply = Exchange(fd, address, request);
    close(fd);
    if (!reply.ok()) return reply.status();
    const size_t end = reply->find("\r\n\r\n");
    const bool good = reply->size() > 12 && reply->starts_with("HTTP/1.") &&
                      reply->substr(8, 5) == " 200 " && end != std::string::npos;
    if (!good) return Failure(address, "no admin port of a proxy that lists its sessions");
    return reply->substr(end + 4);
  }
  return status;
}

absl::StatusOr<std::string> SessionTable(std::string_view text, bool heading, std::string* next) {
  const json page = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto sessions = page.find("sessions");
  if (!page.is_object() || sessions == page.end() || !sessions->is_array()) {
    return absl::InvalidArgumentError("no list of sessions");
  }
  next->clear();
  const auto cursor = page.find("next");
  if (cursor != page.end() && cursor->is_string()) *next = cursor->get<std::string>();
  std::string table;
  if (heading) {
    for (const Column& column : kColumns) AppendCell(column.heading, column.width, &table);
    EndLine(&table);
  }
  for (const json& session : *sessions) {
    std::string line;
    for (const Column& column : kColumns) {
      AppendCell(TextOf(session, column.key), column.width, &line);
    }
    EndLine(&line);
    table += line;
  }
  return table;
}

absl::Status PrintSessions(std::string_view admin) {
  std::string next;
  bool first = true;
  do {
    const std::string after = next.empty() ? "" : "&after=" + next;
    const absl::StatusOr<std::string> page = HttpGet(admin, "/sessions.json?limit=1000" + after);
    if (!page.ok()) return page.status();
    const absl::StatusOr<std::string> table = SessionTable(*page, first, &next);
    if (!table.ok()) return table.status();
    std::fputs(table->c_str(), stdout);
    first = false;
  } while (!next.empty());
  return absl::OkStatus();
}

}  // namespace sallyport
