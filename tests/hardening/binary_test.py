"""Reads a binary's headers and code: is it as hard as the build's flags want it?

    binary_test.py BINARY [--optimised]

--optimised: what only an optimised build has is expected, too (fortified calls).
"""

import platform
import re
import subprocess
import sys


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def head_findings(path):
    """What ELF's headers tell: where it may be loaded, and what of it may be written or run."""
    header = output("readelf", "--file-header", "--wide", path)
    dynamic = output("readelf", "--dynamic", "--wide", path)
    # LOAD 0x000000 0x... 0x... 0x... 0x... R E 0x1000
    segments = re.findall(r"^\s+(\w+)(?:\s+0x[0-9a-f]+){5}\s+([RWE ]{3})\s",
                          output("readelf", "--program-headers", "--wide", path), re.MULTILINE)
    kinds = [kind for kind, _ in segments]
    stack = [rights for kind, rights in segments if kind == "GNU_STACK"]
    if "DYN" not in header or "PIE" not in dynamic:
        yield "no position-independent executable"
    if "GNU_RELRO" not in kinds:
        yield "no RELRO: the linker's tables stay writable"
    if "BIND_NOW" not in dynamic and "NOW" not in dynamic:
        yield "RELRO is partial: symbols are bound late"
    if not stack or "E" in stack[0]:
        yield "the stack may be run"
    if any("W" in rights and "E" in rights for _, rights in segments):
        yield "a segment may be written and run"
    if "TEXTREL" in dynamic:
        yield "code is relocated in place"
    if "RPATH" in dynamic or "RUNPATH" in dynamic:
        yield "libraries are looked for in folders of the build"


def functions_of_ours(code):
    """Those with our namespace in their name. The libraries' archives were hard before us, so what
    is found in them says nothing about our flags."""
    functions = [text for text in re.split(r"\n\n(?=[0-9a-f]+ <)", code)
                 if re.match(r"[0-9a-f]+ <[^>]*9sallyport", text)]
    return "\n".join(functions)


def code_findings(path, optimised):
    """What only the instructions show."""
    code = output("objdump", "--disassemble", "--no-show-raw-insn", path)
    ours = functions_of_ours(code)
    if "<__stack_chk_fail" not in ours:
        yield "no stack protector"
    if optimised and not re.search(r"<__\w+_chk\b", ours):
        yield "no fortified calls"
    if platform.machine() != "x86_64":
        return
    main = re.search(r"<main>:\n[^\n]*\t(\w+)", code)
    if not main or main.group(1) != "endbr64":
        yield "functions begin without endbr64 (-fcf-protection)"
    # A frame of more than a page is touched page by page (-fstack-clash-protection).
    if not re.search(r"sub\s+\$0x1000,%rsp\n[^\n]*\t(?:orq|movq)\s+\$0x0,(?:0x\w+)?\(%rsp\)", ours):
        yield "large frames are not touched page by page"


def findings(path, optimised):
    yield from head_findings(path)
    yield from code_findings(path, optimised)


def main():
    path = sys.argv[1]
    found = list(findings(path, "--optimised" in sys.argv))
    for finding in found:
        print(f"{path}: {finding}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
