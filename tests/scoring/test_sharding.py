import json

import pytest
import torch
from torch import Tensor

from mmgan.errors import UserError
from mmgan.scoring import ALONE, Features, NonFiniteSamples, Processes, extract
from mmgan.scoring.sharding import CHUNK
from tests.support import score_in_processes
from tests.support.forks import Job, run_one
from tests.support.ranks import on_ranks
from tests.support.scoring_images import from_tensor, smooth_images, tiny_extractor


@pytest.mark.parametrize("images", [1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK - 7])
@pytest.mark.parametrize("count", [2, 3])
def test_features_are_bitwise_the_same_for_any_number_of_processes(count: int, images: int) -> None:
    pixels = smooth_images(images, 0)
    alone = extract(from_tensor(pixels), images, tiny_extractor())
    assert isinstance(alone, Features)
    own = [tiny_extractor() for _ in range(count)]  # a rank's own, as threads here must not share one
    lead, *others = on_ranks(count, lambda p: extract(from_tensor(pixels), images, own[p.rank], p))
    assert torch.equal(lead.features, alone.features)
    assert torch.equal(lead.logits, alone.logits)
    assert others == [None] * (count - 1)


def test_features_are_in_the_order_of_the_images() -> None:
    pixels = smooth_images(3 * CHUNK - 5, 0)
    extractor = tiny_extractor()
    found = extract(from_tensor(pixels), len(pixels), extractor)
    assert found is not None
    torch.testing.assert_close(found.features, extractor(pixels).features)


def test_each_image_is_made_once_and_in_fixed_chunks() -> None:
    asked: list[tuple[int, int, int]] = []
    own = [tiny_extractor() for _ in range(2)]
    pixels = smooth_images(5 * CHUNK - 7, 0)

    def task(p: Processes) -> Features | None:
        def generate(first: int, count: int) -> Tensor:
            asked.append((first, count, p.rank))
            return pixels[first : first + count]

        return extract(generate, len(pixels), own[p.rank], p)

    on_ranks(2, task)
    sizes = [CHUNK] * 4 + [CHUNK - 7]
    assert sorted(asked) == [(c * CHUNK, size, c % 2) for c, size in enumerate(sizes)]


def test_an_error_on_one_rank_is_raised_on_all() -> None:
    pixels = smooth_images(4 * CHUNK, 0)

    def generate(first: int, count: int) -> Tensor:
        if first == 3 * CHUNK:
            raise NonFiniteSamples("chunk 3 is not finite")
        return pixels[first : first + count]

    own = [tiny_extractor() for _ in range(3)]
    raised = on_ranks(3, lambda p: extract(generate, len(pixels), own[p.rank], p))
    assert [str(error) for error in raised] == ["chunk 3 is not finite"] * 3
    assert all(isinstance(error, NonFiniteSamples) for error in raised)


def test_no_images_are_refused() -> None:
    with pytest.raises(UserError, match="0 images"):
        extract(from_tensor(smooth_images(1, 0)), 0, tiny_extractor())


@pytest.mark.slow(1)
def test_real_processes_agree_bitwise() -> None:
    done = run_one(Job("tests.support.score_in_processes", [], processes=2))
    assert done.codes == [0, 0], done.err
    (line,) = [line for line in done.out.splitlines() if line.startswith("{")]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = score_in_processes.score(ALONE)
    finally:
        torch.set_num_threads(threads)
    assert json.loads(line) == {"processes": 2, "found": alone, "all_refuse": True}
