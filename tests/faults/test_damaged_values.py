"""Values of a wrong type anywhere in scores.json, metrics.jsonl and config.yaml end in one line."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmgan.config.classifier import ClassifierConfig
from mmgan.config.gan import GanConfig
from mmgan.config.parse import flat
from mmgan.errors import UserError
from mmgan.gan.run import summary as gan_summary
from mmgan.report import compare, write_report
from mmgan.runs.folder import RunFolder
from mmgan.runs.structure import digest_of, scores_fault
from mmgan.runs.trained import read_run_config
from mmgan.supervised.run import summary as classifier_summary
from mmgan.sweeps.definition import Run
from mmgan.sweeps.state import find_state
from tests.support.report_runs import classifier_entry, classifier_run, gan_run, manifest

JUNK: list[Any] = [None, True, -1, 2.5, "x", [], {}, [[1]], {"a": {"b": None}}, float("nan"), 10**400]


@pytest.fixture(params=["gan", "classifier"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunFolder:
    if request.param == "gan":
        config = flat(GanConfig()) | {"steps": 20}
        return gan_run(tmp_path, history=[manifest(30.0, step=10), manifest(20.0, step=20)], **config)
    return classifier_run(tmp_path, last=classifier_entry(3.0), **flat(ClassifierConfig()))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to each value in a nest of objects and lists."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def replaced(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    result = copy.deepcopy(value)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = junk
    return result


def removed(value: dict[str, Any], path: tuple[Any, ...]) -> Any:
    result = copy.deepcopy(value)
    inner: Any = result
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return result


def use(folder: RunFolder) -> None:
    """What reads a run folder."""
    compare([folder, folder])
    if "n_dis" in folder.read_config():
        config = read_run_config(folder, GanConfig)
        gan_summary(folder, config.mix, config.training.steps, config.run.seed)
    else:
        classifier = read_run_config(folder, ClassifierConfig)
        classifier_summary(folder, classifier.mix, classifier.training.epochs, classifier.run.seed)
    write_report(folder)


def told_in_one_line(read: Callable[[], object], what: str) -> bool:
    """Whether it was refused; anything but one line is an error of the test."""
    said = ""
    try:
        read()
    except UserError as error:
        said = str(error)
    assert "\n" not in said
    assert not said or what in said
    return bool(said)


@pytest.mark.slow(4)
@pytest.mark.usefixtures("blank")
def test_every_value_of_the_scores(run: RunFolder) -> None:
    scores, refused, reads = run.read_scores(), 0, 0
    for path in places(scores):
        values = [replaced(scores, path, junk) for junk in JUNK] + ([removed(scores, path)] if path else [])
        for value in values:
            if value == scores:
                continue
            text = json.dumps(value)
            if isinstance(value, dict) and "NaN" not in text:
                value["digest"] = digest_of(value)  # as a forger would
            run.scores_file.write_text(json.dumps(value))
            if scores_fault(json.loads(text)) is None:
                reads += 1
                if reads % 4 == 0:  # pages take their time
                    told_in_one_line(lambda: use(run), "")
                else:
                    compare([run, run])
            else:
                refused += told_in_one_line(run.read_scores, "scores.json is damaged")
    assert refused > 400


def test_an_edited_score_is_refused(run: RunFolder) -> None:
    text = run.scores_file.read_text()
    assert run.read_scores()
    for old, new in (("20.0", "2.0"), ("3.0", "2.0")):
        if old in text:
            run.scores_file.write_text(text.replace(old, new))
            with pytest.raises(UserError, match="does not have the content it was written with"):
                run.read_scores()
    values = json.loads(text)
    run.scores_file.write_text(json.dumps(values, indent=7, sort_keys=True))  # a formatter is no editor
    assert run.read_scores()
    del values["digest"]  # as of an earlier version
    run.scores_file.write_text(json.dumps(values))
    assert run.read_scores() == values


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "3", "\x00", "[" * 100_000, '{"last": ' * 50_000, "\\ud800"])
def test_scores_that_are_no_scores(run: RunFolder, text: str) -> None:
    run.scores_file.write_bytes(text.encode())
    with pytest.raises(UserError, match=r"scores\.json is damaged"):
        run.read_scores()


@pytest.mark.usefixtures("blank")
def test_every_value_of_the_metrics(run: RunFolder) -> None:
    first, *rest = run.read_metrics()
    before = run.metrics_file.read_bytes()
    refused = 0
    for name in first:
        for junk in JUNK:
            if type(junk) is type(first[name]) or (junk == [] and name == "layers"):
                continue
            run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in [first | {name: junk}, *rest]))
            refused += told_in_one_line(run.read_metrics, "metrics.jsonl is damaged at line 1")
            run.cut_metrics(3)  # what a resume does
    run.metrics_file.write_bytes(before)
    assert refused > len(first) * 7
    for line in (b"[" * 100_000, b"\xff\xfe", b"null", b"[1]"):
        run.metrics_file.write_bytes(before + line + b"\n")
        assert told_in_one_line(lambda: use(run), f"metrics.jsonl is damaged at line {len(rest) + 2}")


@pytest.mark.slow(4)
@pytest.mark.usefixtures("blank")
def test_every_value_of_the_config(run: RunFolder) -> None:
    config = run.read_config()
    cls = GanConfig if "n_dis" in config else ClassifierConfig
    sweep_run = Run("arm", 0, run, run.path / "log", (), flat(cls()))
    refused = 0
    for name in config:
        for value in ({"a": 1}, 2.5, None):
            run.config_file.write_text(yaml.safe_dump({name: value} | config | {name: value}, sort_keys=False))
            refused += told_in_one_line(run.read_config, "config.yaml")
            if value == 2.5:
                told_in_one_line(lambda: find_state(sweep_run), "")
                told_in_one_line(lambda: compare([run]), "config.yaml")
    assert refused > 2 * len(config)
    for text in ("1: 2", "- a", "a: [", "n_dis: 5", "epochs: x", "? [a]\n: b", "2020-01-01: 1"):
        run.config_file.write_text(text)
        assert told_in_one_line(lambda: use(run), "config.yaml"), text
