// The status page's files, as they are served.
#ifndef PROXY_ADMIN_PAGE_PAGE_H_
#define PROXY_ADMIN_PAGE_PAGE_H_

#include <string_view>

namespace sallyport::page {

extern const std::string_view kHtml;
extern const std::string_view kIcon;
extern const std::string_view kScript;
extern const std::string_view kStyle;

}  // namespace sallyport::page

#endif  // PROXY_ADMIN_PAGE_PAGE_H_
