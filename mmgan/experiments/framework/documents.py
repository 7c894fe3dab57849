"""The paper's numbers next to ours, as Markdown, and documents with tables made from results.json.

python -m mmgan.experiments.framework.documents docs/reproduction/*.md results
"""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mmgan.errors import UserError
from mmgan.experiments.catalogue import EXPERIMENTS
from mmgan.experiments.framework.costs import costs, costs_table
from mmgan.experiments.framework.results import FILE, ExperimentResult, read_result
from mmgan.experiments.framework.tables import markdown_table
from mmgan.storage import write_atomically

HEADER = ("what", "the paper", "here", "n", "difference [95 % interval]", "verdict")
MARKER = re.compile(r"(<!-- result: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def read_results(folder: Path) -> dict[str, ExperimentResult]:
    """All results in the folders in `folder`, by the folder's name, in the order of the catalogue."""
    names = list(EXPERIMENTS)
    paths = sorted(
        folder.glob(f"*/{FILE}"),
        key=lambda path: (names.index(path.parent.name.removesuffix("-paper").removesuffix("-quick")), path),
    )
    return {path.parent.name: read_result(path) for path in paths}


def markdown(result: ExperimentResult, figures: str | None = None) -> str:
    """The table of one experiment, its cost and notes, and its figures if `figures` names their folder."""
    rows = [(f.what, f.paper or "–", f.ours, str(f.n), f.interval or "–", f.verdict) for f in result.findings]
    origin = f"`{result.command}`, {_duration(result.wall_seconds)} ({_duration(result.cpu_seconds)} of CPU time) on"
    lines = [
        *markdown_table(HEADER, rows),
        "",
        f"{origin} {result.machine}, torch {result.versions['torch']}, commit {result.commit or 'unknown'}.",
        *(f"\n* {note}" if i == 0 else f"* {note}" for i, note in enumerate(result.notes)),
    ]
    if figures is not None:
        lines += [f"\n![{EXPERIMENTS[result.name].reproduces}]({figures}/{name})" for name in result.figures]
    return "\n".join(lines)


def overview(results: Sequence[ExperimentResult]) -> str:
    """One line per experiment: the numbers of findings that agree and that do not."""
    kinds = ("agrees", "undecided", "disagrees")
    rows = [
        (
            f"`{r.name}`",
            EXPERIMENTS[r.name].reproduces,
            *(str(sum(f.verdict == kind for f in r.findings)) for kind in kinds),
        )
        for r in results
    ]
    return "\n".join(markdown_table(("experiment", "reproduces", *kinds), rows))


def write_comparison(folder: Path) -> Path:
    """Write comparison.md with all results in the folder except quick ones."""
    results = {name: r for name, r in read_results(folder).items() if not r.quick}
    sections = [f"## {name}\n\n{markdown(result, name)}" for name, result in results.items()]
    path = folder / "comparison.md"
    title = "# The paper's numbers and ours (`mmgan reproduce`)"
    write_atomically(path, "\n\n".join([title, overview(list(results.values())), *sections]) + "\n")
    return path


def fill(document: str, results: dict[str, ExperimentResult], folder: str) -> str:
    """Rebuild the sections of a document between `<!-- result: NAME -->` and `<!-- end -->`.

    NAME is a folder of results, the same with "-summary" for the table that stands in a result's values, "overview", or
    "costs" for the experiments not run at the paper's scale. For an experiment without a result the section says so.

    Args:
        document: Markdown.
        results: by the folder's name.
        folder: of the results, for the document's links.

    Raises:
        UserError: for any other name.
    """

    def section(match: re.Match[str]) -> str:
        name = match["name"]
        if name == "costs":
            text = costs_table(costs())
        elif name == "overview":
            text = overview(list(results.values()))
        elif name in results:
            text = markdown(results[name], f"{folder}/{name}")
        elif (of := name.removesuffix("-summary")) in results and "summary" in results[of].values:
            table = results[of].values["summary"]
            text = "\n".join(markdown_table(table["header"], table["rows"]))
        elif name.removesuffix("-summary") in EXPERIMENTS:
            text = "Not run at this scale yet."
        else:
            raise UserError(f"the document wants the result '{name}'; those at hand are {', '.join(results) or 'none'}")
        return f"{match[1]}{text}\n{match[3]}"

    return MARKER.sub(section, document)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    *documents, folder = map(Path, sys.argv[1:])
    results = read_results(folder)
    for document in documents:
        link = os.path.relpath(folder, document.parent)
        write_atomically(document, fill(document.read_text(encoding="utf-8"), results, link))
