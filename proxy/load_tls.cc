#include "proxy/load_tls.h"

#include <time.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proxy/config/command_line.h"
#include "proxy/key_file.h"
#include "tls/client_auth.h"
#include "tls/context.h"
#include "tls/secret.h"
#include "tls/self_signed.h"
#include "tls/settings.h"
#include "tls/ticket_keys.h"

namespace sallyport {
namespace {

// A self-signed pair lives as long as the process, so its end should not come before that.
constexpr int kSelfSignedDays = 3650;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

void Wipe(std::string* text) {
  tls::Wipe({reinterpret_cast<uint8_t*>(text->data()), text->size()});
}

// A file's text, wiped when it goes where it is secret.
class FileText {
 public:
  explicit FileText(bool secret = false) : secret_(secret) {}
  ~FileText() {
    if (secret_) Wipe(&text_);
  }
  FileText(const FileText&) = delete;
  FileText& operator=(const FileText&) = delete;

  // Read reads the file, if there is one. One of keys is noted where others may touch it.
  bool Read(const TlsFile& file, std::vector<LooseKeyFile>* loose, StartError* error) {
    if (file.path.empty()) return true;
    absl::StatusOr<std::string> text = ReadFile(file.path);
    if (!text.ok()) {
      return Fail(file.option, file.path + ": " + Message(text.status()), true, error);
    }
    text_ = *std::move(text);
    if (!secret_) return true;
    std::string mode;
    if (absl::Status status = CheckKeyFile(file.path, &mode); !status.ok()) {
      return Fail(file.option, file.path + ": " + Message(status), true, error);
    }
    if (!mode.empty()) loose->push_back({file.path, mode});
    return true;
  }

  const std::string& text() const { return text_; }

