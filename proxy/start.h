// What happens once, before the first connection: from a checked Config to what workers need.
// Each function's error is a line for the operator; the message names the thing, not yet the
// option.
#ifndef PROXY_START_H_
#define PROXY_START_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/config/config.h"
#include "proxy/ring/ring.h"
#include "proxy/service.h"
#include "proxy/signer_pool.h"
#include "tls/context.h"
#include "tls/rsa_password.h"

namespace sallyport {

// A failure at start, with the option that it belongs to.
struct StartError {
  std::string option;
  std::string what;
  bool bad_config = false;  // The configuration is wrong, not the machine: another exit code.
};

// What lives as long as the workers do.
struct Foundation {
  std::unique_ptr<tls::Context> tls;  // Null where TLS is disabled.
  bool self_signed = false;
  std::string key_file_mode;  // Where others than its owner may touch the key's file: "0644".
  std::unique_ptr<tls::PasswordKey> password_key;  // Null where no plaintext client can need it.
  std::unique_ptr<SignerPool> signers;             // Null where workers sign.
  Service service;
};

// LoadTls reads certificate and key, or makes a self-signed pair in memory, and checks them.
bool LoadTls(const Config& config, Foundation* out, StartError* error);

// MakeService resolves the servers' names and fills in the rest. REQUIRES: LoadTls succeeded.
bool MakeService(const Config& config, Foundation* out, StartError* error);

// StartSigners starts the threads for RSA signatures, where the key is of that kind and they are
// wanted. REQUIRES: LoadTls succeeded; the signals of this process are blocked.
void StartSigners(const Config& config, Foundation* out);

// AllowedCpus lists the CPUs that this process may run on; empty when the kernel doesn't tell.
std::vector<int> AllowedCpus();

// ChooseRing says which engine to use; with io_engine=auto, where io_uring is refused, it logs why.
using RingFactory = std::function<std::unique_ptr<Ring>()>;
bool ChooseRing(const Config& config, RingFactory* out, std::string* name, StartError* error);

// OpenListeners opens, for each worker, a socket for each address to listen on. Port 0 becomes the
// same free port for all. `addresses` are what was bound.
bool OpenListeners(const Config& config, const SocketTuning& tuning, int workers,
                   std::vector<std::vector<int>>* fds, std::vector<Address>* addresses,
                   StartError* error);

// EnterSandboxFor confines this thread, and those that it starts, to reading `config`'s files
// again, as config.sandbox says. REQUIRES: all other files and names that a start needs were read.
// `*refusal` is why the kernel didn't let it, where config.sandbox bears that.
bool EnterSandboxFor(const Config& config, const std::string& config_file, std::string* refusal,
                     StartError* error);

// RaiseFileLimit raises the soft limit of open files to what max_connections may need, and warns
// in the log where the hard limit forbids it.
void RaiseFileLimit(const Config& config, int workers);

}  // namespace sallyport

#endif  // PROXY_START_H_
