#!/usr/bin/env python3
"""Copies a source file with a fault planted in it.

    plant.py SOURCE COPY OLD NEW     replaces OLD, which must stand in SOURCE exactly once
"""

import sys


def main():
    source, copy, old, new = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        text = file.read()
    if text.count(old) != 1:
        sys.exit(f"plant.py: {text.count(old)} times in {source}: {old}")
    with open(copy, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))


if __name__ == "__main__":
    main()
