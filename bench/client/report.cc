#include "bench/client/report.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace sallyport::bench {
namespace {

double Micros(uint64_t ns) { return static_cast<double>(ns) / 1000; }

double Ratio(double a, double b) { return b > 0 ? a / b : 0; }

std::string Quote(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return quoted + "\"";
}

std::string LatencyJson(const Histogram& h) {
  return absl::StrFormat(
      R"({"p50": %.1f, "p90": %.1f, "p99": %.1f, "p999": %.1f, "max": %.1f, "mean": %.1f})",
      Micros(h.Percentile(50)), Micros(h.Percentile(90)), Micros(h.Percentile(99)),
      Micros(h.Percentile(99.9)), Micros(h.max()), h.mean() / 1000);
}

std::string LatencyText(const Histogram& h) {
  return absl::StrFormat("p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f us",
                         Micros(h.Percentile(50)), Micros(h.Percentile(90)),
                         Micros(h.Percentile(99)), Micros(h.Percentile(99.9)), Micros(h.max()));
}

std::string CountsJson(const char* what, const Histogram& h, const Measurement& m) {
  const auto count = static_cast<double>(h.count());
  return absl::StrFormat(
      R"("%s": {"count": %u, "per_second": %.2f, "cpu_us": %.3f, "latency_us": %s})", what,
      h.count(), Ratio(count, m.seconds), Ratio(m.cpu_seconds * 1e6, count), LatencyJson(h));
}

std::string MeasurementJson(const Measurement& m) {
  std::string json =
      absl::StrFormat(R"({"seconds": %.3f, "cpu_seconds": %.2f)", m.seconds, m.cpu_seconds);
  if (m.requests.count() > 0) absl::StrAppend(&json, ", ", CountsJson("requests", m.requests, m));
  if (m.connects.count() > 0) absl::StrAppend(&json, ", ", CountsJson("connects", m.connects, m));
  return json + "}";
}

void AppendCounts(const char* what, const Histogram& h, const Measurement& m, bool has_process,
                  std::string* text) {
  if (h.count() == 0) return;
  const auto count = static_cast<double>(h.count());
  absl::StrAppend(text, absl::StrFormat("%10.0f %s/s   ", Ratio(count, m.seconds), what));
  if (has_process) {
    absl::StrAppend(text, absl::StrFormat("%.1f us CPU each   ", m.cpu_seconds * 1e6 / count));
  }
  absl::StrAppend(text, LatencyText(h), "\n");
}

}  // namespace

std::string ResultJson(const Result& result) {
  std::vector<std::string> phases;
  for (const auto& phase : result.phases) phases.push_back(MeasurementJson(*phase));
  std::vector<std::string> growth;
  for (const auto& [count, bytes] : result.growth) {
    growth.push_back(absl::StrFormat("[%u, %u]", count, bytes));
  }
  return absl::StrFormat(
      R"({"scenario": "%s", "tls": %s, "held": %u, "setup_seconds": %.3f, )"
      R"("setup_cpu_seconds": %.2f, "reply_bytes": %u, "request_bytes": %u, "resumed": %u, )"
      R"("errors": %u, "first_error": %s, "rss_before": %u, "rss_after": %u, )"
      R"("own_cpu_seconds": %.2f, "growth": [%s], "phases": [%s]})"
      "\n",
      result.scenario, Quote(result.tls), result.held, result.setup_seconds,
      result.setup_cpu_seconds, result.reply_bytes, result.request_bytes, result.resumed,
      result.errors, Quote(result.first_error), result.rss_before, result.rss_after,
      result.own_cpu_seconds, absl::StrJoin(growth, ", "), absl::StrJoin(phases, ", "));
}

std::string ResultText(const Result& result) {
  std::string text = result.scenario + (result.tls.empty() ? "" : " over " + result.tls) + "\n";
  for (size_t i = 0; i < result.phases.size(); ++i) {
    const Measurement& m = *result.phases[i];
    if (result.phases.size() > 1) {
      absl::StrAppend(&text, i == 0 ? "without the storm:\n" : "with the storm:\n");
    }
    AppendCounts("requests", m.requests, m, result.has_process, &text);
    AppendCounts("connections", m.connects, m, result.has_process, &text);
  }
  const double gb = static_cast<double>(result.reply_bytes + result.request_bytes) / 1e9;
  const Measurement& first = *result.phases.front();
  if (result.scenario == "download" || result.scenario == "upload") {
    absl::StrAppend(&text, absl::StrFormat("%10.3f GB/s", gb / first.seconds));
    if (result.has_process && gb > 0) {
      absl::StrAppend(&text, absl::StrFormat("   %.3f s CPU/GB", first.cpu_seconds / gb));
    }
    absl::StrAppend(&text, "\n");
  }
  if (result.scenario == "idle" && result.has_process && result.held > 0) {
    const double grown =
        static_cast<double>(result.rss_after) - static_cast<double>(result.rss_before);
    absl::StrAppend(&text,
                    absl::StrFormat("%10u held   %.0f bytes of memory each   %.1f MB in all",
                                    result.held, grown / static_cast<double>(result.held),
                                    static_cast<double>(result.rss_after) / 1e6),
                    absl::StrFormat("   %.1f%% CPU\n", 100 * first.cpu_seconds / first.seconds));
  }
  if (result.resumed > 0) {
    absl::StrAppend(&text, absl::StrFormat("%10u handshakes resumed\n", result.resumed));
  }
  if (result.errors > 0) {
    absl::StrAppend(&text, absl::StrFormat("%10u errors, the first: ", result.errors),
                    result.first_error, "\n");
  }
  return text;
}

void Progress::Print(const Run& run, double seconds) {
  const auto now = std::make_unique<Histogram>();
  uint64_t bytes = 0;
  uint64_t errors = 0;
  for (const auto& tally : run.tallies) {
    for (size_t i = 0; i < kMeasuredPhases; ++i) {
      now->Add(tally->requests[i]);
      now->Add(tally->connects[i]);
    }
    bytes += tally->reply_bytes + tally->request_bytes;
    errors += tally->errors;
  }
  const auto interval = std::make_unique<Histogram>();
  interval->Add(*now);
  interval->Subtract(*last_);
  constexpr const char* kNames[] = {"logging in", "warming up", "measuring", "storm", "stopping"};
  std::fprintf(stderr, "%4d s  %-10s  %6lu held  %9.0f /s  %8.1f MB/s  p50 %7.0f  p99 %7.0f us",
               ++second_, kNames[static_cast<int>(run.phase())],
               static_cast<unsigned long>(run.logged_in.load()),  // NOLINT
               static_cast<double>(interval->count()) / seconds,
               static_cast<double>(bytes - bytes_) / 1e6 / seconds,
               Micros(interval->Percentile(50)), Micros(interval->Percentile(99)));
  if (errors > 0)
    std::fprintf(stderr, "  %lu errors", static_cast<unsigned long>(errors));  // NOLINT
  std::fprintf(stderr, "\n");
  bytes_ = bytes;
  last_ = std::make_unique<Histogram>();
  last_->Add(*now);
}

}  // namespace sallyport::bench
