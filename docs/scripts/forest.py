"""Draw the forest plot of docs/reproduction: every effect of results/ with its interval, one line an effect.

python docs/scripts/forest.py        # writes docs/images/forest.svg

An effect is a paired difference between two arms, in units of its own standard deviation over seeds, so that
percentages, nats and scores share one axis. The side that the paper claims is drawn to the left.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure
from scipy import stats

from mmgan.experiments.catalogue import EXPERIMENTS
from mmgan.experiments.framework.documents import read_results
from mmgan.experiments.framework.outcome import Finding

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs/images/forest.svg"
COLOURS = {"agrees": "#1b7f5c", "undecided": "#9a9a9a", "disagrees": "#c0392b"}
INTERVAL = re.compile(r"([+-]?[\d.]+) \[([+-]?[\d.]+), ([+-]?[\d.]+)\]")
NUMBER = r"-?\d*\.?\d+"


class Effect(NamedTuple):
    """A paired difference in its own standard deviations, negative on the paper's side, with its 95 % interval."""

    experiment: str
    verdict: str
    middle: float
    low: float
    high: float


def effects(folder: Path) -> list[Effect]:
    """Every finding with an interval and a claim of the paper, in the order of the catalogue."""
    found = []
    for name, result in read_results(folder).items():
        for finding in result.findings:
            match = INTERVAL.match(finding.interval)
            if match is None or not finding.paper or finding.verdict not in COLOURS:
                continue
            asked = re.search(r"at least (\d+) asked", finding.what)
            middle, low, high = (float(text) - float(asked[1] if asked else 0) for text in match.groups())
            deviation = (high - low) / 2 * finding.n**0.5 / stats.t.ppf(0.975, finding.n - 1)
            side = 1 if claims_lower(finding) else -1
            ends = sorted((side * low / deviation, side * high / deviation))
            found.append(Effect(name, finding.verdict, side * middle / deviation, *ends))
    return found


def claims_lower(finding: Finding) -> bool:
    """Whether the paper has the first arm lower: by the verdict, or where it is undecided by the paper's words."""
    return words_claim_lower(finding) if finding.verdict == "undecided" else verdict_claims_lower(finding)


def words_claim_lower(finding: Finding) -> bool:
    """By the paper's two numbers, else by its words. The tests hold this to the verdicts of all decided findings."""
    numbers = re.match(rf"({NUMBER})[^,]*? against ({NUMBER})", finding.paper)
    if numbers:
        return float(numbers[1]) < float(numbers[2])
    return re.search("farther|wider|higher|falls", finding.paper) is None and ": IS, " not in finding.what


def verdict_claims_lower(finding: Finding) -> bool:
    """What the verdict and the sign of a decided difference say together."""
    match = INTERVAL.match(finding.interval)
    assert match is not None
    asked = re.search(r"at least (\d+) asked", finding.what)
    below = float(match[1]) < float(asked[1] if asked else 0)
    return below == (finding.verdict == "agrees")


def digest(found: list[Effect]) -> str:
    """Of the drawn numbers; the figure carries it, so that a test sees a figure that results/ has left behind."""
    return hashlib.sha256(repr([(*e[:2], *(round(x, 3) for x in e[2:])) for e in found]).encode()).hexdigest()[:16]


def draw(found: list[Effect]) -> Figure:
    """One band an experiment, its effects from the strongest agreement to the strongest disagreement."""
    groups = {name: sorted((e for e in found if e.experiment == name), key=lambda e: e.middle) for name in EXPERIMENTS}
    groups = {name: group for name, group in groups.items() if group}
    figure = Figure(figsize=(8.2, 9.0), layout="constrained")
    axes = figure.subplots()
    y = 0.0
    for band, (name, group) in enumerate(groups.items()):
        top = y - 0.5
        for effect in group:
            colour = COLOURS[effect.verdict]
            axes.plot([effect.low, effect.high], [y, y], color=colour, linewidth=1.1, solid_capstyle="butt")
            axes.plot(effect.middle, y, "o", color=colour, markersize=2.4)
            y += 1
        if band % 2 == 0:
            axes.axhspan(top, y - 0.5 + 1, color="#f3f3f3", zorder=0, linewidth=0)
        counts = [sum(e.verdict == kind for e in group) for kind in COLOURS]
        middle = (top + y + 0.5) / 2
        axes.text(-0.015, middle, name, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=9)
        text = " / ".join(map(str, counts))
        axes.text(1.015, middle, text, transform=axes.get_yaxis_transform(), ha="left", va="center", fontsize=9)
        y += 2
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xscale("asinh", linear_width=2)
    axes.set(ylim=(y - 1, -1.5), yticks=[], xticks=[-100, -30, -10, -3, 0, 3, 10, 30], xlim=(-150, 40))
    axes.set_xticklabels([str(abs(int(x))) for x in axes.get_xticks()])
    axes.minorticks_off()
    axes.set_xlabel("paired difference in its own standard deviations over seeds, with 95 % interval")
    for spine in ("left", "right", "top"):
        axes.spines[spine].set_visible(False)
    for x, side, ha in ((0.0, "← as the paper says", "left"), (1.0, "against the paper →", "right")):
        axes.text(x, 1.008, side, transform=axes.transAxes, ha=ha, fontsize=10, weight="bold")
    for kind, colour in COLOURS.items():
        axes.plot([], [], "o-", color=colour, markersize=3, label=kind)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def main() -> None:
    """Write the figure."""
    found = effects(ROOT / "results")
    with rc_context({"svg.hashsalt": "mmgan", "font.family": "DejaVu Sans", "svg.fonttype": "path"}):
        draw(found).savefig(OUT, metadata={"Date": None, "Description": digest(found)}, facecolor="white")
    decided = {kind: sum(e.verdict == kind for e in found) for kind in COLOURS}
    print(f"{OUT.relative_to(ROOT)}: {len(found)} effects, {decided}")


if __name__ == "__main__":
    main()
