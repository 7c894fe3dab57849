"""The forest plot of docs/reproduction shows what results/ holds, on the right side."""

import re
from pathlib import Path

import pytest

from docs.scripts.forest import OUT, Effect, digest, draw, effects, verdict_claims_lower, words_claim_lower
from mmgan.experiments.framework.documents import read_results

pytestmark = pytest.mark.slow(2)

RESULTS = Path(__file__).parents[2] / "results"
FOUND = effects(RESULTS)


def test_the_figure_is_that_of_the_results() -> None:
    assert digest(FOUND) in OUT.read_text(encoding="utf-8"), "make tables"


def test_agreements_lie_left_and_disagreements_right() -> None:
    for effect in FOUND:
        assert effect.low <= effect.middle <= effect.high
        if effect.verdict == "agrees":
            assert effect.high < 0
        elif effect.verdict == "disagrees":
            assert effect.low > 0
        else:
            assert effect.low <= 0 <= effect.high


def test_the_paper_s_words_say_what_the_verdicts_say() -> None:
    """An undecided finding has no verdict to read the paper's side from."""
    decided = [
        finding
        for result in read_results(RESULTS).values()
        for finding in result.findings
        if finding.verdict in ("agrees", "disagrees") and finding.interval and finding.paper
    ]
    assert len(decided) > 80
    wrong = [f.what for f in decided if words_claim_lower(f) != verdict_claims_lower(f) and f.paper[:2] != "NA"]
    assert not wrong


def test_an_effect_is_in_its_own_deviations() -> None:
    """Fashion-MNIST's FID with 1,2,pixel: -0.133 [-0.246, -0.020] over 16 seeds, so t(15) = 2.1314."""
    deviation = 0.113 * 4 / 2.1314
    assert any(effect.middle == pytest.approx(-0.133 / deviation, rel=1e-3) for effect in FOUND)


def test_every_drawn_effect_has_a_line() -> None:
    found = [Effect("gan", "agrees", -1.0, -2.0, -0.5), Effect("spiral", "undecided", 0.1, -0.5, 0.7)]
    axes = draw(found).axes[0]
    ends = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
    assert {(-2.0, -0.5), (-0.5, 0.7)} <= set(ends)
    assert re.search("1 / 0 / 0", " ".join(text.get_text() for text in axes.texts))
