// What --sessions prints: the open sessions of a proxy that runs, asked of its admin port.
#ifndef PROXY_ADMIN_LISTING_H_
#define PROXY_ADMIN_LISTING_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport {

// HttpGet asks `address` ("host:port") for `path` and gives the body of a 200. kUnavailable: why
// not, for an operator. (libcurl would bring a TLS library of its own into the process.)
absl::StatusOr<std::string> HttpGet(std::string_view address, std::string_view path);

// PrintSessions prints a table of all open sessions to stdout, page by page. What clients say is
// printed with its control characters escaped.
absl::Status PrintSessions(std::string_view admin);

// SessionTable is the table of one page of /sessions.json, with its heading where `heading`.
// kInvalidArgument: it is none. `next`: the next page's cursor; empty: that was the last.
absl::StatusOr<std::string> SessionTable(std::string_view json, bool heading, std::string* next);

}  // namespace sallyport

#endif  // PROXY_ADMIN_LISTING_H_
