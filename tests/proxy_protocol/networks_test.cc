#include "proxy/proxy_protocol/networks.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport {
namespace {

bool Contains(std::string_view network, std::string_view address) {
  Networks networks;
  EXPECT_TRUE(networks.Add(network).ok()) << network;
  return networks.Contains(ParseIpAddress(address).value());
}

TEST(Networks, ContainWhatBeginsAlike) {
  EXPECT_TRUE(Contains("192.0.2.0/24", "192.0.2.0"));
  EXPECT_TRUE(Contains("192.0.2.0/24", "192.0.2.255"));
  EXPECT_FALSE(Contains("192.0.2.0/24", "192.0.3.0"));
  EXPECT_FALSE(Contains("192.0.2.0/24", "192.0.1.255"));
  EXPECT_TRUE(Contains("192.0.2.128/25", "192.0.2.129"));
  EXPECT_FALSE(Contains("192.0.2.128/25", "192.0.2.127"));
  EXPECT_TRUE(Contains("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(Contains("192.0.2.1", "192.0.2.0"));
  EXPECT_TRUE(Contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(Contains("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(Contains("::1", "::1"));
  EXPECT_FALSE(Contains("::1", "::2"));
}

TEST(Networks, KeepFamiliesApartButForTheStar) {
  EXPECT_TRUE(Contains("0.0.0.0/0", "255.255.255.255"));
  EXPECT_FALSE(Contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(Contains("*", "192.0.2.1"));
  EXPECT_TRUE(Contains("*", "2001:db8::1"));
  EXPECT_TRUE(Contains("::/0", "2001:db8::1"));
}

TEST(Networks, ContainWhatOneOfThemDoes) {
  Networks networks;
  EXPECT_TRUE(networks.empty());
  EXPECT_FALSE(networks.Contains({}));
  EXPECT_TRUE(networks.Add("10.0.0.0/8").ok());
  EXPECT_TRUE(networks.Add("2001:db8::/32").ok());
  EXPECT_FALSE(networks.empty());
  EXPECT_TRUE(networks.Contains(ParseIpAddress("10.1.2.3").value()));
  EXPECT_TRUE(networks.Contains(ParseIpAddress("2001:db8::1").value()));
  EXPECT_FALSE(networks.Contains(ParseIpAddress("11.1.2.3").value()));
}

TEST(Networks, RefuseWhatIsNone) {
  for (const char* text :
       {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "::/129", "10.0.0/8",
        "localhost", "**", "10.0.0.0/08x", "10.0.0.0/+8"}) {
    Networks networks;
    EXPECT_FALSE(networks.Add(text).ok()) << text;
    EXPECT_TRUE(networks.empty()) << text;
  }
}

TEST(Networks, SayWhatTheNetworkWouldBe) {
  Networks networks;
  const std::string message(networks.Add("192.0.2.1/24").message());
  EXPECT_NE(message.find("192.0.2.0"), message.npos) << message;
  EXPECT_FALSE(networks.Add("2001:db8::1/64").ok());
}

TEST(IpAddress, IsWrittenAsItIsRead) {
  for (const char* text : {"0.0.0.0", "192.0.2.1", "::", "::1", "2001:db8::1"}) {
    EXPECT_EQ(ParseIpAddress(text).value().ToString(), text);
  }
  EXPECT_TRUE(ParseIpAddress("192.0.2.1")->is_v4());
  EXPECT_TRUE(ParseIpAddress("::ffff:192.0.2.1")->is_v4());
  EXPECT_FALSE(ParseIpAddress("::1")->is_v4());
  const std::string long_text(200, '1');
  EXPECT_FALSE(ParseIpAddress(long_text).has_value());
  EXPECT_FALSE(ParseIpAddress(std::string_view("1.2.3.4\0x", 9)).has_value());
}

}  // namespace
}  // namespace sallyport
