"""What the figures of a page show, against an independent reading of the run's files."""

import json
import statistics
from pathlib import Path

import pytest

from mmgan.mixing import PermutationPolicy, RealFakePolicy
from mmgan.report import write_report
from mmgan.runs.folder import RunFolder
from tests.support.pages import Page, read_page
from tests.support.report_runs import classifier_run, gan_run, manifest


def page_of(folder: RunFolder) -> Page:
    return read_page(write_report(folder))


def lines_of(folder: RunFolder) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]


def test_the_losses_are_those_of_metrics(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "run", steps=400)
    page, rows = page_of(folder), lines_of(folder)
    styles = {"loss_d": ("Losses", "c0"), "loss_g": ("Losses", "c1")}
    terms = "Terms of the discriminator's loss"
    styles |= {"loss_d_real": (terms, "c0"), "loss_d_fake": (terms, "c1"), "loss_d_mixed": (terms, "c2")}
    for name, (title, style) in styles.items():
        expected = [
            (group[-1]["step"], statistics.fmean(row[name] for row in group))
            for group in (rows[at : at + 4] for at in range(0, 400, 4))
        ]
        drawn = page.figures[title].polyline(style)
        assert drawn == [(pytest.approx(x, abs=1.5), pytest.approx(y, abs=0.02)) for x, y in expected], name
    assert "Lines: means of 4 steps each; bands: their range." in page.figures["Losses"].text
    assert page.figures["Losses"].words[1:3] == ["discriminator, all terms", "generator"]


def test_a_short_run_shows_each_step(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "run", steps=30)
    drawn = page_of(folder).figures["Losses"]
    assert [round(x) for x, _ in drawn.polyline("c0")] == list(range(1, 31))
    assert "Each step." in drawn.words
    assert "mean" not in drawn.text
    assert not [tag for tag, _ in drawn.shapes if tag == "polygon"]


def test_each_regularizer_has_a_figure_with_the_steps_at_which_it_was_due(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "run", steps=40, done=0)
    rows = [{"step": i, "images": i, "layers": ["1"], "loss_d": 1.0, "lecam": 2.0 + i} for i in range(1, 41)]
    folder.append_metrics(row | ({"r1": row["step"] / 10} if row["step"] % 8 == 1 else {}) for row in rows)
    page = page_of(folder)
    r1 = page.figures["Regularizer r1"].polyline("c0")
    assert r1 == [pytest.approx((x, x / 10), abs=0.15) for x in (1, 9, 17, 25, 33)]
    assert len(page.figures["Regularizer lecam"].polyline("c0")) == 40
    assert "Regularizer r2" not in page.figures


def test_the_loss_of_mixed_rows_begins_where_mixing_does(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "run", steps=40, done=0)
    folder.append_metrics(
        {
            "step": i,
            "images": i,
            "layers": ["1" if i > 20 else "none"],
            "loss_d_real": 1.0,
            "loss_d_mixed": i / 40 * (i > 20),
        }
        for i in range(1, 41)
    )
    drawn = page_of(folder).figures["Terms of the discriminator's loss"].polyline("c1")
    assert [round(x) for x, _ in drawn] == list(range(21, 41))


def test_scores_have_their_intervals(tmp_path: Path) -> None:
    ends = {"frechet_distance": [25.0, 36.0], "frechet_inception_distance": [25.0, 36.0]}
    history = [manifest(30.0, step=200, intervals=ends), manifest(20.0, step=400, intervals=ends)]
    page = page_of(gan_run(tmp_path / "run", history=history))
    figure = page.figures["FD (classifier:digits) by step"]
    assert figure.polyline("c0") == [pytest.approx(at, abs=0.5) for at in ((200, 30), (400, 20))]
    bars = [at for tag, at in figure.shapes if tag == "line"]
    assert [figure.value("y", float(at[end])) for at in bars for end in ("y1", "y2")] == pytest.approx(
        [25, 36] * 2, abs=0.2
    )
    assert "Bars: 95 % intervals." in figure.words
    assert page.row("last, also best")[3] == "20.000 [25.000, 36.000]"
    assert "95 % intervals over the samples, not over seeds" in page.text
    of_class = page.figures["class score by step"]
    assert "Bars: deviation over splits or subsets." in of_class.words


