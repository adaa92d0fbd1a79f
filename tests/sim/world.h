// World: some sessions through a proxy of one or two real workers on SimRings, from a seed. The
// same seed makes the same world, decision by decision.
#ifndef TESTS_SIM_WORLD_H_
#define TESTS_SIM_WORLD_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/service.h"
#include "proxy/worker.h"
#include "tests/sim/client.h"
#include "tests/sim/host.h"
#include "tests/sim/server.h"
#include "tests/sim/sim_ring.h"
#include "tls/context.h"
#include "tls/rsa_password.h"

namespace sallyport::sim {

// What is dear to make, and the same for all worlds.
struct Keys {
  std::unique_ptr<tls::Context> tls;
  std::unique_ptr<tls::PasswordKey> password_key;
};
Keys MakeKeys();

class World final : public Host {
 public:
  World(uint64_t seed, const Keys& keys, Coverage* coverage);

  // Run runs it to its end; whatever is wrong ends the process (failure.h).
  void Run();

 private:
  struct Running {
    SimRing* ring = nullptr;  // The worker's.
    std::vector<int> listeners;
    std::unique_ptr<Worker> worker;
  };

  Wire* NewWire();
  Wire* Dial() override;
  Client* FindClient(std::string_view user) override;
  Server* FindServer(std::string_view nonce) override;
  const Client* ClientOf(const Wire* wire) override;

  void DrawOptions();
  void DrawAddressLimits(Dice dice_of_limits);
  void DrawHeaders(Dice dice_of_headers);
  void DrawKernel();
  void DrawKernelTls(Dice dice_of_tls);
  KernelTls TakenByKernel() const;
  void MakeServices(const Keys& keys);
  void StartWorkers();
  bool all_quiet() const;
  void Round();
  void MaybeConnect();
  void MaybeReload();
  void MaybeInspect();
  void MaybeOrder();
  void JumpClock();
  void CheckEnd();
  void CheckCounters() const;
  void Describe() const;

  std::vector<OpenCount> counts_;  // The process's, then each listener's.
  AddressLimiter limiter_{1024, 0};
  Services services_;
  std::vector<Running> workers_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<Peer*> peers_;  // Those that aren't gone.
  size_t connected_ = 0;      // Clients that there were.
  bool ordered_ = false;      // Workers were told to end.
  size_t jumps_ = 0;          // Of the clock, since anything happened.
};

}  // namespace sallyport::sim

#endif  // TESTS_SIM_WORLD_H_
