#include "proxy/log/line.h"

#include <atomic>

#include "proxy/log/escape.h"

namespace sallyport {
namespace {

constexpr size_t kValueMax = 256;
// An event is our own text, or a library's: long ones are not cut short of what matters.
constexpr size_t kEventMax = 64 * 1024;

std::atomic<LogFormat> line_format{LogFormat::kText};

}  // namespace

void SetLineFormat(LogFormat format) { line_format.store(format, std::memory_order_relaxed); }

LogFormat LineFormat() { return line_format.load(std::memory_order_relaxed); }

Line::Line(std::string_view event) : format_(LineFormat()) {
  if (format_ == LogFormat::kText) {
    text_ = event;
  } else {
    text_ = "\"event\":" + JsonString(event, kEventMax);
  }
}

Line& Line::Add(std::string_view key, std::string_view value) {
  return AddPlain(key, format_ == LogFormat::kText ? QuotedForLog(value, kValueMax)
                                                   : JsonString(value, kValueMax));
}

Line& Line::AddPlain(std::string_view key, std::string_view value) {
  if (format_ == LogFormat::kText) {
    text_.append(" ").append(key).append("=").append(value);
  } else {
    text_.append(",\"").append(key).append("\":").append(value);
  }
  return *this;
}

}  // namespace sallyport
