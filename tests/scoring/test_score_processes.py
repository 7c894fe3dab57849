"""`mmgan score` of two folders by one, two and three real processes, with a network of timm."""

import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.forks import Job, run_one
from tests.support.launches import TWO, launch
from tests.support.natural import LITE, needs_lite
from tests.support.scoring_images import smooth_images, write_images

pytest.importorskip("timm")


def folders(place: Path) -> tuple[Path, Path]:
    return tuple(write_images(place / f"{i}", smooth_images(70, i, size=32)) for i in range(2))  # type: ignore[return-value]


def flags(images: Path, real: Path, found: Path) -> list[str]:
    return [
        *("score", str(images), "--real", str(real), "--extractor", "timm:tf_efficientnet_lite0"),
        *("--extractor-weights", str(LITE), "--precision-recall", "--density-coverage", "--json", str(found)),
    ]


def values(found: Path) -> dict[str, Any]:
    scores: dict[str, Any] = json.loads(found.read_text())["scores"]
    return scores


@needs_lite
@pytest.mark.soak
def test_the_numbers_do_not_depend_on_the_processes_or_the_order_of_the_files(tmp_path: Path) -> None:
    images, real = folders(tmp_path)
    # The same files, written in another order, and in another one in an archive.
    files = sorted(images.iterdir())
    random.Random(0).shuffle(files)
    (tmp_path / "again").mkdir()
    with zipfile.ZipFile(tmp_path / "again.zip", "w") as archive:
        for file in files:
            (tmp_path / "again" / file.name).write_bytes(file.read_bytes())
            archive.write(file, file.name)
    found = []
    for count, place in ((1, images), (2, tmp_path / "again.zip"), (3, tmp_path / "again")):
        own = tmp_path / f"{count}.json"
        done = run_one(Job("mmgan", flags(place, real, own), processes=count))
        assert done.codes == [0] * count, done.errs
        found.append(values(own))
    assert found[0] == found[1] == found[2]
    assert found[0]["frechet_distance"] > 1


@needs_lite
@pytest.mark.soak
def test_launched_processes_give_the_same_numbers(tmp_path: Path) -> None:
    images, real = folders(tmp_path)
    own, other = tmp_path / "1.json", tmp_path / "2.json"
    assert run_one(Job("mmgan", flags(images, real, own))).code == 0
    with launch(TWO, "-m", "mmgan", *flags(images, real, other), log=tmp_path / "log") as job:
        assert job.end() == 0, job.said()
    assert values(own) == values(other)
