// load: a load generator that speaks MySQL by itself, in plaintext and over TLS. --help tells.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/client/process.h"
#include "bench/client/report.h"
#include "bench/client/run.h"
#include "bench/client/steady.h"
#include "bench/client/storm.h"
#include "bench/lib/clock.h"
#include "bench/lib/flags.h"
#include "bench/lib/sockets.h"
#include "packet/header.h"
#include "proxy/ring/address.h"

namespace sallyport::bench {
namespace {

constexpr std::string_view kUsage =
    "Usage: load SCENARIO --target=HOST:PORT [flags]\n"
    "\n"
    "  query      request and reply of given sizes, one after the other on each connection\n"
    "  download   large result sets\n"
    "  upload     large statements\n"
    "  connect    new connection, log-in, one query, COM_QUIT; again and again\n"
    "  idle       connections that do nothing; with --pid, the memory that each costs\n"
    "  mixed      query, first alone, then while --rate new connections a second arrive\n"
    "\n"
    "With --rate, latency counts from the moment a request was due, whether or not it could be\n"
    "sent then. --sql=STATEMENT replaces the requests, which only bench/responder understands.\n"
    "Exit code: 0, or 1 when connections failed.\n";

struct Settings {
  Plan plan;
  std::string scenario;
  std::string target = "127.0.0.1:3306";
  std::string tls = "off";
  std::string pid;
  std::string sql;
  uint64_t request_bytes = 128;
  uint64_t reply_bytes = 256;
  uint64_t bulk_bytes = 16 << 20;
  uint64_t row_bytes = 64 << 10;
  double rate = 0;
  double query_rate = 2000;
  double warmup = 1;
  double duration = 10;
  double setup_timeout = 60;
  bool json = false;
  bool progress = isatty(STDERR_FILENO) == 1;
  Processes processes;
};

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "load: %s\n", what.c_str());
  std::exit(2);
}

// Packets: a COM_QUERY with this text, cut into packets where it is too long for one.
std::string Packets(std::string_view text) {
  const std::string payload = "\x03" + std::string(text);
  std::string packets;
  uint8_t sequence_id = 0;
  for (size_t begin = 0;; begin += packet::kPayloadLengthMax) {
    const size_t size = std::min<size_t>(payload.size() - begin, packet::kPayloadLengthMax);
    std::array<uint8_t, packet::kHeaderSize> header;
    packet::WriteHeader(
        {.payload_length = static_cast<uint32_t>(size), .sequence_id = sequence_id++}, header);
    packets.append(packet::AsText(header)).append(payload, begin, size);
    if (size < packet::kPayloadLengthMax) return packets;
  }
}

std::string Request(const Settings& s) {
  if (!s.sql.empty()) return Packets(s.sql);
  std::string text;
  if (s.plan.scenario == Scenario::kDownload) {
    text = "B " + std::to_string(s.bulk_bytes) + " " + std::to_string(s.row_bytes);
  } else if (s.plan.scenario == Scenario::kUpload) {
    text.assign(s.bulk_bytes, 'U');
  } else {
    text = "R " + std::to_string(s.reply_bytes);
    const size_t whole = packet::kHeaderSize + 1 + text.size();
    if (s.request_bytes > whole) text.append(s.request_bytes - whole, ' ');
  }
  return Packets(text);
}

