import dataclasses
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mmgan.data.images import Images, make_images
from mmgan.errors import UserError
from mmgan.scoring import Features, NetworkExtractor, Processes, Reference, extract, real_features
from tests.support.ranks import on_ranks
from tests.support.scoring_images import from_tensor, smooth_images, tiny_extractor


class Counting:
    """An extractor that counts the images it is shown."""

    def __init__(self, inner: NetworkExtractor) -> None:
        self.inner, self.seen = inner, 0
        self.name, self.digest, self.fingerprint = inner.name, inner.digest, inner.fingerprint
        self.dims, self.num_classes = inner.dims, inner.num_classes

    def __call__(self, images: torch.Tensor) -> Features:
        self.seen += len(images)
        return self.inner(images)


def images(count: int = 100, seed: int = 0, split: str = "test", size: int = 8) -> Images:
    return make_images("smooth", split, smooth_images(count, seed, size=size))


def work(folder: Path | None, real: Images | None = None, weights: int = 0) -> tuple[int, Reference]:
    """How many images had to be extracted, and what came out."""
    extractor = Counting(tiny_extractor(weights))
    found = real_features(real or images(), extractor, folder)
    assert found is not None
    return extractor.seen, found


def equal(a: Reference, b: Reference) -> bool:
    same = np.array_equal(a.moments.mean, b.moments.mean) and np.array_equal(a.moments.covariance, b.moments.covariance)
    return torch.equal(a.features, b.features) and same and a.moments.count == b.moments.count


def test_features_and_moments_are_right(tmp_path: Path) -> None:
    _, found = work(tmp_path)
    plain = extract(from_tensor(images().pixels), 100, tiny_extractor())
    assert plain is not None
    assert torch.equal(found.features, plain.features)
    np.testing.assert_allclose(
        found.moments.covariance, np.cov(plain.features.double().numpy(), rowvar=False), rtol=1e-9
    )


def test_the_second_time_nothing_is_extracted(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    seen, first = work(folder)
    assert seen == 100
    seen, second = work(folder)
    assert seen == 0
    assert equal(first, second)
    (file,) = folder.iterdir()  # and no partial one next to it
    assert file.name.startswith("smooth-test-tiny-")


def test_without_a_folder_nothing_is_kept() -> None:
    assert work(None)[0] == work(None)[0] == 100


@pytest.mark.parametrize(
    ("real", "weights"),
    [
        (images(seed=1), 0),
        (images(count=99), 0),
        (images(split="train"), 0),
        (images(size=9), 0),
        (dataclasses.replace(images(), name="other"), 0),
        (images(), 1),
    ],
    ids=["data", "count", "split", "size", "name", "weights"],
)
def test_whatever_changes_is_computed_anew(real: Images, weights: int, tmp_path: Path) -> None:
    _, old = work(tmp_path)
    seen, new = work(tmp_path, real, weights)
    assert seen == len(real)
    assert equal(new, work(None, real, weights)[1])
    assert work(tmp_path)[0] == 0  # the old ones are still there
    assert equal(old, work(tmp_path)[1])


def test_one_pixel_changes_the_key_even_if_the_digest_is_stale(tmp_path: Path) -> None:
    real = images()
    work(tmp_path, real)
    pixels = real.pixels.clone()
    pixels[57, 1, 2, 3] += 1
    assert work(tmp_path, dataclasses.replace(real, pixels=pixels))[0] == 100


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_file_is_computed_anew(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, first = work(tmp_path)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[-9] ^= 1
    file.write_bytes({"flip": content, "cut": content[:-8], "empty": b"", "text": b"no features"}[damage])
    with caplog.at_level(logging.WARNING, "mmgan.scoring"):
        seen, again = work(tmp_path)
    assert seen == 100
    assert file.name in caplog.text
    assert equal(first, again)
    assert work(tmp_path)[0] == 0


def test_processes_share_the_work_and_rank_0_decides(tmp_path: Path) -> None:
    real = images(300)
    own = [tiny_extractor() for _ in range(2)]

    def task(p: Processes) -> tuple[int, Reference | None]:
        extractor = Counting(own[p.rank])
        found = real_features(real, extractor, tmp_path, p)
        return extractor.seen, found

    (lead, found), (other, nothing) = on_ranks(2, task)
    assert (lead, other) == (64 * 2 + 44, 64 * 2)
    assert nothing is None
    assert found is not None
    assert equal(found, work(None, real)[1])
    assert [seen for seen, _ in on_ranks(2, task)] == [0, 0]


def test_bad_input_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'smooth' \\(test\\) has 1 images"):
        work(tmp_path, images(1))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"the cache .* cannot be written"):
        work(tmp_path / "file" / "cache")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        work(tmp_path)
