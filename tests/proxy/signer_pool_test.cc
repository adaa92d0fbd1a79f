// The signers: every job has one answer, which reaches its owner, whoever else is busy or gone.
#include "proxy/signer_pool.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "proxy/limits.h"
#include "tests/support/test_certs.h"

namespace sallyport {
namespace {

using Inbox = std::shared_ptr<SignatureInbox>;

EVP_PKEY* Key() {
  static EVP_PKEY* const key = [] {
    const std::string& pem = tests::TestKeyPem(tests::KeyType::kRsa2048);
    const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    return PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr);
  }();
  return key;
}

// Each connection asks for a signature of its own name.
std::array<uint8_t, 8> InputOf(SlotTag owner) {
  std::array<uint8_t, 8> input{};
  std::memcpy(input.data(), &owner.slot, sizeof(owner.slot));
  std::memcpy(input.data() + sizeof(owner.slot), &owner.generation, sizeof(owner.generation));
  return input;
}

SignatureJob MakeJob(const Inbox& inbox, SlotTag owner) {
  return {inbox, owner, tls::SignatureRequest(Key(), SSL_SIGN_RSA_PKCS1_SHA256, InputOf(owner))};
}

bool IsSignatureFor(const FinishedSignature& finished) {
  const std::array<uint8_t, 8> input = InputOf(finished.owner);
  bssl::ScopedEVP_MD_CTX context;
  return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, Key()) &&
         EVP_DigestVerify(context.get(), finished.signature.data(), finished.signature.size(),
                          input.data(), input.size());
}

// Waits as a worker does.
bool Woken(const Inbox& inbox, int timeout_ms) {
  pollfd fd = {inbox->wake_fd(), POLLIN, 0};
  return poll(&fd, 1, timeout_ms) == 1;
}

