// What nearly every script begins or ends with: conversation.h's functions beside the class.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/session/conversation.h"
#include "tests/session/packets.h"

namespace sallyport::tests {

// --- Scripts.
void ConverseIn(const std::vector<Way>& ways, const Links& links,
                const std::function<void(Conversation&)>& script) {
  for (const Way way : ways) {
    SCOPED_TRACE(std::string("way: ") + std::string(ToText(way)));
    Conversation conversation(links, way);
    script(conversation);
  }
}

void Converse(const Links& links, const std::function<void(Conversation&)>& script) {
  ConverseIn(
      {Way::kWhole, Way::kPackets, Way::kBytes, Way::kRecords, Way::kSlowOutput, Way::kPieces},
      links, script);
}

void Greet(Conversation& c, const Greeting& greeting) {
  c.Server(0, greeting.payload());
  c.ExpectClient(0, c.links().tls_offered ? greeting.WithSsl().payload() : greeting.payload());
}

void StartTls(Conversation& c, const Greeting& greeting) {
  Greet(c, greeting);
  c.ClientAsksForTls();
  c.ClientStartsTls();
}

void LogIn(Conversation& c, const Login& login, const Greeting& greeting) {
  StartTls(c, greeting);
  c.Client(2, login.WithSsl().payload());
  c.ExpectServer(1, login.payload());
}

void LogInPlain(Conversation& c, const Login& login, const Greeting& greeting) {
  Greet(c, greeting);
  c.Client(1, login.payload());
  c.ExpectServer(1, login.payload());
}

void Accept(Conversation& c, uint8_t server_sequence_id, uint8_t client_sequence_id) {
  c.Server(server_sequence_id, Ok());
  c.ExpectClient(client_sequence_id, Ok());
  c.ExpectPhase(Phase::kCommand);
}

void ExpectExcused(Conversation& c, CloseReason reason) {
  c.ExpectThrowaway();
  c.Server(2, Err(1045));
  c.ExpectEnd(Side::kServer);
  c.ExpectClosed(reason);
}

void Command(Conversation& c, std::string_view sql) {
  c.Client(0, Query(sql));
  c.ExpectServer(0, Query(sql));
  c.Server(1, Ok());
  c.ExpectClient(1, Ok());
}

void QuitCleanly(Conversation& c) {
  c.Client(0, "\x01");
  c.ExpectServer(0, "\x01");
  c.Ends(Side::kServer);
  c.ExpectEnd(Side::kClient);
  if (c.on_tls()) c.ExpectCloseNotify();
  c.Ends(Side::kClient);
  c.ExpectClosed(CloseReason::kServerClosed);
}

}  // namespace sallyport::tests
