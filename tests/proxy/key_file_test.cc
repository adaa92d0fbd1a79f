// The modes of a private key's file.
#include "proxy/key_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace sallyport {
namespace {

class KeyFile : public testing::Test {
 protected:
  KeyFile() { std::ofstream(path_) << "key"; }
  ~KeyFile() override { unlink(path_.c_str()); }

  absl::Status Check(mode_t mode) {
    EXPECT_EQ(chmod(path_.c_str(), mode), 0);
    return CheckKeyFile(path_, &shown_);
  }

  const std::string path_ = testing::TempDir() + "/server.key";
  std::string shown_ = "before";
};

TEST_F(KeyFile, OfItsOwnerAloneSaysNothing) {
  for (const mode_t mode : {0600, 0400, 0700}) {
    EXPECT_TRUE(Check(mode).ok());
    EXPECT_EQ(shown_, "");
  }
}

TEST_F(KeyFile, ThatOthersMayReadIsNamedWithItsMode) {
  EXPECT_TRUE(Check(0644).ok());
  EXPECT_EQ(shown_, "0644");
  EXPECT_TRUE(Check(0640).ok());
  EXPECT_EQ(shown_, "0640");
  EXPECT_TRUE(Check(0604).ok());
  EXPECT_EQ(shown_, "0604");
}

TEST_F(KeyFile, ThatTheGroupMayWriteIsNamed) {
  EXPECT_TRUE(Check(0620).ok());
  EXPECT_EQ(shown_, "0620");
}

TEST_F(KeyFile, ThatEverybodyMayWriteIsRefused) {
  for (const mode_t mode : {0666, 0602, 0777}) {
    const absl::Status status = Check(mode);
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    EXPECT_EQ(shown_, "");
  }
  EXPECT_NE(Check(0666).message().find("0666"), absl::string_view::npos);
}

TEST_F(KeyFile, BehindALinkIsTheOneThatCounts) {
  const std::string link = path_ + ".link";
  ASSERT_EQ(chmod(path_.c_str(), 0644), 0);
  ASSERT_EQ(symlink(path_.c_str(), link.c_str()), 0);
  EXPECT_TRUE(CheckKeyFile(link, &shown_).ok());
  EXPECT_EQ(shown_, "0644");
  unlink(link.c_str());
}

TEST_F(KeyFile, ThatIsNoneIsForTheReaderToRefuse) {
  EXPECT_TRUE(CheckKeyFile("/no/such.key", &shown_).ok());
  EXPECT_TRUE(CheckKeyFile("/dev/null", &shown_).ok());  // Everybody may write that one.
  EXPECT_EQ(shown_, "");
}

}  // namespace
}  // namespace sallyport
