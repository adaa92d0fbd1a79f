#!/usr/bin/env python3
"""Reads the source tree and says where it breaks the habits of this project.

    tools/tidy.py [ROOT]     prints one line a finding, path:line: what; exits 1 if there is one

Checked: 100 columns, 70 lines a function, 500 lines a file, which room may include what, words that
mark unfinished work, and a README of at most 30 lines in each folder that holds a BUILD.bazel.
bazel test //tools:tidy_test runs it, and its own tests, too.
"""

import ast
import os
import re
import sys

COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
README_LINES_MAX = 30

# Spelt so that this file does not find itself.
BANNED_WORDS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")

CODE_SUFFIXES = (".cc", ".h", ".py", ".bzl", ".BUILD", ".bazel", ".sh", ".js", ".php", ".pl",
                 ".rb", ".go", ".java")
TEXT_NAMES = ("WORKSPACE", "BUILD", ".bazelrc")
SKIPPED_FOLDERS = re.compile(r"^(\.git|bazel-.*|node_modules|__pycache__|\..*cache)$")

# Headers of the language in their C spelling; those without a dot and a slash are all C++'s.
C_STANDARD = frozenset(
    "assert ctype errno float inttypes limits math setjmp signal stdarg stdbool stddef stdint "
    "stdio stdlib string time wchar".split())

# Who may include what: (who, which includes the rule is about, which of those are allowed, why).
# The first pattern is matched against the path, the others against the include as it is written,
# brackets or quotes and all. "std" stands for any header of the language.
LAYERS = (
    (r"packet/.*", r".*", r'std|"packet/.*', "packet/ knows the standard library only"),
    (r"tls/.*\.h", r".*", r'std|"tls/.*|<absl/.*|"absl/.*|<openssl/base\.h>',
     "a header of tls/ knows std, absl, tls/ and <openssl/base.h>"),
    (r"tls/.*\.cc", r".*", r'std|"tls/.*|<absl/.*|"absl/.*|<openssl/.*',
     "tls/ knows std, absl, tls/ and BoringSSL"),
    (r"proxy/.*", r'["<]openssl/.*', r"", "BoringSSL stops at the door of tls/"),
    (r"proxy/session/.*|proxy/session[^/]*",
     r"<(sys|net|netinet|arpa|linux)/.*|<(unistd|poll|fcntl|liburing)\.h>"
     r"|<(thread|mutex|chrono|fstream|iostream)>", r"<sys/uio\.h>",
     "a session is pure: no OS, clock or thread"),  # iovec is a plain struct.
)

# Headers that one file alone may include, so that one file alone knows that engine.
ALONE = ("<liburing.h>", "<sys/epoll.h>")


def is_test(path):
    """Tests and benchmarks stand outside the layers: they may look at anything."""
    return path.startswith(("tests/", "bench/")) or path.endswith(("_test.cc", "_test.h"))


def list_files(root):
    """Yields the paths, from root, of the files that people write."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not SKIPPED_FOLDERS.match(f))
        for name in sorted(files):
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                yield os.path.relpath(path, root)


def read_text(path):
    """The file's text, or None where it is not text."""
    with open(path, "rb") as file:
        data = file.read()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def is_code(path, text):
    name = os.path.basename(path)
    return name.endswith(CODE_SUFFIXES) or name in TEXT_NAMES or text.startswith("#!")


def check_lines(path, text):
    """Columns and banned words. Tables and links of a page cannot be wrapped."""
    page = path.endswith(".md")
    if not page and not is_code(path, text):
        return
    for number, line in enumerate(text.splitlines(), 1):
        wrappable = not (page and (line.startswith("|") or "://" in line))
        if len(line) > COLUMNS_MAX and wrappable:
            yield path, number, f"{len(line)} columns; {COLUMNS_MAX} is the limit"
        found = BANNED_WORDS.search(line)
        if found:
            yield path, number, f"{found.group()}: finish it, or say it without the word"


def check_length(path, text):
    count = len(text.splitlines())
    if is_code(path, text) and count > FILE_LINES_MAX:
        yield path, 1, f"{count} lines in a file; {FILE_LINES_MAX} is the limit"


def check_functions(path, text):
    if path.endswith((".cc", ".h")):
        functions = cc_functions(text)
    elif path.endswith(".py"):
        functions = py_functions(text)
    else:
        return
    for first, last in functions:
        count = last - first + 1
        if count > FUNCTION_LINES_MAX:
            yield path, first, f"{count} lines in a function; {FUNCTION_LINES_MAX} is the limit"


