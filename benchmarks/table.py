"""Render the speed table as Markdown and put it into a Markdown file.

    python benchmarks/table.py README.md

It replaces the text between `<!-- speed:begin FILE.json -->` and `<!-- speed:end -->`. `benchmarks/run.py` wrote
FILE.json, and its path is relative to the Markdown file.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MARKED = re.compile(r"(<!-- speed:begin (\S+) -->\n)(.*?)(<!-- speed:end -->)", re.DOTALL)


def render(parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Render one line per figure: name, value with its interval, target, verdict."""
    lines = ["| what | measured | 95 % interval | target | verdict |", "| --- | --- | --- | --- | --- |"]
    for row in (row for rows in parts.values() for row in rows):
        low_high = "" if row["interval"] is None else " to ".join(number(value) for value in row["interval"])
        verdict = "" if row["verdict"] == "none" else row["verdict"]
        measured = f"{number(row['value'])} {row['unit']}".strip()
        lines.append(f"| {row['what']} | {measured} | {low_high} | {target(row)} | {verdict} |")
    return "\n".join(lines) + "\n"


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
        begin, name, _, end = place.groups()
        return f"{begin}{render(json.loads((folder / name).read_text())['parts'])}{end}"

    return MARKED.sub(table, text)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(fill(file.read_text(), file.parent))
