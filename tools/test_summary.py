#!/usr/bin/python3
"""Counts the cases of the last `bazel test` and prints one line: N passed, N failed, N skipped.

Reads bazel-testlogs. A C++ test lists its cases there; a script without a list is one case.
Exits 1 when a case failed or none was found.
"""

import pathlib
import sys
import xml.etree.ElementTree


def count(root: pathlib.Path) -> tuple[int, int, int]:
    """Passed, failed and skipped cases of all test.xml files under `root`."""
    passed = failed = skipped = 0
    for path in sorted(root.rglob("test.xml")):
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif (case.get("result") in ("skipped", "suppressed")
                  or case.find("skipped") is not None):
                skipped += 1
            else:
                passed += 1
    return passed, failed, skipped


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "bazel-testlogs")
    passed, failed, skipped = count(root.resolve())
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
