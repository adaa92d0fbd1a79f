// When warnings of an expiry come: at once, daily, and not before their time.
#include "proxy/expiry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kNow = 1'800'000'000;
constexpr int64_t kDay = ExpiryWatch::kDaySeconds;

Expiry In(int64_t days, const char* file = "f") {
  return {"l", "certificate", file, "CN=a", kNow + days * kDay};
}

TEST(ExpiryWatch, WarnsFrom21DaysOn) {
  ExpiryWatch watch;
  const Expiry expired = In(-1), last = In(21),
               later = {"l", "client_ca", "g", "", kNow + 21 * kDay + 1};
  watch.Replace({later, last, expired});
  EXPECT_THAT(watch.Due(kNow), ElementsAre(last, expired));
  EXPECT_THAT(watch.expiries(), ElementsAre(later, last, expired));
}

TEST(ExpiryWatch, WarnsOnceADay) {
  ExpiryWatch watch;
  const Expiry soon = In(22);
  watch.Replace({soon});
  EXPECT_THAT(watch.Due(kNow), IsEmpty());
  EXPECT_THAT(watch.Due(kNow + kDay - 1), IsEmpty());
  EXPECT_THAT(watch.Due(kNow + kDay), ElementsAre(soon));
  EXPECT_THAT(watch.Due(kNow + kDay + 1), IsEmpty());
  EXPECT_THAT(watch.Due(kNow + 2 * kDay - 1), IsEmpty());
  EXPECT_THAT(watch.Due(kNow + 2 * kDay), ElementsAre(soon));
}

TEST(ExpiryWatch, AReloadWarnsAtOnce) {
  ExpiryWatch watch;
  watch.Replace({In(1)});
  watch.Due(kNow);
  watch.Replace({In(2)});
  EXPECT_THAT(watch.Due(kNow + 1), ElementsAre(In(2)));
  watch.Replace({In(100)});
  EXPECT_THAT(watch.Due(kNow + 2), IsEmpty());
}

TEST(ExpiryWatch, AClockThatWasSetBackSilencesNothing) {
  ExpiryWatch watch;
  watch.Replace({In(1)});
  watch.Due(kNow);
  EXPECT_THAT(watch.Due(kNow - kDay), ElementsAre(In(1)));
}

TEST(ExpiryWatch, WhatIsThereTwiceIsKeptOnce) {
  ExpiryWatch watch;
  watch.Replace({In(1), In(1), In(1, "g")});
  EXPECT_THAT(watch.expiries(), ElementsAre(In(1), In(1, "g")));
}

}  // namespace
}  // namespace sallyport
