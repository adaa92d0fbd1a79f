// The example file and the manual page, made from the table of options as --help is.
#ifndef PROXY_CONFIG_MANUAL_H_
#define PROXY_CONFIG_MANUAL_H_

#include <string>

namespace sallyport {

// ExampleToml is a configuration file with every key at its default, each with what it means. A
// [[listener]] stands behind, commented out: its lines begin with '#' and no space.
std::string ExampleToml();

// ManualPage is sallyport(8), for man.
std::string ManualPage();

}  // namespace sallyport

#endif  // PROXY_CONFIG_MANUAL_H_
