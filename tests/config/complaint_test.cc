// Every complaint, word for word: one line that says what is wrong and where it stands.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/config/parse.h"

namespace sallyport {
namespace {

void ExpectRefused(const CommandLine& result, const std::string& complaint) {
  EXPECT_EQ(result.action, CommandLine::Action::kExit);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.text, "");
  EXPECT_EQ(result.error, "sallyport: " + complaint + "\n");
  EXPECT_EQ(std::count(result.error.begin(), result.error.end(), '\n'), 1);
}

struct FlagCase {
  std::vector<std::string> arguments;
  std::string complaint;
};

const FlagCase kFlagCases[] = {
    // Names.
    {{"--tls_mod=required"}, "--tls_mod: no such flag; the nearest is --tls_mode"},
    {{"--tls-certificate", "a"}, "--tls-certificate: no such flag; the nearest is --tls_cert"},
    {{"--sevrer=a:1"}, "--sevrer: no such flag; the nearest is --server"},
    {{"--Workers=1"}, "--Workers: no such flag; the nearest is --workers"},
    {{"--hlep"}, "--hlep: no such flag; the nearest is --help"},
    {{"--tls"}, "--tls: no such flag; the nearest is --help"},  // No abbreviations.
    {{"-workers=1"}, "-workers: no such flag; the nearest is --workers"},
    {{"--no-core-dump"}, "--no-core-dump: no such flag; the nearest is --core_dumps"},
    {{"--no-workers"}, "--no-workers: no such flag; the nearest is --workers"},
    {{"--a\nb"}, "--a\\x0ab: no such flag; the nearest is --admin"},
    // A value too few, or too many.
    {{"--workers"}, "--workers: a value is missing (COUNT)"},
    {{"--tls_cert", "--tls_key=a"}, "--tls_cert: a value is missing (FILE)"},
    {{"--config"}, "--config: a value is missing (FILE)"},
    {{"--config="}, "--config: a value is missing (FILE)"},
    {{"--config=a", "--config=b"}, "--config: given twice"},
    {{"--help=yes"}, "--help: takes no value"},
    {{"--check_config=1"}, "--check_config: takes no value"},
    {{"--sessions=1"}, "--sessions: takes no value"},
    {{"--no-core_dumps=1"}, "--no_core_dumps: takes no value"},
    {{"--core_dumps", "false"},
     "\"false\": arguments that are no flags come as four: LISTEN_PORT SERVER_PORT CERTIFICATE "
     "KEY"},
    // Values.
    {{"--tls_mode=maybe"}, "--tls_mode: \"maybe\" is none of preferred, required, disabled"},
    {{"--tls_mode=a\n\"b"}, "--tls_mode: \"a\\n\\\"b\" is none of preferred, required, disabled"},
    {{"--tls_mode=" + std::string(1000, 'a')},
     "--tls_mode: \"" + std::string(100, 'a') + "\"... is none of preferred, required, disabled"},
    {{"--io-engine", ""}, "--io_engine: \"\" is none of auto, io_uring, epoll"},
    {{"--log_level=loud"}, "--log_level: \"loud\" is none of debug, info, warning, error"},
    {{"--core_dumps=maybe"}, "--core_dumps: \"maybe\" is neither true nor false"},
    {{"--proxy_protocol_out=v3"}, "--proxy_protocol_out: \"v3\" is none of off, v1, v2"},
    {{"--proxy_protocol_networks=::1,localhost"},
     "--proxy_protocol_networks: \"localhost\" is no network (192.0.2.0/24, 2001:db8::/32, ADDRESS "
     "or *)"},
    {{"--proxy_protocol_networks=10.0.0.1/8"},
     "--proxy_protocol_networks: \"10.0.0.1/8\" has bits behind its prefix; 10.0.0.0 is the "
     "network's address"},
    {{"--proxy_protocol_networks=10.0.0.0/33"},
     "--proxy_protocol_networks: \"10.0.0.0/33\" has a prefix that is no number from 0 to 32"},
    {{"--proxy_protocol_networks=::1,"}, "--proxy_protocol_networks: a network is missing"},
    {{"--workers=many"}, "--workers: \"many\" is not a whole number"},
    {{"--workers", "-1"}, "--workers: \"-1\" is not between 0 and 1024"},
    {{"--signers", "-2"}, "--signers: \"-2\" is not between -1 and 1024"},
    {{"--workers=1.5"}, "--workers: \"1.5\" is not a whole number"},
    {{"--workers="}, "--workers: \"\" is not a whole number"},
    {{"--workers=99999999999999999999"},
     "--workers: \"99999999999999999999\" is not a whole number"},
    {{"--max_connections=0"}, "--max_connections: \"0\" is not between 1 and 10000000"},
    {{"--keepalive_idle=32768"}, "--keepalive_idle: \"32768\" is not between 0 and 32767"},
    {{"--connect_timeout=0"}, "--connect_timeout: \"0\" is not between 0.001 and 3600 seconds"},
    {{"--connect_timeout=8h"}, "--connect_timeout: \"8h\" is not a number of seconds"},
    {{"--connect_timeout=nan"}, "--connect_timeout: \"nan\" is not a number of seconds"},
    {{"--idle_timeout=inf"}, "--idle_timeout: \"inf\" is not a number of seconds"},
    {{"--idle_timeout=-1"}, "--idle_timeout: \"-1\" is not between 0 and 2592000 seconds"},
    {{"--idle_timeout=28800000"},
     "--idle_timeout: \"28800000\" is not between 0 and 2592000 seconds"},
    {{"--idle_timeout=0.0001"}, "--idle_timeout: \"0.0001\" is finer than a millisecond"},
    {{"--idle_timeout=0.000000000001"},
     "--idle_timeout: \"0.000000000001\" is finer than a millisecond"},
    {{"--tls_cert=a\tb"}, "--tls_cert: \"a\\tb\" has control characters"},
    {{"--tls_cert=a\xff"}, "--tls_cert: \"a\xff\" is not UTF-8"},
    // Addresses.
    {{"--listen=6033"}, "--listen: \"6033\" has no port (HOST:PORT)"},
    {{"--listen="}, "--listen: an address is missing"},
    {{"--server=a:1,,b:1"}, "--server: an address is missing"},
    {{"--server=a:1,b"}, "--server: \"b\" has no port (HOST:PORT)"},
    {{"--server=:3306"}, "--server: \":3306\" names no host (HOST:PORT)"},
    {{"--server=db:0"}, "--server: \"db:0\" has no port between 1 and 65535"},
    {{"--server=db:mysql"}, "--server: \"db:mysql\" has no port between 1 and 65535"},
    {{"--listen=:65536"}, "--listen: \":65536\" has no port between 0 and 65535"},
    {{"--server=::1:3306"},
     "--server: \"::1:3306\" has more than one colon: an IPv6 address goes in brackets "
     "([V6]:PORT)"},
    {{"--server=[::1]"}, "--server: \"[::1]\" is not [V6]:PORT"},
    {{"--server=[db]:1"}, "--server: \"[db]:1\" has no IPv6 address in its brackets"},
    {{"--server=127.0.0.300:1"}, "--server: \"127.0.0.300:1\" is not an IPv4 address with a port"},
    {{"--server=a b:1"}, "--server: \"a b:1\" is not HOST:PORT"},
    {{"--server=unix:mysql.sock"},
     "--server: \"unix:mysql.sock\" has no absolute path (unix:/PATH)"},
    {{"--server=unix:/" + std::string(107, 'a')},
     "--server: \"unix:/" + std::string(94, 'a') +
         "\"... is longer than a unix socket's path may be"},
    {{"--listen=unix:/run/a"},
     "--listen: \"unix:/run/a\" is a unix socket: only a server may be one"},
    {{"--admin=unix:/run/a"},
     "--admin: \"unix:/run/a\" is a unix socket: only a server may be one"},
    {{"--admin=off"}, "--admin: \"off\" has no port (HOST:PORT)"},
    {{"--sni_server=a.example.com"}, "--sni_server: \"a.example.com\" is not NAME=ADDRESS"},
    {{"--sni_server=a=b:1,c=d"}, "--sni_server: \"d\" has no port (HOST:PORT)"},
    {{"--sni_server=*.com=b:1"},
     "--sni_server: \"*.com=b:1\" names no host, nor all of a domain (a.example.com, "
     "*.example.com)"},
    {{"--sni_server=a*.example.com=b:1"},
     "--sni_server: \"a*.example.com=b:1\" names no host, nor all of a domain (a.example.com, "
     "*.example.com)"},
    {{"--sni_server==b:1"},
     "--sni_server: \"=b:1\" names no host, nor all of a domain (a.example.com, *.example.com)"},
    {{"--sni_server=a b=b:1"},
     "--sni_server: \"a b=b:1\" names no host, nor all of a domain (a.example.com, *.example.com)"},
    {{"--sni_server=a=b:1,"}, "--sni_server: a server is missing"},
    // Four arguments.
    {{"3306"},
     "\"3306\": arguments that are no flags come as four: LISTEN_PORT SERVER_PORT CERTIFICATE KEY"},
    {{"x", "3307", "c", "k"}, "argument 1 (listen): \"x\" is not a whole number"},
    {{"3306", "0", "c", "k"}, "argument 2 (server): \"0\" is not between 1 and 65535"},
    {{"3306", "3307", "", "k"}, "argument 4 (tls_key): needs tls_cert as well"},
    {{"3306", "3306", "c", "k"},
     "argument 2 (server): \"127.0.0.1:3306\" is the proxy itself (listen has \"0.0.0.0:3306\")"},
    {{"--listen=:1", "3306", "3307", "c", "k"}, "--listen: already given as argument 1 (listen)"},
    // Contradictions.
    {{"--tls_cert=c"}, "--tls_cert: needs tls_key as well"},
    {{"--tls_key=k"}, "--tls_key: needs tls_cert as well"},
    {{"--core_dumps", "--sandbox=on"},
     "--core_dumps: needs sandbox off: nothing can be written inside"},
    {{"--listen=a:1,b:1,A:1"}, "--listen: \"A:1\" is there twice"},
    {{"--listen=:3306"}, "server: \"127.0.0.1:3306\" is the proxy itself (listen has \":3306\")"},
    {{"--server=localhost:6033"},
     "--server: \"localhost:6033\" is the proxy itself (listen has \"0.0.0.0:6033\")"},
    {{"--sni_server=a=localhost:6033"},
     "--sni_server: \"localhost:6033\" is the proxy itself (listen has \"0.0.0.0:6033\")"},
    {{"--sni_server=a=b:1", "--tls_mode=disabled"},
     "--sni_server: needs TLS, and tls_mode is disabled"},
    {{"--admin=0.0.0.0:6033"}, "--admin: \"0.0.0.0:6033\" is in listen as well"},
    // Files.
    {{"--config=absent.toml"}, "--config: absent.toml: No such file or directory"},
    {{"--config=a\nb"}, "--config: a\\x0ab: No such file or directory"},
};

TEST(Complaint, AboutFlagsNamesTheFlag) {
  for (const FlagCase& row : kFlagCases) {
    SCOPED_TRACE(row.arguments[0]);
    ExpectRefused(Parse(row.arguments), row.complaint);
  }
}

struct TomlCase {
  std::string text;
  std::string complaint;  // Behind "f.toml:".
};

const TomlCase kTomlCases[] = {
    {"tls_mode = \"maybe\"", "1: tls_mode: \"maybe\" is none of preferred, required, disabled"},
    {"\n# c\n\n\n\n\ntls_mode = 'maybe'\n",
     "7: tls_mode: \"maybe\" is none of preferred, required, disabled"},
    // Names.
    {"workers = 1\ntls_certs = 'a'\n", "2: tls_certs: no such key; the nearest is tls_cert"},
    {"timeout = 1", "1: timeout: no such key; the nearest is idle_timeout"},
    {"conifg = 'a'", "1: conifg: no such key; the nearest is admin"},  // No flag's name here.
    {"[proxy]\nworkers = 1\n", "1: proxy: no such key; the nearest is server"},
    {"tls.mode = 'required'", "1: tls: no such key; the nearest is tls_key"},
    {"\"a\\nb\" = 1", "1: a\\x0ab: no such key; the nearest is admin"},
    {"config = 'x'", "1: config: is a flag, not a key of this file"},
    {"check_config = true", "1: check_config: is a flag, not a key of this file"},
    {"tls_mode = 'required'\n\ntls-mode = 'required'\n", "3: tls_mode: already given in line 1"},
    // The first line that is wrong, not the first name.
    {"workers = -1\nadmin = 'off'\n", "1: workers: \"-1\" is not between 0 and 1024"},
    // Types.
    {"workers = '1'", "1: workers: a whole number is wanted here, without quotes"},
    {"workers = 1.0", "1: workers: a whole number is wanted here, without quotes"},
    {"workers = 1979-05-27", "1: workers: a whole number is wanted here, without quotes"},
    {"workers = [1]", "1: workers: a whole number is wanted here, without quotes"},
    {"core_dumps = 1", "1: core_dumps: true or false is wanted here, without quotes"},
    {"core_dumps = 'true'", "1: core_dumps: true or false is wanted here, without quotes"},
    {"idle_timeout = '8h'", "1: idle_timeout: a number of seconds is wanted here, without quotes"},
    {"idle_timeout = true", "1: idle_timeout: a number of seconds is wanted here, without quotes"},
    {"log_file = 1", "1: log_file: a text in quotes is wanted here"},
    {"log_file = ['a']", "1: log_file: a text in quotes is wanted here"},
    {"tls_cert = 1", "1: tls_cert: a path in quotes, or an array of them, is wanted here"},
    {"tls_version_min = 1.2", "1: tls_version_min: a text in quotes is wanted here"},
    {"tls_version_min = '1.1'", "1: tls_version_min: \"1.1\" is none of 1.2, 1.3"},
    {"listen = 6033", "1: listen: an address in quotes, or an array of them, is wanted here"},
    {"listen = [\n  'a:1',\n  6033,\n]",
     "3: listen: an address in quotes, or an array of them, is wanted here"},
    {"listen = [['a:1']]", "1: listen: an address in quotes, or an array of them, is wanted here"},
    {"proxy_protocol_networks = [1]",
     "1: proxy_protocol_networks: a network in quotes, or an array of them, is wanted here"},
    {"sni_server = [\n  'a=b:1',\n  7]",
     "3: sni_server: NAME=ADDRESS in quotes, or an array of them, is wanted here"},
    {"sni_server = [\n  'a=b:1',\n  'b']", "3: sni_server: \"b\" is not NAME=ADDRESS"},
    {"listen = []", "1: listen: at least one address is needed"},
    // Values.
    {"listen = [\n  'a:1',\n  'b',\n]", "3: listen: \"b\" has no port (HOST:PORT)"},
    {"connect_timeout = 0", "1: connect_timeout: \"0\" is not between 0.001 and 3600 seconds"},
    {"connect_timeout = inf", "1: connect_timeout: \"inf\" is not a number of seconds"},
    {"idle_timeout = 0.0001", "1: idle_timeout: \"0.0001\" is finer than a millisecond"},
    {"tls_cert = \"a\\nb\"", "1: tls_cert: \"a\\nb\" has control characters"},
    // Contradictions.
    {"\ntls_cert = 'c'", "2: tls_cert: needs tls_key as well"},
    {"tls_cert = ['c', 'd']\ntls_key = 'k'",
     "2: tls_key: has 1 of the 2 keys for tls_cert: each certificate needs its own"},
    {"tls_version_min = '1.3'\ntls_version_max = '1.2'",
     "1: tls_version_min: is above tls_version_max"},
    {"tls_client_ca = 'a'", "1: tls_client_ca: needs tls_client_certificates as well"},
    {"\ntls_client_crl = 'a'", "2: tls_client_crl: needs tls_client_certificates as well"},
    {"tls_client_user = 'cn'",
     "1: tls_client_user: needs tls_client_certificates optional or required"},
    {"tls_client_certificates = 'optional'",
     "1: tls_client_certificates: needs tls_client_ca as well"},
    {"tls_client_certificates = 'optional'\ntls_client_ca = 'a'\ntls_mode = 'disabled'",
     "1: tls_client_certificates: needs TLS, and tls_mode is disabled"},
    {"tls_client_certificates = 'required'\ntls_client_ca = 'a'",
     "1: tls_client_certificates: required needs tls_mode required: who asks for no TLS would need "
     "no certificate"},
    {"admin = ':1'\nlisten = ':1'\n", "1: admin: \":1\" is in listen as well"},
};

TEST(Complaint, AboutAFileNamesFileLineAndKey) {
  for (const TomlCase& row : kTomlCases) {
    SCOPED_TRACE(row.text);
    ExpectRefused(Parse({"--config", "f.toml"}, {{"f.toml", row.text}}), "f.toml:" + row.complaint);
  }
}

const TomlCase kListenerCases[] = {
    // Names and places.
    {"[[listener]]\ntls_certs = 'a'\n", "2: tls_certs: no such key; the nearest is tls_cert"},
    // Only what may stand in a table is near.
    {"[[listener]]\nworker = 1\n", "2: worker: no such key; the nearest is server"},
    {"[[listener]]\nlisten = ':1'\n\nworkers = 1\n",
     "4: workers: belongs to the whole process; put it above the first [[listener]]"},
    {"[[listener]]\nhelp = 1\n", "2: help: is a flag, not a key of this file"},
    {"name = 'a'\n", "1: name: no such key; the nearest is admin"},
    {"[[listner]]\nlisten = ':1'\n", "1: listner: no such key; the nearest is listener"},
    {"[[listener]]\n[listener.tls]\nmode = 'required'\n",
     "2: tls: no such key; the nearest is name"},
    {"[listener]\nlisten = ':1'\n", "1: listener: is written [[listener]], with its keys below"},
    {"listener = 1", "1: listener: is written [[listener]], with its keys below"},
    {"listener = []", "1: listener: is written [[listener]], with its keys below"},
    {"listener = [1]", "1: listener: is written [[listener]], with its keys below"},
    {"[[listener]]\ntls_mode = 'required'\ntls-mode = 'required'\n",
     "3: tls_mode: already given in line 2"},
    // Types and values.
    {"[[listener]]\nlisten = 1\n",
     "2: listen: an address in quotes, or an array of them, is wanted here"},
    {"[[listener]]\nname = ''\n", "2: name: \"\" has not between 1 and 64 bytes"},
    {"[[listener]]\nname = \"a\\nb\"\n", "2: name: \"a\\nb\" has control characters"},
    {"[[listener]]\n[[listener]]\nconnect_timeout = 0\n",
     "3: connect_timeout: \"0\" is not between 0.001 and 3600 seconds"},
    // Contradictions.
    {"[[listener]]\nlisten = ':1'\n[[listener]]\nlisten = ':1'\n",
     "4: listen: \":1\" is another listener's too"},
    {"[[listener]]\n\n[[listener]]\nname = 'a'\n",
     "3: listener: listen: \"0.0.0.0:6033\" is another listener's too"},
    {"listen = ':1'\n[[listener]]\n[[listener]]\n", "1: listen: \":1\" is another listener's too"},
    {"[[listener]]\nname = 'a'\nlisten = ':1'\n[[listener]]\nname = 'a'\nlisten = ':2'\n",
     "5: name: \"a\" is another listener's too"},
    {"[[listener]]\nlisten = ':1'\n[[listener]]\nlisten = ':2'\nserver = '127.0.0.1:1'\n",
     "5: server: \"127.0.0.1:1\" is the proxy itself (listen has \":1\")"},
    {"[[listener]]\nlisten = ':1'\n[[listener]]\nlisten = ':2'\ntls_cert = 'c'\n",
     "5: tls_cert: needs tls_key as well"},
    {"admin = ':2'\n[[listener]]\nlisten = ':1'\n[[listener]]\nlisten = ':2'\n",
     "1: admin: \":2\" is in listen as well"},
};

TEST(Complaint, AboutAListenerNamesFileLineAndKey) {
  for (const TomlCase& row : kListenerCases) {
    SCOPED_TRACE(row.text);
    ExpectRefused(Parse({"--config", "f.toml"}, {{"f.toml", row.text}}), "f.toml:" + row.complaint);
  }
}

TEST(Complaint, AFlagThatCouldBeForAnyOfSeveralListeners) {
  const Files files = {{"f", "[[listener]]\nlisten = ':1'\n[[listener]]\nlisten = ':2'\n"}};
  const std::string why =
      ": there are several [[listener]] tables, and it could be for any of them";
  ExpectRefused(Parse({"--config=f", "--listen=:3"}, files), "--listen" + why);
  ExpectRefused(Parse({"--server=db:1", "--config=f"}, files), "--server" + why);
  ExpectRefused(Parse({"--config=f", "1", "2", "c", "k"}, files), "argument 1 (listen)" + why);
  ExpectRefused(Parse({"--name=a"}), "--name: no such flag; the nearest is --admin");
}

// What is not TOML at all is complained about in the library's words: only the line is ours.
TEST(Complaint, AboutWhatIsNotTomlIsOneLineWithItsNumber) {
  const std::pair<std::string, std::string> cases[] = {
      {"workers = 1\nworkers = 2\n", "2"},
      {"\n\nworkers\n", "3"},
      {"workers = ", "1"},
      {"tls_cert = 'a\n", "1"},
      {"= 1", "1"},
      {"a = \"\xff\"", "1"},
      {std::string("workers = 1\n\0", 13), "2"},
      {"a = 1 b = 2", "1"},
      {"tls_mode = preferred", "1"},
  };
  for (const auto& [text, line] : cases) {
    SCOPED_TRACE(text);
    const CommandLine result = Parse({"--config=f\r.toml"}, {{"f\r.toml", text}});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.error.rfind("sallyport: f\\x0d.toml:" + line + ": ", 0), 0u) << result.error;
    EXPECT_EQ(result.error.find('\n'), result.error.size() - 1);
  }
}

}  // namespace
}  // namespace sallyport