def py_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno


CC_NOISE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\''
    r"|^[ \t]*#(?:[^\n\\]|\\.)*", re.DOTALL | re.MULTILINE)
CC_SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b[^()]*$")
CC_MEMBER_INITIALIZER = re.compile(r"\)[^{}]*[^:]:[^:].*[\w>]\s*$", re.DOTALL)


def blank_noise(text):
    """Comments, strings and preprocessor lines become spaces; lines keep their numbers."""
    return CC_NOISE.sub(lambda noise: re.sub(r"[^\n]", " ", noise.group()), text)


def cc_functions(text):
    """Yields (first, last) line of each outermost function body, found by its braces.

    A brace opens a function when what stands before it, back to the last statement, has parentheses
    and is no namespace, class or initializer. That is a guess, good enough for formatted code.
    """
    head = ""      # What stands before the next brace.
    head_line = 1  # The line on which it began.
    line = 1
    blocks = []    # One entry an open brace: (kind, head, head_line).
    for char in blank_noise(text):
        if char == "\n":
            line += 1
        inside = any(kind == "function" for kind, _, _ in blocks)
        if char == "{":
            kind = "inner" if inside else cc_block_kind(head)
            blocks.append((kind, head, head_line))
            head = ""
        elif char == "}" and blocks:
            kind, opened_head, opened_line = blocks.pop()
            if kind == "function":
                yield opened_line, line
            # After `: member_{1}` the function's head goes on.
            head = opened_head + " {}" if kind == "initializer" else ""
            head_line = opened_line if kind == "initializer" else line
        elif char == ";":
            head = ""
        else:
            if not head.strip() and not char.isspace():
                head_line = line
            head += char


def cc_block_kind(head):
    head = head.strip()
    if head.endswith(("=", ",", "(")):
        return "initializer"
    if CC_SCOPE.search(head):
        return "scope"
    if CC_MEMBER_INITIALIZER.search(head):
        return "initializer"
    return "function" if "(" in head else "scope"


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"][^>"]+[>"])', re.MULTILINE)


def includes(text):
    """Yields (line, include as written)."""
    for found in INCLUDE.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, found.group(1)


def is_standard(include):
    name = include[1:-1]
    return include[0] == "<" and "/" not in name and (
        "." not in name or (name.endswith(".h") and name[:-2] in C_STANDARD))


def check_layers(path, text):
    if not path.endswith((".cc", ".h")) or is_test(path):
        return
    for number, include in includes(text):
        for who, about, allowed, why in LAYERS:
            if not re.fullmatch(who, path) or not re.fullmatch(about, include):
                continue
            if is_standard(include) and "std" in allowed.split("|"):
                continue
            if not re.fullmatch(allowed, include):
                yield path, number, f"includes {include}: {why}"


def check_alone(texts):
    """Each header of ALONE in one file outside the tests, and no more."""
    for header in ALONE:
        users = [(path, number) for path, text in texts.items()
                 if path.endswith((".cc", ".h")) and not is_test(path)
                 for number, include in includes(text) if include == header]
        for path, number in users[1:]:
            yield path, number, f"includes {header}, which {users[0][0]} has to itself"


def check_readmes(texts):
    """A folder that Bazel knows of says what it is."""
    for path in texts:
        folder, name = os.path.split(path)
        if name != "BUILD.bazel":
            continue
        readme = os.path.join(folder, "README.md")
        if readme not in texts:
            yield path, 1, "no README.md beside it"
        elif folder and len(texts[readme].splitlines()) > README_LINES_MAX:
            yield readme, README_LINES_MAX + 1, f"more than {README_LINES_MAX} lines"


def check_tree(root):
    """All findings below root, as (path, line, what), in the order of paths and lines."""
    texts = {}
    for path in list_files(root):
        text = read_text(os.path.join(root, path))
        if text is not None:
            texts[path] = text
    findings = list(check_alone(texts)) + list(check_readmes(texts))
    for path, text in texts.items():
        for check in (check_lines, check_length, check_functions, check_layers):
            findings += check(path, text)
    return sorted(findings)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..")
    findings = check_tree(os.path.realpath(root))
    for path, line, what in findings:
        print(f"{path}:{line}: {what}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
