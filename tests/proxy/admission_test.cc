#include "proxy/admission.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport {
namespace {

using Answer = AddressLimiter::Answer;

Address Tcp(const std::string& text) { return ResolveAddress(text).value()[0]; }

class AdmissionTest : public testing::Test {
 protected:
  AdmissionTest() {
    service_.limiter = &limiter_;
    EXPECT_TRUE(service_.proxy_protocol_networks.Add("10.0.0.0/8").ok());
  }
  Answer Come(const std::string& from) {
    visitor_ = Meet(Tcp(from), service_);
    return Admit(service_, 1000, &stats_, &visitor_);
  }

  AddressLimiter limiter_{64, 1};
  Service service_;
  Stats stats_;
  Visitor visitor_;
};

TEST(Refusals, AddressesComeBackAsTheyWere) {
  for (const char* text : {"192.0.2.1:3306", "[2001:db8::1]:1", "0.0.0.0:0"}) {
    EXPECT_EQ(ToAddress(ToEndpoint(Tcp(text)).value()).ToString(), text);
  }
  EXPECT_FALSE(ToEndpoint(Tcp("unix:/run/a")).has_value());
  EXPECT_FALSE(ToEndpoint(Address()).has_value());
}

TEST_F(AdmissionTest, WithoutLimitsNobodyIsCounted) {
  EXPECT_EQ(Come("192.0.2.1:1"), Answer::kWelcome);
  EXPECT_TRUE(visitor_.met);
  EXPECT_FALSE(visitor_.counted);
  EXPECT_FALSE(visitor_.header_due);
}

TEST_F(AdmissionTest, ALoadBalancerIsNeverCounted) {
  service_.address_limits.connections = 1;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Come("10.1.2.3:1"), Answer::kWelcome);
    EXPECT_TRUE(visitor_.header_due);
    EXPECT_FALSE(visitor_.counted);
  }
  visitor_.header_due = false;
  visitor_.address = Tcp("192.0.2.1:1");
  EXPECT_EQ(Admit(service_, 1000, &stats_, &visitor_), Answer::kWelcome);
  EXPECT_TRUE(visitor_.counted);
}

TEST_F(AdmissionTest, RefusalsAreCountedAndLeavingMakesRoom) {
  service_.address_limits.connections = 1;
  EXPECT_EQ(Come("192.0.2.1:1"), Answer::kWelcome);
  const Visitor first = visitor_;
  EXPECT_EQ(Come("192.0.2.1:2"), Answer::kTooMany);
  EXPECT_FALSE(visitor_.counted);
  Leave(service_, visitor_);
  Leave(service_, first);
  EXPECT_EQ(Come("192.0.2.1:3"), Answer::kWelcome);
}

TEST(Refusals, RefusalsSayWhy) {
  std::string message;
  packet::Error error = RefusalError(Answer::kBlocked, Tcp("192.0.2.1:7"), &message);
  EXPECT_EQ(error.code, 1129);
  EXPECT_EQ(error.message, "Host '192.0.2.1' is blocked because of many connection errors");
  error = RefusalError(Answer::kTooMany, Tcp("[2001:db8::1]:7"), &message);
  EXPECT_EQ(error.code, 1040);
  EXPECT_EQ(error.message, "Too many connections from '2001:db8::1'");
}

}  // namespace
}  // namespace sallyport