Settings ReadSettings(int argc, char** argv) {
  Settings s;
  Plan& plan = s.plan;
  plan.connection.login = {.user = "sha2", .password = "bench", .database = ""};
  Flags flags;
  flags.Add("scenario", &s.scenario, "instead of the first argument");
  flags.Add("target", &s.target, "host:port, [v6]:port or unix:/path");
  flags.Add("tls", &s.tls, "off, mysql (SSLRequest), direct (TLS before the greeting)");
  flags.Add("tls_version", &plan.tls_version, "1.2 or 1.3");
  flags.Add("resume", &plan.resume, "new connections offer the ticket of an earlier one");
  flags.Add("connections", &plan.connections, "held; connect: under way at once");
  flags.Add("crowd", &plan.crowd, "idle connections held beside them");
  flags.Add("threads", &plan.threads, "threads");
  flags.Add("rate", &s.rate, "requests or (connect, mixed) connections a second; 0: no limit");
  flags.Add("query_rate", &s.query_rate, "mixed: requests a second");
  flags.Add("warmup", Flags::Seconds{&s.warmup}, "before the measurement");
  flags.Add("duration", Flags::Seconds{&s.duration}, "of the measurement (mixed: of each half)");
  flags.Add("setup_timeout", Flags::Seconds{&s.setup_timeout}, "for all log-ins together");
  flags.Add("request", &s.request_bytes, "bytes of a request on the wire");
  flags.Add("reply", &s.reply_bytes, "bytes of a reply on the wire");
  flags.Add("bytes", &s.bulk_bytes, "download, upload: bytes at a time");
  flags.Add("row", &s.row_bytes, "download: bytes a row");
  flags.Add("sql", &s.sql, "the statement to send");
  flags.Add("user", &plan.connection.login.user, "user");
  flags.Add("password", &plan.connection.login.password, "password");
  flags.Add("database", &plan.connection.login.database, "database");
  flags.Add("congestion", &plan.connection.congestion, "TCP_CONGESTION");
  flags.Add("pid", &s.pid, "target's process, or several with commas: CPU and memory");
  flags.Add("json", &s.json, "print JSON");
  flags.Add("progress", &s.progress, "a line a second on stderr");
  const std::vector<std::string> rest = flags.Parse(argc, argv, kUsage);
  if (!rest.empty()) s.scenario = rest.front();
  if (rest.size() > 1) Fail("what is " + rest[1] + "? (--help tells)");

  constexpr std::array<const char*, 6> kScenarios = {"query",   "download", "upload",
                                                     "connect", "idle",     "mixed"};
  const auto found = std::find(kScenarios.begin(), kScenarios.end(), s.scenario);
  if (found == kScenarios.end()) Fail("which scenario? (--help tells)");
  plan.scenario = static_cast<Scenario>(found - kScenarios.begin());
  constexpr std::array<const char*, 3> kTls = {"off", "mysql", "direct"};
  const auto tls = std::find(kTls.begin(), kTls.end(), s.tls);
  if (tls == kTls.end()) Fail("--tls is off, mysql or direct");
  plan.connection.tls = static_cast<TlsMode>(tls - kTls.begin());
  if (!s.processes.Parse(s.pid)) Fail("--pid is a number, or several with commas");
  if (plan.threads == 0 || plan.connections == 0) Fail("--threads and --connections: at least 1");
  const auto addresses = ResolveAddress(s.target);
  if (!addresses.ok()) Fail(addresses.status().ToString());
  plan.connection.address = addresses->front();
  plan.threads = std::min(plan.threads, plan.connections);
  const bool mixed = plan.scenario == Scenario::kMixed;
  plan.rate = mixed ? s.query_rate : s.rate;
  plan.storm_rate = mixed ? (s.rate > 0 ? s.rate : 500) : 0;
  plan.storm_connections = mixed ? 256 : 0;
  plan.request = Request(s);
  return s;
}

// A share of `total` for thread `index`; the first ones take what doesn't divide.
uint64_t Share(uint64_t total, uint64_t threads, uint64_t index) {
  return total / threads + (index < total % threads ? 1 : 0);
}

std::vector<std::thread> StartThreads(Run* run) {
  const Plan& plan = run->plan;
  std::vector<std::thread> threads;
  const bool storm_only = plan.scenario == Scenario::kConnect;
  for (uint64_t i = 0; i < plan.threads; ++i) {
    run->tallies.push_back(std::make_unique<Tally>());
    Tally* tally = run->tallies.back().get();
    const uint64_t connections = Share(plan.connections, plan.threads, i);
    const double rate = plan.rate / static_cast<double>(plan.threads);
    threads.emplace_back([=] {
      if (storm_only) {
        std::make_unique<StormThread>(run, tally, connections, rate, Phase::kWarmup)->Loop();
      } else {
        const bool silent = plan.scenario == Scenario::kIdle;
        std::make_unique<SteadyThread>(run, tally, connections, rate, i, silent)->Loop();
      }
    });
  }
  if (plan.crowd > 0) {
    run->tallies.push_back(std::make_unique<Tally>());
    Tally* tally = run->tallies.back().get();
    threads.emplace_back([=] {
      std::make_unique<SteadyThread>(run, tally, plan.crowd, 0, 0, /*silent=*/true)->Loop();
    });
  }
  if (plan.scenario == Scenario::kMixed) {
    run->tallies.push_back(std::make_unique<Tally>());
    Tally* tally = run->tallies.back().get();
    threads.emplace_back([=] {
      // The storm's own handshakes, on the client's side, mustn't delay the sessions whose latency
      // is measured: on a busy CPU their thread goes first.
      setpriority(PRIO_PROCESS, 0, 10);
      std::make_unique<StormThread>(run, tally, plan.storm_connections, plan.storm_rate,
                                    Phase::kStorm)
          ->Loop();
    });
  }
  return threads;
}

double SecondsSince(uint64_t start_ns) { return static_cast<double>(NowNs() - start_ns) / 1e9; }

double OwnCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

class Conductor {
 public:
  Conductor(const Settings& settings, Run* run) : settings_(settings), run_(run) {}

