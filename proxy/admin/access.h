// Access: who may ask Admin for what. There is no password on this port; what keeps strangers out
// is its address, and here, that no web page which an operator happens to look at can use his
// browser for what he may.
#ifndef PROXY_ADMIN_ACCESS_H_
#define PROXY_ADMIN_ACCESS_H_

#include <optional>
#include <string_view>

namespace sallyport {

// What of a request decides. None: the header was not sent.
struct AccessHeaders {
  std::optional<std::string_view> host{};
  std::optional<std::string_view> origin{};
  std::optional<std::string_view> fetch_site{};  // Sec-Fetch-Site, which browsers add.
  std::optional<std::string_view> sallyport{};   // X-Sallyport, which no form and no link can add.
};

// MayRead: whether the request names this host by an address or as localhost. A name that somebody
// else owns can be made to resolve to this machine, and then his page is of the same origin.
bool MayRead(const AccessHeaders& headers);

// MayChange: whether it also comes from no page but ours: X-Sallyport is there (a page of another
// origin would have to ask first, and is never told yes), and what a browser says of the origin
// agrees.
bool MayChange(const AccessHeaders& headers);

}  // namespace sallyport

#endif  // PROXY_ADMIN_ACCESS_H_
