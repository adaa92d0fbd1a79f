// From a listener's TLS options to a tls::Context: all files are read and checked, at the start, by
// each reload, and by --check_config.
#ifndef PROXY_LOAD_TLS_H_
#define PROXY_LOAD_TLS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/expiry.h"
#include "proxy/service.h"
#include "proxy/start_error.h"

namespace sallyport {

// A file that a listener's TLS is made from.
struct TlsFile {
  std::string option;  // As StartError has it.
  std::string path;    // May be empty.
};

// TlsFiles are all that LoadTls would read: none where TLS is disabled.
std::vector<TlsFile> TlsFiles(const ListenerConfig& config);

// LoadTls fills in what Service has of TLS. False: what the files or options have wrong, with the
// option and the file. `before`: the snapshot to replace, or null; what was made in memory (a
// self-signed pair, ticket keys) is kept, so that a reload costs clients nothing.
// REQUIRES: listener < config.listeners.size().
bool LoadTls(const Config& config, size_t listener, const Service* before, Service* out,
             StartError* error);

// Expiries of what a Service that LoadTls filled in from `config` serves.
std::vector<Expiry> ExpiriesOf(const ListenerConfig& config, const Service& service);

}  // namespace sallyport

#endif  // PROXY_LOAD_TLS_H_
