"""Plants what tidy must find, and things that only look like it; then runs tidy on this tree."""

import os
import tempfile
import unittest

from tools import tidy


class Planted(unittest.TestCase):
    """Each test writes a small tree and names the findings: (path, line)."""

    def find(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return [(path, line) for path, line, _ in tidy.check_tree(root)]

    def test_columns(self):
        self.assertEqual([], self.find({"packet/a.cc": "x" * 100 + "\n"}))
        self.assertEqual([("packet/a.cc", 2)], self.find({"packet/a.cc": "\n" + "x" * 101}))
        self.assertEqual([("a.md", 1)], self.find({"a.md": "x" * 101}))
        self.assertEqual([], self.find({"a.md": "|" + "x" * 101}))

    def test_banned_words(self):
        for word in ("TO" + "DO", "FIX" + "ME"):
            self.assertEqual([("proxy/a.cc", 1)], self.find({"proxy/a.cc": f"// {word}: later\n"}))
            self.assertEqual([("README.md", 1)], self.find({"README.md": f"{word}\n"}))

    def test_long_file(self):
        self.assertEqual([], self.find({"proxy/a.h": "\n" * 500}))
        self.assertEqual([("proxy/a.h", 1)], self.find({"proxy/a.h": "\n" * 501}))

    def test_long_cc_function(self):
        body = "  Call({1, 2});\n"
        for head in ("int F(int a) {\n", "Packet::Packet(int a)\n    : a_{a}, b_(2) {\n",
                     "TEST(Packet, IsRead) {\n", "auto G() -> int {\n"):
            lines = head.count("\n") + 1
            code = "// One.\nnamespace n {\n\n" + head + "%s}\n\n}  // namespace n\n"
            self.assertEqual([], self.find({"packet/a.cc": code % (body * (70 - lines))}))
            self.assertEqual([("packet/a.cc", 4)],
                             self.find({"packet/a.cc": code % (body * (71 - lines))}), head)

    def test_long_method_in_class(self):
        method = "  int Size() const {\n" + "    Call();\n" * 69 + "  }\n"
        code = "class A {\n public:\n  A() = default;\n" + method + "};\n"
        self.assertEqual([("packet/a.h", 4)], self.find({"packet/a.h": code}))

    def test_long_things_that_are_no_function(self):
        table = "constexpr int kTable[] = {\n" + "    1,  // One (1) {\n" * 90 + "};\n"
        struct = "struct A {\n" + "  int a = F(1);\n" * 90 + "};\n"
        enum = "enum class B : uint8_t {\n" + "  kB,\n" * 90 + "};\n"
        self.assertEqual([], self.find({"packet/a.h": table + struct + enum}))

    def test_long_py_function(self):
        self.assertEqual([], self.find({"tools/a.py": "def f():\n" + "    g()\n" * 69}))
        self.assertEqual([("tools/a.py", 1)],
                         self.find({"tools/a.py": "def f():\n" + "    g()\n" * 70}))

    def test_packet_includes_only_std_and_packet(self):
        code = "#include <span>\n#include <cstdint>\n#include <stdint.h>\n#include \"packet/a.h\"\n"
        self.assertEqual([], self.find({"packet/a.cc": code}))
        for include in ("<unistd.h>", "<sys/socket.h>", "<absl/types/span.h>", "<openssl/ssl.h>",
                        '"tls/engine.h"', '"a.h"'):
            self.assertEqual([("packet/a.cc", 5)],
                             self.find({"packet/a.cc": code + f"#include {include}\n"}), include)

    def test_tls_includes(self):
        self.assertEqual([], self.find({
            "tls/a.cc": ('#include <openssl/ssl.h>\n#include <absl/status/status.h>\n'
                         '#include "tls/a.h"\n'),
            "tls/a.h": "#include <openssl/base.h>\n#include <memory>\n"}))
        self.assertEqual([("tls/a.h", 1)], self.find({"tls/a.h": "#include <openssl/ssl.h>\n"}))
        self.assertEqual([("tls/a.cc", 1)], self.find({"tls/a.cc": '#include "packet/a.h"\n'}))
        self.assertEqual([("tls/a.cc", 1)], self.find({"tls/a.cc": "#include <unistd.h>\n"}))

    def test_openssl_only_in_tls(self):
        code = "#include <openssl/ssl.h>\n"
        self.assertEqual([("proxy/a.cc", 1)], self.find({"proxy/a.cc": code}))
        self.assertEqual([], self.find({"tests/a_test.cc": code}))

    def test_session_is_pure(self):
        code = '#include "packet/framer.h"\n#include <unistd.h>\n'
        for path in ("proxy/session.cc", "proxy/session/login.cc"):
            self.assertEqual([(path, 2)], self.find({path: code}))

    def test_engines_have_one_file(self):
        for header in tidy.ALONE:
            code = f"#include {header}\n"
            self.assertEqual([], self.find({"proxy/a.cc": code, "tests/b_test.cc": code}))
            self.assertEqual([("proxy/b.cc", 1)],
                             self.find({"proxy/a.cc": code, "proxy/b.cc": code}))

    def test_readme(self):
        self.assertEqual([("proxy/BUILD.bazel", 1)], self.find({"proxy/BUILD.bazel": ""}))
        self.assertEqual([], self.find({"proxy/BUILD.bazel": "", "proxy/README.md": "\n" * 30}))
        self.assertEqual([("proxy/README.md", 31)],
                         self.find({"proxy/BUILD.bazel": "", "proxy/README.md": "\n" * 31}))


class Tree(unittest.TestCase):
    """The tree this test lies in; Bazel hands a link to it."""

    def test_is_tidy(self):
        root = os.path.join(os.path.dirname(os.path.realpath(tidy.__file__)), "..")
        self.assertTrue(os.path.exists(os.path.join(root, "WORKSPACE")))
        findings = [f"{path}:{line}: {what}" for path, line, what in tidy.check_tree(root)]
        self.assertEqual([], findings, "\n" + "\n".join(findings))


if __name__ == "__main__":
    unittest.main()
