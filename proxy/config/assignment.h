// Assignment: one option given one value in one place.
#ifndef PROXY_CONFIG_ASSIGNMENT_H_
#define PROXY_CONFIG_ASSIGNMENT_H_

#include <string>

#include "proxy/config/options.h"

namespace sallyport {

struct Assignment {
  const Option* option = nullptr;  // Never null once filled in.
  std::string text;                // What SetOption is to read.
  std::string place;  // How a complaint begins: "--tls_mode", "sallyport.toml:7: tls_mode".
};

}  // namespace sallyport

#endif  // PROXY_CONFIG_ASSIGNMENT_H_
