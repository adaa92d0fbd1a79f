// Texts made from the table of options.
#ifndef PROXY_CONFIG_USAGE_H_
#define PROXY_CONFIG_USAGE_H_

#include <string>

#include "proxy/config/config.h"

namespace sallyport {

// HelpText is what --help prints.
std::string HelpText();

// ConfigToml is a configuration file that gives `config`.
std::string ConfigToml(const Config& config);

}  // namespace sallyport

#endif  // PROXY_CONFIG_USAGE_H_