std::vector<FinishedSignature> Await(const Inbox& inbox, size_t count) {
  std::vector<FinishedSignature> all;
  while (all.size() < count && Woken(inbox, 30'000)) {
    for (FinishedSignature& finished : inbox->TakeAll()) all.push_back(std::move(finished));
  }
  EXPECT_EQ(all.size(), count);
  return all;
}

// Adds jobs of slots 0, 1, ... until the pool refuses one. Signing takes far longer than adding.
uint32_t Fill(SignerPool* pool, const Inbox& inbox) {
  for (uint32_t slot = 0; slot < 100 * kSignatureQueueMax; ++slot) {
    SignatureJob job = MakeJob(inbox, {slot, 1});
    if (pool->Add(&job)) continue;
    EXPECT_TRUE(IsSignatureFor({job.owner, job.request.Sign()})) << "a refused job is unharmed";
    EXPECT_EQ(job.inbox, inbox);
    return slot;
  }
  ADD_FAILURE() << "the queue has no bound";
  return 0;
}

TEST(SignerPool, AnswersReachTheirOwners) {
  constexpr uint32_t kJobs = 40;
  SignerPool pool(3);
  EXPECT_EQ(pool.threads(), 3);
  const std::array<Inbox, 2> inboxes = {std::make_shared<SignatureInbox>(),
                                        std::make_shared<SignatureInbox>()};
  for (uint32_t slot = 0; slot < kJobs; ++slot) {
    for (uint16_t worker = 0; worker < inboxes.size(); ++worker) {
      SignatureJob job = MakeJob(inboxes[worker], {slot, worker});
      ASSERT_TRUE(pool.Add(&job));
    }
  }
  for (uint16_t worker = 0; worker < inboxes.size(); ++worker) {
    std::set<uint32_t> slots;
    for (const FinishedSignature& finished : Await(inboxes[worker], kJobs)) {
      EXPECT_EQ(finished.owner.generation, worker);
      EXPECT_TRUE(IsSignatureFor(finished));
      EXPECT_TRUE(slots.insert(finished.owner.slot).second) << "answered twice";
    }
  }
}

TEST(SignerPool, WorkersAddAtTheSameTime) {
  constexpr uint32_t kJobs = 20;
  SignerPool pool(2);
  std::vector<std::thread> workers;
  for (uint16_t worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&pool, worker] {
      const Inbox inbox = std::make_shared<SignatureInbox>();
      for (uint32_t slot = 0; slot < kJobs; ++slot) {
        SignatureJob job = MakeJob(inbox, {slot, worker});
        ASSERT_TRUE(pool.Add(&job));
      }
      for (const FinishedSignature& finished : Await(inbox, kJobs)) {
        EXPECT_EQ(finished.owner.generation, worker);
        EXPECT_TRUE(IsSignatureFor(finished));
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
}

TEST(SignerPool, RefusesWhatItsQueueCannotHold) {
  SignerPool pool(1);
  const Inbox inbox = std::make_shared<SignatureInbox>();
  const uint32_t taken = Fill(&pool, inbox);
  EXPECT_GE(taken, kSignatureQueueMax);
  for (const FinishedSignature& finished : Await(inbox, taken)) {
    EXPECT_FALSE(finished.signature.empty());
  }
  SignatureJob job = MakeJob(inbox, {1, 2});
  EXPECT_TRUE(pool.Add(&job)) << "there is room again";
}

TEST(SignerPool, StoppedWithWorkInTheQueueAnswersItAll) {
  SignerPool pool(2);
  const Inbox inbox = std::make_shared<SignatureInbox>();
  const uint32_t taken = Fill(&pool, inbox);
  pool.Stop();
  EXPECT_TRUE(Woken(inbox, 0));
  const std::vector<FinishedSignature> all = inbox->TakeAll();
  EXPECT_EQ(all.size(), taken);
  size_t failed = 0;
  for (const FinishedSignature& finished : all) {
    if (finished.signature.empty()) {
      ++failed;
    } else {
      EXPECT_TRUE(IsSignatureFor(finished));
    }
  }
  EXPECT_GT(failed, 0u);
  SignatureJob job = MakeJob(inbox, {1, 2});
  EXPECT_FALSE(pool.Add(&job));
}

// A worker may have ended before the last of its signatures: nothing of it is touched then.
TEST(SignerPool, AnswersNobodyWhereItsWorkerIsGone) {
  SignerPool pool(1);
  std::weak_ptr<SignatureInbox> gone;
  {
    const Inbox inbox = std::make_shared<SignatureInbox>();
    gone = inbox;
    for (uint32_t slot = 0; slot < 50; ++slot) {
      SignatureJob job = MakeJob(inbox, {slot, 1});
      ASSERT_TRUE(pool.Add(&job));
    }
  }
  const Inbox other = std::make_shared<SignatureInbox>();
  SignatureJob job = MakeJob(other, {1, 1});
  ASSERT_TRUE(pool.Add(&job));
  EXPECT_TRUE(IsSignatureFor(Await(other, 1)[0]));
  EXPECT_TRUE(gone.expired());
}

TEST(SignerPool, ItsThreadsStepBackBehindWorkers) {
  const int own = getpriority(PRIO_PROCESS, 0);
  SignerPool pool(2);
  const Inbox inbox = std::make_shared<SignatureInbox>();
  for (uint32_t slot = 0; slot < 20; ++slot) {  // So that both have begun.
    SignatureJob job = MakeJob(inbox, {slot, 1});
    ASSERT_TRUE(pool.Add(&job));
  }
  Await(inbox, 20);
  std::map<std::string, int> nice;
  for (int attempt = 0; attempt < 100 && nice.size() < 2; ++attempt) {
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::string name;
      std::getline(std::ifstream(task.path() / "comm"), name);
      const auto id = static_cast<id_t>(std::stoi(task.path().filename()));
      const int priority = getpriority(PRIO_PROCESS, id);
      if (name.starts_with("signer-") && (priority > own || own == 19)) nice[name] = priority;
    }
  }
  const int theirs = std::min(own + 5, 19);
  EXPECT_EQ(nice, (std::map<std::string, int>{{"signer-0", theirs}, {"signer-1", theirs}}));
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), own) << "and nobody else";
}

TEST(SignatureInbox, WakesUntilItIsEmptied) {
  SignatureInbox inbox;
  pollfd fd = {inbox.wake_fd(), POLLIN, 0};
  EXPECT_EQ(poll(&fd, 1, 0), 0);
  inbox.Put({{1, 2}, {3}});
  inbox.Put({{4, 5}, {}});
  EXPECT_EQ(poll(&fd, 1, 0), 1);
  const std::vector<FinishedSignature> all = inbox.TakeAll();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].owner.slot, 1u);
  EXPECT_EQ(all[1].owner.slot, 4u);
  EXPECT_EQ(poll(&fd, 1, 0), 0);
  inbox.Put({{6, 7}, {}});
  EXPECT_EQ(poll(&fd, 1, 0), 1);
  EXPECT_EQ(inbox.TakeAll().size(), 1u);
  inbox.Wake();
  EXPECT_EQ(poll(&fd, 1, 0), 1);
  EXPECT_TRUE(inbox.TakeAll().empty());
  EXPECT_EQ(poll(&fd, 1, 0), 0);
}

}  // namespace
}  // namespace sallyport
