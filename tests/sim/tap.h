// Tap: looks at each byte that the proxy sends. What no peer may ever see is found here, also when
// that peer isn't there any more.
#ifndef TESTS_SIM_TAP_H_
#define TESTS_SIM_TAP_H_

#include <string_view>

#include "tests/sim/net.h"

namespace sallyport::sim {

// It sees what is on the wire. That of a client is encrypted, by the proxy or by the kernel; that
// of a server never is, so passwords are looked for there, whichever way they come.
//
// TapToServer: a password on its way to a plaintext server.
void TapToServer(Wire* wire, std::string_view bytes);
// TapToClient: once the proxy has taken an SSLRequest, all that follows are TLS records. An
// ERR_Packet that the proxy sent before it got to read the SSLRequest may still be in clear.
void TapToClient(Wire* wire, std::string_view bytes);
// TapBetweenRecords: so far the client got whole TLS records, if any.
bool TapBetweenRecords(const Wire& wire);
// TapTaken: the proxy has taken the SSLRequest from the socket. TapTold: it has made something of
// it; `unsent`: it had bytes for the client by then that weren't sent.
void TapTaken(Wire* wire);
void TapTold(Wire* wire, bool unsent);

}  // namespace sallyport::sim

#endif  // TESTS_SIM_TAP_H_
