#!/usr/bin/python3
"""lengths.py RULES OPTIONS...: what nanopb is told of lengths is what the schema promises of them."""

import re
import sys
from pathlib import Path


def promised(rules):
    """max_bytes by full name."""
    found = {}
    for line in Path(rules).read_text().splitlines():
        match = re.match(r"\s*(\S+).*\bmax_bytes[=: ]+(\d+)", line)
        if match:
            found[match[1]] = int(match[2])
    return found


def main(rules, *files):
    known = promised(rules)
    n_checked, wrong = 0, []
    for file in files:
        for line in Path(file).read_text().splitlines():
            match = re.match(r"(\S+)\s.*\bmax_length:(\d+)", line)
            if match and not line.startswith("#"):
                n_checked += 1
                if known.get(match[1]) != int(match[2]):
                    wrong.append(f"{file}: {match[1]} is {match[2]}, the rule is {known.get(match[1])}")
    print("\n".join(wrong) or f"{n_checked} lengths agree with the rules")
    return 1 if wrong or not n_checked else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