 private:
  const bool secret_;
  std::string text_;
};

// What is checked on its own, so that a complaint names its option.
bool CheckSettings(const ListenerConfig& config, StartError* error) {
  const std::pair<const char*, tls::Settings> parts[] = {
      {"tls_ciphers", {.ciphers = config.tls_ciphers}},
      {"tls_groups", {.groups = config.tls_groups}}};
  for (const auto& [option, settings] : parts) {
    const absl::Status status = tls::CheckSettings(settings);
    if (!status.ok()) return Fail(option, Message(status), true, error);
  }
  return true;
}

tls::ClientCertificates ModeOf(TlsClientCertificates mode) {
  switch (mode) {
    case TlsClientCertificates::kOff:
      return tls::ClientCertificates::kOff;
    case TlsClientCertificates::kOptional:
      return tls::ClientCertificates::kOptional;
    case TlsClientCertificates::kRequired:
      return tls::ClientCertificates::kRequired;
  }
  return tls::ClientCertificates::kRequired;
}

tls::UserRule RuleOf(TlsClientUser field) {
  switch (field) {
    case TlsClientUser::kOff:
      return tls::UserRule::kNone;
    case TlsClientUser::kCommonName:
      return tls::UserRule::kCommonName;
    case TlsClientUser::kDns:
      return tls::UserRule::kDns;
    case TlsClientUser::kEmail:
      return tls::UserRule::kEmail;
    case TlsClientUser::kUri:
      return tls::UserRule::kUri;
  }
  return tls::UserRule::kCommonName;
}

// The first thing wrong with what clients' certificates are held against.
bool CheckClientAuth(const ListenerConfig& config, tls::ClientAuthOptions options, int64_t now,
                     StartError* error) {
  if (options.mode == tls::ClientCertificates::kOff) return true;
  const std::string_view crl_pem = std::exchange(options.crl_pem, {});
  if (auto status = tls::ClientAuth::Create(options, now).status(); !status.ok()) {
    return Fail("tls_client_ca", config.tls_client_ca + ": " + Message(status), true, error);
  }
  if (config.tls_client_crl.empty()) return true;
  // To the library an empty text is no list asked for; an empty file is a list that is missing.
  options.crl_pem = crl_pem.empty() ? std::string_view("\n") : crl_pem;
  if (auto status = tls::ClientAuth::Create(options, now).status(); !status.ok()) {
    return Fail("tls_client_crl", config.tls_client_crl + ": " + Message(status), true, error);
  }
  return true;
}

// The pairs of tls_cert and tls_key, as texts.
struct Pairs {
  std::vector<std::unique_ptr<FileText>> texts;  // Certificate, key, certificate, key, ...
  std::vector<tls::PemPair> pems;
};

bool ReadPairs(const ListenerConfig& config, int64_t now, Pairs* out, Service* service,
               StartError* error) {
  for (size_t i = 0; i < config.tls_cert.size(); ++i) {
    const TlsFile certificate = {ItemName("tls_cert", i), config.tls_cert[i]};
    const TlsFile key = {ItemName("tls_key", i), config.tls_key[i]};
    out->texts.push_back(std::make_unique<FileText>());
    FileText& certificate_text = *out->texts.back();
    out->texts.push_back(std::make_unique<FileText>(/*secret=*/true));
    FileText& key_text = *out->texts.back();
    if (!certificate_text.Read(certificate, nullptr, error) ||
        !key_text.Read(key, &service->loose_key_files, error)) {
      return false;
    }
    out->pems.push_back({certificate_text.text(), key_text.text()});
    if (absl::Status status = tls::CheckPair(out->pems.back(), now); !status.ok()) {
      return Fail(certificate.option,
                  absl::StrCat(certificate.path, " with ", key.path, ": ") + Message(status), true,
                  error);
    }
  }
  return true;
}

bool MakeSelfSigned(const Service* before, int64_t now, Pairs* out, Service* service,
                    StartError* error) {
  if (before != nullptr) service->self_signed = before->self_signed;
  if (service->self_signed == nullptr) {
    std::vector<std::string> names = {HostName(), "localhost", "127.0.0.1", "::1"};
    absl::StatusOr<tls::CertificatePair> made = tls::MakeSelfSigned(names, now, kSelfSignedDays);
    if (absl::IsInvalidArgument(made.status())) {
      // The machine's name is none for a certificate: "db 1", or "(none)", as long as it has none.
      names.erase(names.begin());
      made = tls::MakeSelfSigned(names, now, kSelfSignedDays);
    }
    if (!made.ok()) return Fail("tls_cert", Message(made.status()), false, error);
    service->self_signed = std::shared_ptr<tls::CertificatePair>(
        new tls::CertificatePair(*std::move(made)), [](tls::CertificatePair* pair) {
          Wipe(&pair->private_key_pem);
          delete pair;
        });
  }
  out->pems.push_back(
      {service->self_signed->certificate_pem, service->self_signed->private_key_pem});
  return true;
}

bool LoadTicketKeys(const ListenerConfig& config, const Service* before, Service* service,
                    std::shared_ptr<const tls::TicketKeys>* out, StartError* error) {
  service->ticket_keys_shared = !config.tls_ticket_keys.empty();
  if (!service->ticket_keys_shared) {
    const bool kept = before != nullptr && before->tls != nullptr && !before->ticket_keys_shared;
    if (kept) *out = before->tls->ticket_keys();
    return true;
  }
  FileText text(/*secret=*/true);
  if (!text.Read({"tls_ticket_keys", config.tls_ticket_keys}, &service->loose_key_files, error)) {
    return false;
  }
  absl::StatusOr<std::shared_ptr<tls::TicketKeys>> keys = tls::TicketKeys::Read(text.text());
  if (!keys.ok()) {
    return Fail("tls_ticket_keys", config.tls_ticket_keys + ": " + Message(keys.status()), true,
                error);
  }
  *out = *std::move(keys);
  return true;
}

}  // namespace

std::vector<TlsFile> TlsFiles(const ListenerConfig& config) {
  std::vector<TlsFile> files;
  if (config.tls_mode == TlsMode::kDisabled) return files;
  for (size_t i = 0; i < config.tls_cert.size(); ++i) {
    files.push_back({ItemName("tls_cert", i), config.tls_cert[i]});
    files.push_back({ItemName("tls_key", i), config.tls_key[i]});
  }
  files.push_back({"tls_client_ca", config.tls_client_ca});
  files.push_back({"tls_client_crl", config.tls_client_crl});
  files.push_back({"tls_ticket_keys", config.tls_ticket_keys});
  return files;
}

std::vector<Expiry> ExpiriesOf(const ListenerConfig& config, const Service& service) {
  std::vector<Expiry> expiries;
  if (service.tls == nullptr) return expiries;
  const std::string listener = config.name.empty() ? config.listen[0] : config.name;
  for (size_t i = 0; i < service.tls->certificates().size(); ++i) {
    const tls::CertificateInfo& info = service.tls->certificates()[i];
    expiries.push_back({.listener = listener,
                        .kind = "certificate",
                        .file = service.self_signed != nullptr ? "" : config.tls_cert[i],
                        .subject = info.subject,
                        .not_after = info.chain_not_after});
  }
  const std::shared_ptr<const tls::ClientAuth>& auth = service.tls->client_auth();
  if (auth == nullptr) return expiries;
  expiries.push_back({.listener = listener,
                      .kind = "client_ca",
                      .file = config.tls_client_ca,
                      .subject = "",
                      .not_after = auth->authorities_not_after()});
  if (auth->revocations_not_after() == 0) return expiries;  // No list, or none that runs out.
  expiries.push_back({.listener = listener,
                      .kind = "client_crl",
                      .file = config.tls_client_crl,
                      .subject = "",
                      .not_after = auth->revocations_not_after()});
  return expiries;
}

bool LoadTls(const Config& whole, size_t listener, const Service* before, Service* out,
             StartError* error) {
  const ListenerConfig& config = whole.listeners[listener];
  if (config.tls_mode == TlsMode::kDisabled) return true;
  const int64_t now = time(nullptr);
  Pairs pairs;
  FileText ca, crl;
  tls::ContextOptions options;
  if (!CheckSettings(config, error) ||
      !(config.tls_cert.empty() ? MakeSelfSigned(before, now, &pairs, out, error)
                                : ReadPairs(config, now, &pairs, out, error)) ||
      !ca.Read({"tls_client_ca", config.tls_client_ca}, nullptr, error) ||
      !crl.Read({"tls_client_crl", config.tls_client_crl}, nullptr, error) ||
      !LoadTicketKeys(config, before, out, &options.ticket_keys, error)) {
    return false;
  }
  options.client_auth = {.mode = ModeOf(config.tls_client_certificates),
                         .ca_pem = ca.text(),
                         .crl_pem = crl.text(),
                         .depth = static_cast<int>(config.tls_client_depth)};
  if (!CheckClientAuth(config, options.client_auth, now, error)) return false;
  options.certificate_pem = pairs.pems[0].certificate_pem;
  options.private_key_pem = pairs.pems[0].private_key_pem;
  options.more_certificates.assign(pairs.pems.begin() + 1, pairs.pems.end());
  options.now = now;
  options.defer_signatures = whole.signers >= 0;
  options.settings = {.version_min = config.tls_version_min,
                      .version_max = config.tls_version_max,
                      .ciphers = config.tls_ciphers,
                      .groups = config.tls_groups};
  absl::StatusOr<std::unique_ptr<tls::Context>> context = tls::Context::Create(options);
  if (!context.ok()) {
    // Each part is good by itself; what is left is that ciphers and keys don't fit.
    const bool of_ciphers = !config.tls_ciphers.empty();
    return Fail(of_ciphers ? "tls_ciphers" : "tls_cert", Message(context.status()), true, error);
  }
  out->tls = *std::move(context);
  out->session.client_user = RuleOf(config.tls_client_user);
  return true;
}

}  // namespace sallyport
