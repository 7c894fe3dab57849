"""Render the speed table as Markdown and put it into a Markdown file.

    python benchmarks/table.py README.md docs/performance.md

It replaces the text between `<!-- speed:begin FILE.json -->` and `<!-- speed:end -->`. `benchmarks/run.py` wrote
FILE.json, and its path is relative to the Markdown file. `<!-- speed:begin FILE.json headlines -->` shows the few rows
that the README has.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MARKED = re.compile(r"(<!-- speed:begin (\S+)( headlines)? -->\n)(.*?)(<!-- speed:end -->)", re.DOTALL)


def render(parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Render one line per figure: name, value with its interval, its arithmetic, target, verdict."""
    names = ("what", "measured", "95 % interval", "arithmetic", "target", "verdict")
    lines = [f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]
    for row in (row for rows in parts.values() for row in rows):
        low_high = "" if row["interval"] is None else " to ".join(number(value) for value in row["interval"])
        verdict = "" if row["verdict"] == "none" else row["verdict"]
        measured = f"{number(row['value'])} {row['unit']}".strip()
        cells = (row["what"], measured, low_high, row["arithmetic"], target(row), verdict)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def caption(found: Mapping[str, Any]) -> str:
    """Where, with what and how long the figures were measured."""
    where = found["gpu"] or found["processor"]
    minutes = sum(found["seconds"].values()) / 60
    return f"Commit {found['commit']}; {where}; torch {found['torch']}; {minutes:.0f} minutes."


def target(row: Mapping[str, Any]) -> str:
    sides = [("at least", row["at_least"]), ("at most", row["at_most"])]
    return ", ".join(f"{word} {number(value)}" for word, value in sides if value is not None)


def number(value: float) -> str:
    """Format four significant digits without an exponent. Integers keep all their digits."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.4g}".rstrip(".") if abs(value) >= 1e-4 else f"{value:.2g}"


def fill(text: str, folder: Path) -> str:
    """Return the Markdown text with a new table in each marked place."""

    def table(place: re.Match[str]) -> str:
        begin, name, headlines, _, end = place.groups()
        found = json.loads((folder / name).read_text())
        parts = found["parts"]
        if headlines:
            parts = {part: [row for row in rows if row["headline"]] for part, rows in parts.items()}
        return f"{begin}{caption(found)}\n\n{render(parts)}{end}"

    return MARKED.sub(table, text)


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(fill(file.read_text(), file.parent))