  // SetUp waits until all held connections have logged in. False: one failed, or it took too long.
  bool SetUp() {
    const Plan& plan = run_->plan;
    result_.scenario = settings_.scenario;
    result_.has_process = !settings_.processes.empty();
    result_.rss_before = settings_.processes.RssBytes();
    const double cpu = settings_.processes.CpuSeconds();
    const uint64_t start = NowNs();
    const uint64_t wanted =
        plan.crowd + (plan.scenario == Scenario::kConnect ? 0 : plan.connections);
    uint64_t next_sample = 10;
    bool in_time = true;
    while (run_->logged_in < wanted && Errors() == 0 && in_time) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const uint64_t count = run_->logged_in;
      if (count >= next_sample) {
        result_.growth.emplace_back(count, settings_.processes.RssBytes());
        while (next_sample <= count) next_sample *= 10;
      }
      Tick();
      in_time = SecondsSince(start) < settings_.setup_timeout;
    }
    result_.held = run_->logged_in;
    result_.setup_seconds = SecondsSince(start);
    result_.setup_cpu_seconds = settings_.processes.CpuSeconds() - cpu;
    if (!in_time) {
      std::fprintf(stderr, "load: %lu of %lu connections logged in in %.0f s\n",
                   static_cast<unsigned long>(result_.held),                      // NOLINT
                   static_cast<unsigned long>(wanted), settings_.setup_timeout);  // NOLINT
    }
    return in_time && Errors() == 0;
  }

  void Conduct() {
    run_->Begin(Phase::kWarmup, NowNs());
    Sleep(settings_.warmup);
    const double own_cpu = OwnCpuSeconds();
    Measure(Phase::kMeasure);
    if (run_->plan.scenario == Scenario::kMixed) Measure(Phase::kStorm);
    result_.own_cpu_seconds = OwnCpuSeconds() - own_cpu;
    result_.rss_after = settings_.processes.RssBytes();
  }

  // Finish adds up what the threads counted. Call it when they have ended.
  const Result& Finish() {
    for (size_t phase = 0; phase < result_.phases.size(); ++phase) {
      for (const auto& tally : run_->tallies) {
        result_.phases[phase]->requests.Add(tally->requests[phase]);
        result_.phases[phase]->connects.Add(tally->connects[phase]);
      }
    }
    for (const auto& tally : run_->tallies) {
      result_.reply_bytes += tally->reply_bytes;
      result_.request_bytes += tally->request_bytes;
      result_.resumed += tally->resumed;
    }
    result_.errors = Errors();
    result_.first_error = run_->first_error();
    result_.tls = run_->tls_description();
    return result_;
  }

 private:
  uint64_t Errors() const {
    uint64_t errors = 0;
    for (const auto& tally : run_->tallies) errors += tally->errors;
    return errors;
  }

  void Measure(Phase phase) {
    auto measurement = std::make_unique<Measurement>();
    const double cpu = settings_.processes.CpuSeconds();
    const uint64_t start = NowNs();
    run_->Begin(phase, start);
    Sleep(settings_.duration);
    measurement->seconds = SecondsSince(start);
    measurement->cpu_seconds = settings_.processes.CpuSeconds() - cpu;
    result_.phases.push_back(std::move(measurement));
  }

  void Sleep(double seconds) {
    const uint64_t end = NowNs() + static_cast<uint64_t>(seconds * 1e9);
    for (uint64_t now = NowNs(); now < end; now = NowNs()) {
      std::this_thread::sleep_for(
          std::chrono::nanoseconds(std::min<uint64_t>(end - now, 50'000'000)));
      Tick();
    }
  }

  void Tick() {
    if (settings_.progress && SecondsSince(last_line_) >= 1) {
      progress_.Print(*run_, SecondsSince(last_line_));
      last_line_ = NowNs();
    }
  }

  const Settings& settings_;
  Run* run_;
  Result result_;
  Progress progress_;
  uint64_t last_line_ = NowNs();
};

int Main(int argc, char** argv) {
  const Settings settings = ReadSettings(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  RaiseFileLimit();
  auto run = std::make_unique<Run>(settings.plan);
  run->tallies.reserve(settings.plan.threads + 2);
  auto conductor = std::make_unique<Conductor>(settings, run.get());
  std::vector<std::thread> threads = StartThreads(run.get());
  const bool set_up = conductor->SetUp();
  if (set_up) conductor->Conduct();
  run->Begin(Phase::kStop, NowNs());
  for (std::thread& thread : threads) thread.join();
  const Result& result = conductor->Finish();
  if (!set_up) {
    std::fprintf(stderr, "load: %s\n", result.first_error.c_str());
    return 1;
  }
  const std::string text = settings.json ? ResultJson(result) : ResultText(result);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return result.errors > 0 ? 1 : 0;
}

}  // namespace
}  // namespace sallyport::bench

int main(int argc, char** argv) { return sallyport::bench::Main(argc, argv); }
