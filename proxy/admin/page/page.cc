#include "proxy/admin/page/page.h"

namespace sallyport::page {
namespace {

// Without the line break that the raw string begins with.
constexpr std::string_view Trimmed(std::string_view text) { return text.substr(1); }

}  // namespace

const std::string_view kHtml = Trimmed(
#include "proxy/admin/page/status.html.inc"
);

const std::string_view kIcon = Trimmed(
#include "proxy/admin/page/icon.svg.inc"
);

const std::string_view kScript = Trimmed(
#include "proxy/admin/page/status.js.inc"
);

const std::string_view kStyle = Trimmed(
#include "proxy/admin/page/status.css.inc"
);

}  // namespace sallyport::page
