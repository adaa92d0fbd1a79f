#include "proxy/key_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_format.h"

namespace sallyport {

absl::Status CheckKeyFile(const std::string& path, std::string* mode) {
  mode->clear();
  struct stat file {};
  if (stat(path.c_str(), &file) != 0 || !S_ISREG(file.st_mode)) return absl::OkStatus();
  mode_t of_others = S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
  if (file.st_uid == 0 && geteuid() != 0) of_others &= ~static_cast<mode_t>(S_IRGRP);
  if ((file.st_mode & of_others) == 0) return absl::OkStatus();
  const std::string text = absl::StrFormat("%04o", file.st_mode & 07777);
  if ((file.st_mode & S_IWOTH) != 0) {
    return absl::PermissionDeniedError("everybody may write this private key (mode " + text +
                                       "); chmod 600 it");
  }
  *mode = text;
  return absl::OkStatus();
}

}  // namespace sallyport