@pytest.mark.parametrize(("lam", "alpha"), [("uniform", 0.5), ("beta", 0.4), ("folded-beta", 2.0)])
def test_the_histogram_holds_the_lam_that_the_policy_draws(tmp_path: Path, lam: str, alpha: float) -> None:
    folder = gan_run(tmp_path / "run", steps=30, lam=lam, alpha=alpha, done=0, seed=5)
    layers = [["none", "1"]] + [["1", "2"]] * 29  # the first discriminator step mixed nothing
    folder.append_metrics({"step": i + 1, "images": 1, "layers": row} for i, row in enumerate(layers))
    policy = RealFakePolicy("1,2,pixel", alpha, lam)  # type: ignore[arg-type]
    drawn = [float(value) for step in range(1, 60) for value in policy.draw(32, step, seed=5).lam]
    shares = [100 * sum(k / 20 <= value < (k + 1) / 20 for value in drawn) / len(drawn) for k in range(20)]
    figure = page_of(folder).figures["Mixing coefficients lam"]
    found = [float(at["height"]) for tag, at in figure.shapes if tag == "rect"]
    base = max(float(at["y"]) + float(at["height"]) for tag, at in figure.shapes if tag == "rect")
    values = [figure.value("y", base - height) for height in found]
    assert values == pytest.approx(shares, abs=0.15)
    assert f"{59 * 32:,} values" in figure.text
    law = [y for _, y in figure.polyline("c0")]
    assert sum(law) == pytest.approx(100, abs=1.5)
    assert law == pytest.approx(shares, abs=3)  # another computation: the law's own integral


def test_lam_of_a_classifier_is_one_a_batch(tmp_path: Path) -> None:
    folder = classifier_run(tmp_path / "run", lam="beta", per="batch", layer_per="batch")
    figure = page_of(folder).figures["Mixing coefficients lam"]
    assert "40 values" in figure.text
    lams = [float(PermutationPolicy("1,2,pixel", 2.0).draw_groups(100, step, 0)[0].lam[0]) for step in range(40)]
    below = [at for tag, at in figure.shapes if tag == "rect" and float(at["height"]) > 0]
    assert len(below) == len({int(20 * value) for value in lams})


def test_lam_that_is_learned_has_no_histogram(tmp_path: Path) -> None:
    figure = page_of(classifier_run(tmp_path / "run", mix="pixel", lam="adamix")).figures["Mixing coefficients lam"]
    assert "lam is learned in this run" in figure.text


def test_speed_is_images_over_seconds_of_each_process(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "run", steps=400)  # 64 images a step
    times = [(0, 0.0), (100, 10.0), (200, 30.0), (100, 0.0), (200, 5.0), (400, 25.0)]
    text = "".join(json.dumps({"step": step, "seconds": seconds}) + "\n" for step, seconds in times)
    (folder.path / "times.jsonl").write_text(text + '{"step": 4')
    page = page_of(folder)
    expected = [(100, 640), (200, 320), (200, 1280), (400, 640)]
    assert page.figures["Images per second"].polyline("c0") == [pytest.approx(at, rel=0.02, abs=5) for at in expected]
    at = page.words.index("time in training")
    assert page.words[at : at + 4] == ["time in training", "55.0 s", "begun or resumed", "2 times"]


@pytest.mark.parametrize("value", [1e308, -1e308, 1e-308, 0.0])
def test_numbers_of_any_size_make_a_page(tmp_path: Path, value: float) -> None:
    folder = gan_run(tmp_path / "run", steps=300, done=0, history=[manifest(abs(value), step=200), manifest(3.0)])
    rows = [{"step": i, "images": i, "layers": ["1"], "loss_d": value if i % 3 else 1.0} for i in range(1, 301)]
    folder.append_metrics(rows)
    (folder.path / "times.jsonl").write_text('{"step": 0, "seconds": 0}\n{"step": 300, "seconds": 1e-9}\n')
    text = write_report(folder).read_text()
    assert "nan" not in text
    assert '"inf' not in text


@pytest.mark.parametrize("config", [{"alpha": 3.0}, {"batch_size": 2**40}, {"accumulate": 0}])
def test_lam_that_cannot_be_drawn_again_is_left_out(tmp_path: Path, config: dict[str, float]) -> None:
    folder = gan_run(tmp_path / "run", steps=10, **config)
    assert "They cannot be drawn again: " in page_of(folder).figures["Mixing coefficients lam"].text
