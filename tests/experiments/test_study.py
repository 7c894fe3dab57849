"""The study of regularizers: its plan, its rows, its statistics; and a whole study on made-up runs."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan.analysis.power import pairs_needed
from mmgan.analysis.several import holm, paired_p_value
from mmgan.errors import UserError
from mmgan.experiments.framework.outcome import Place
from mmgan.experiments.study import study
from mmgan.experiments.study.arms import ARMS, DIFFAUGMENT, MIX, NONE, candidates
from mmgan.experiments.study.effects import effects, measures
from mmgan.experiments.study.plan import Plan, Planned
from mmgan.experiments.study.protocol import TIMM, Protocol, protocol_of
from mmgan.experiments.study.rows import Row, append_row, kept_settings, read_rows
from mmgan.experiments.study.runs import batches, keep_samples
from mmgan.runs.folder import RunFolder
from mmgan.runs.pictures import save_grid


def place(folder: Path, **more: Any) -> Place:
    return Place("cpu", False, folder, folder / "runs", "data", 1, lambda _: None, **more)


@pytest.fixture
def protocol(tmp_path: Path) -> Protocol:
    return protocol_of(place(tmp_path, extractor_weights="somewhere/weights"))


def row(planned: Planned, fd: float, cpu_seconds: float = 60.0) -> Row:
    """A finished run whose FD is made up, of test and validation alike."""
    curve = [{"step": step, "fd": fd + 200 / step, "kid": 0.1, "recall": 0.2, "r": 0.01 * step} for step in (1, 2, 3)]
    scores = {"digest": "d", "fd": fd, "kid": fd / 1000, "recall": 0.3, "precision": 0.5, "class_score": 2.0}
    return Row(
        **{name: getattr(planned, name) for name in ("phase", "arm", "images", "seed")},
        settings=kept_settings(planned.settings),
        commit="0123456789",
        machine="a machine",
        versions={"torch": "2"},
        curve=curve,
        best_step=3,
        test={TIMM: scores},
        cpu_seconds=cpu_seconds,
    )


def made_up(planned: Planned) -> float:
    """Lower with DiffAugment at little data and with a weight of 1; a part of the seed that arms share."""
    words = (planned.arm, planned.images, planned.seed, sorted(kept_settings(planned.settings).items()))
    noise = np.random.default_rng(zlib.crc32(str(words).encode())).normal()
    shared = np.random.default_rng(planned.seed).normal() * 20
    gain = 30 if "diffaugment" in planned.settings and planned.images == 1000 else 0
    return 150.0 + shared + 2 * noise - gain + (5 if planned.settings.get("mix_weight") == 0.3 else 0)


def test_every_arm_has_as_large_a_search(protocol: Protocol) -> None:
    for arm in ARMS.values():
        tries = [tuple(sorted(of.items())) for of in candidates(arm, protocol.rates)]
        assert len(set(tries)) == 4
    seeds = [*protocol.pilot_seeds, protocol.search_seed, *protocol.main_seeds]
    assert len(set(seeds)) == len(seeds)
    plan = Plan(protocol, [])
    assert (len(plan.pilot()), len(plan.search(first=True)), len(plan.search(first=False))) == (12, 48, 48)
    assert plan.main(first=True) == []


def test_the_pilot_decides_the_number_of_seeds(protocol: Protocol) -> None:
    rng = np.random.default_rng(0)
    rows = [row(one, 100 + 3.5 * rng.normal()) for one in Plan(protocol, []).pilot()]
    plan = Plan(protocol, rows)
    needed = []
    for images in protocol.sizes:
        by_arm = {
            arm: [plan.test_fd(r) for r in rows if (r.arm, r.images) == (arm, images)] for arm in (NONE, MIX)
        }  # rows are in the order of the seeds
        sd = float(np.std(np.subtract(by_arm[MIX], by_arm[NONE]), ddof=1))
        needed.append(pairs_needed(0.05 * float(np.mean(by_arm[NONE])), sd))
        assert plan.needed(images) == needed[-1]
    assert plan.main_seeds() == tuple(range(min(8, max(5, *needed))))
    assert Plan(protocol, rows[:-1]).main_seeds() is None


def test_the_lowest_validation_fd_is_chosen(protocol: Protocol) -> None:
    tries = [one for one in Plan(protocol, []).search(first=True) if (one.arm, one.images) == (MIX, 1000)]
    rows = [row(one, fd) for one, fd in zip(tries, (9, 7, 8, 10), strict=True)]
    assert Plan(protocol, rows).chosen(MIX, 1000) == candidates(ARMS[MIX], protocol.rates)[1]
    assert Plan(protocol, rows[1:]).chosen(MIX, 1000) is None
    assert Plan(protocol, rows).chosen(MIX, 20_000) is None


def test_a_row_of_other_settings_is_refused(protocol: Protocol) -> None:
    one = Plan(protocol, []).pilot()[0]
    assert "extractor_weights" in one.settings
    assert Plan(protocol, [row(one, 1.0)]).row_of(replace(one, settings={**one.settings, "data": "elsewhere"}))
    with pytest.raises(UserError, match=r"seed 800 \(pilot\) with other settings"):
        Plan(protocol, [row(one, 1.0)]).row_of(replace(one, settings={**one.settings, "steps": 601}))


def test_rows_come_back_and_damage_is_told(protocol: Protocol, tmp_path: Path) -> None:
    path, rows = tmp_path / "rows.jsonl", [row(one, 1.5) for one in Plan(protocol, []).pilot()[:2]]
    assert read_rows(path) == []
    for one in rows:
        append_row(path, one)
    assert [asdict(one) for one in read_rows(path)] == [asdict(one) for one in rows]
    assert "somewhere" not in path.read_text()
    path.write_text(path.read_text() + '{"phase": "pilot"}\n')
    with pytest.raises(UserError, match=r"rows\.jsonl, line 3, is not a finished run"):
        read_rows(path)


def test_runs_of_a_batch_share_their_seed(protocol: Protocol) -> None:
    planned = Plan(protocol, []).pilot()
    assert [len(batch) for batch in batches(planned, 3)] == [3, 1] * 3
    assert [one for batch in batches(planned, 3) for one in batch] == planned


def test_effects_by_hand(protocol: Protocol) -> None:
    rng, fds, rows = np.random.default_rng(1), {}, []
    for arm in (NONE, MIX, DIFFAUGMENT):
        for images in protocol.sizes:
            fds[arm, images] = list(100 + rng.normal(size=5) - (3 if arm == DIFFAUGMENT else 0))
            rows += [
                row(Planned("main", arm, images, seed, {}), fd) for seed, fd in reversed([*enumerate(fds[arm, images])])
            ]
    found = effects(rows, (NONE, MIX, DIFFAUGMENT), protocol.sizes, measures([TIMM])[:1])
    pairs = [(MIX, NONE), (DIFFAUGMENT, NONE), (MIX, DIFFAUGMENT)]
    keys = [(arm, against, images) for arm, against in pairs for images in protocol.sizes]
    assert [(e.arm, e.against, e.images) for e in found] == keys
    wanted = holm([paired_p_value(fds[arm, n], fds[against, n]) for arm, against, n in keys])
    assert [e.p for e in found] == pytest.approx(wanted)
    assert f"Holm p {wanted[2]:.3f}" in found[2].finding.interval
    for e in found:
        better = "better" if e.difference.mean < 0 else "worse"
        assert e.holm_verdict == (better if e.p <= 0.05 else "undecided")


def test_the_strip_is_the_first_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    folder = RunFolder(tmp_path)
    folder.samples.mkdir()
    save_grid(images, folder.samples / "step-00000600.png")
    monkeypatch.setattr("mmgan.experiments.study.runs.find_checkpoint", lambda *_: tmp_path)
    monkeypatch.setattr("mmgan.experiments.study.runs.read_facts", lambda _: {"image_size": 32})
    keep_samples(folder, tmp_path / "strip.png")
    strip = torch.from_numpy(np.array(Image.open(tmp_path / "strip.png"))).permute(2, 0, 1)  # (3, 32, 320)
    assert torch.equal(strip, torch.cat(list(images[:10]), dim=2))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Planned]:
    """The runs that were asked for; none of them is trained."""
    asked: list[Planned] = []

    def run_batch(place: Place, protocol: Protocol, batch: Sequence[Planned]) -> list[tuple[Row, None]]:
        asked.extend(batch)
        return [(row(one, made_up(one)), None) for one in batch]

    def keep(folder: None, path: Path) -> None:
        Image.new("RGB", (320, 32), (90, 120, 150)).save(path)

    monkeypatch.setattr(study, "run_batch", run_batch)
    monkeypatch.setattr(study, "check_inputs", lambda *_: None)
    monkeypatch.setattr(study, "keep_samples", keep)
    return asked


@pytest.mark.slow(6)
def test_a_whole_study_goes_on_where_it_stopped(trained: list[Planned], tmp_path: Path) -> None:
    outcome = study.run(place(tmp_path, minutes=0))
    assert trained == []
    assert [f.ours for f in outcome.findings] == ["0 of 228"]
    outcome = study.run(place(tmp_path))
    phases = [one.phase for one in trained]
    assert phases[:60] == ["pilot"] * 12 + ["search"] * 48
    assert len({(o.phase, o.arm, o.images, o.seed, str(o.settings)) for o in trained}) == len(trained)
    seeds = phases.count("main") / 24
    assert 5 <= seeds <= 8
    lines = {f.what: f for f in outcome.findings}
    little = lines[f"1,000 images: FD ({TIMM}), DiffAugment against none"]
    assert little.verdict == "no number to compare with"
    assert little.interval.endswith("better")
    mixing = lines[f"1,000 images: FD ({TIMM}), mix 1,2,pixel against none"]
    assert mixing.paper == "lower (Appendix E)"
    assert mixing.verdict != "no number to compare with"
    assert len(outcome.values["summary"]["rows"]) == 24
    assert outcome.values["summary"]["rows"][1][3].startswith("mix_weight 1.0")
    for figure in outcome.figures:
        assert (tmp_path / figure).stat().st_size <= 150_000

    count, path = len(trained), tmp_path / study.ROWS
    study.run(place(tmp_path, minutes=0))
    path.write_text("".join(f"{line}\n" for line in path.read_text().splitlines()[:-3]))
    study.run(place(tmp_path))
    assert len(trained) == count + 3
    assert trained[-3:] == trained[count - 3 : count]
    json.dumps(outcome.values, allow_nan=False)


def test_no_run_begins_beyond_the_budget(trained: list[Planned], protocol: Protocol, tmp_path: Path) -> None:
    one = Plan(protocol, []).pilot()[0]
    append_row(tmp_path / study.ROWS, row(one, 100.0, cpu_seconds=12 * 3600 - 90))
    study.run(place(tmp_path, extractor_weights="somewhere/weights"))
    assert len(trained) == 2
