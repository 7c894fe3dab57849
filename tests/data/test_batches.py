import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgan.data import Batches, Images, LoaderBatches, make_batches, make_images, to_float, to_uint8
from mmgan.data.augment import Augmentation, crop, dequantized, flip, noise_bytes
from mmgan.data.order import Order
from mmgan.draws import torch_stream
from mmgan.errors import UserError

EVERYTHING = {"flip": True, "crop_padding": 3, "dequantize": True}


def made(count: int = 50, size: int = 8, channels: int = 3) -> Images:
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (count, channels, size, size), dtype=np.uint8))
    return make_images("made", "train", pixels, torch.arange(count) % 7, tuple("abcdefg"))


@settings(deadline=None)
@given(count=st.integers(1, 40), share=st.integers(1, 9), world=st.integers(1, 4), seed=st.integers(0, 99))
def test_every_image_comes_once_an_epoch_over_all_ranks(count: int, share: int, world: int, seed: int):
    batch = share * world
    ranks = [Order(count, batch, seed=seed, rank=rank, world_size=world) for rank in range(world)]
    steps = -(-3 * count // batch)
    joined = torch.cat([order.indices(step) for step in range(steps) for order in ranks])
    for epoch in range(3):
        assert sorted(joined[epoch * count : (epoch + 1) * count].tolist()) == list(range(count))


def test_steps_may_be_asked_for_in_any_order():
    order = Order(11, 4, seed=5)
    forward = [order.indices(step) for step in range(30)]
    backward = [Order(11, 4, seed=5).indices(step) for step in reversed(range(30))]
    assert all(torch.equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))
    assert torch.equal(order.indices(0), forward[0])


def test_epochs_seeds_and_purposes_have_their_own_permutations():
    draws = [Order(100, 100, seed=0).indices(0), Order(100, 100, seed=0).indices(1), Order(100, 100, seed=1).indices(0)]
    draws.append(Order(100, 100, seed=0, purpose="generator").indices(0))
    assert len({tuple(draw.tolist()) for draw in draws}) == 4


@pytest.mark.parametrize("augmentation", [{}, EVERYTHING])
def test_the_slices_of_all_ranks_are_the_batch_of_one_process(augmentation: dict):
    images = made()
    whole = make_batches(images, 12, seed=2, **augmentation)
    parts = [make_batches(images, 12, seed=2, rank=rank, world_size=3, **augmentation) for rank in range(3)]
    for step in (0, 3, 4, 5, 100):
        pixels, labels = whole.batch(step)
        slices = [part.batch(step) for part in parts]
        assert torch.equal(pixels, torch.cat([pixels for pixels, _ in slices]))
        assert torch.equal(labels, torch.cat([labels for _, labels in slices]))


def test_a_plain_batch_is_the_images_and_their_labels():
    images = made()
    batches = make_batches(images, 10, seed=0)
    pixels, labels = batches.batch(7)
    index = batches.order.indices(7)
    assert torch.equal(pixels, to_float(images.pixels[index]))
    assert torch.equal(labels, images.labels[index])
    assert make_batches(make_images("made", "train", images.pixels), 10, seed=0).batch(0)[1] is None


def test_a_batch_may_be_larger_than_the_data_set():
    labels = make_batches(made(7), 21, seed=0).batch(1)[1]
    assert sorted(labels.tolist()) == sorted(list(range(7)) * 3)


def test_drawing_leaves_the_global_generators_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    make_batches(made(), 10, seed=0, **EVERYTHING).batch(0)
    make_batches(made(), 10, seed=0, **EVERYTHING, memory_limit=0).batch(0)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_crops_and_flips_are_numpys_image_by_image():
    images = made(20, size=6, channels=2).pixels
    rng = np.random.default_rng(1)
    corners, mirrored = rng.integers(0, 7, (2, 20)), rng.random(20) < 0.5
    cropped = crop(images, torch.from_numpy(corners), 3)
    flipped = flip(images, torch.from_numpy(mirrored))
    for i, image in enumerate(images.numpy()):
        top, left = corners[:, i]
        wide = np.pad(image, ((0, 0), (3, 3), (3, 3)))
        assert np.array_equal(cropped[i].numpy(), wide[:, top : top + 6, left : left + 6])
        assert np.array_equal(flipped[i].numpy(), image[..., ::-1] if mirrored[i] else image)


def test_flips_and_crops_are_drawn_evenly_and_anew_each_step():
    pixels = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    pixels[..., 2, 1] = 255  # one lit pixel tells offset and mirroring
    batches = make_batches(make_images("dot", "train", pixels), 6000, seed=0, flip=True, crop_padding=1)
    first, second = batches.batch(0)[0], batches.batch(1)[0]
    assert not torch.equal(first, second)
    share = (torch.cat([first, second]) > 0).float().mean(0)[0]
    # rows 1..3 at 1/3 each; columns 0..2 unmirrored, 2..4 mirrored, 1/6 each, so that the middle one gets both
    expected = torch.zeros(5, 5)
    expected[1:4] = torch.tensor([1, 1, 2, 1, 1]) / 18
    assert (share - expected).abs().max() < 0.015  # about five deviations
    assert abs(float(share[:, :2].sum() - share[:, 3:].sum())) < 0.037  # mirrored as often as not: five deviations


def test_dequantised_values_round_back_to_the_pixels_and_fill_the_levels():
    images = made(40, size=16)
    batches = make_batches(images, 40, seed=0, dequantize=True)
    values = batches.batch(0)[0]
    pixels = images.pixels[batches.order.indices(0)]
    assert torch.equal(to_uint8(values), pixels)
    assert values.min() >= -1
    assert values.max() <= 1
    inner = (pixels > 0) & (pixels < 255)
    offsets = ((values + 1) * 127.5 - pixels)[inner]
    assert abs(float(offsets.mean())) < 0.01
    assert abs(float(offsets.std()) - 12**-0.5) < 0.01
    alone = make_batches(made(1), 4, seed=0, dequantize=True)  # the same four rows at every step
    assert not torch.equal(alone.batch(0)[0], alone.batch(1)[0])


def test_noise_takes_every_byte_alike():
    noise = noise_bytes((64, 1, 63, 127), torch_stream(0, "test"))
    assert noise.shape == (64, 1, 63, 127)
    counts = torch.bincount(noise.flatten().long(), minlength=256).double()
    mean = noise.numel() / 256
    assert float(((counts - mean) ** 2 / mean).sum()) < 255 + 5 * (2 * 255) ** 0.5  # chi-square, five deviations
    ends = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    assert dequantized(ends, ends).flatten().tolist() == [-1, 1]


@pytest.mark.slow(1)
@pytest.mark.parametrize(("rank", "world"), [(0, 1), (1, 2)])
def test_the_loader_gives_the_batches_of_memory_bit_for_bit(rank: int, world: int):
    images = made()
    options = {"seed": 4, "rank": rank, "world_size": world, **EVERYTHING}
    held, streamed = make_batches(images, 8, **options), make_batches(images, 8, **options, memory_limit=0)
    for step in (0, 1, 2, 7, 8, 3):  # in turn, on across an epoch, and back
        for a, b in zip(held.batch(step), streamed.batch(step), strict=True):
            assert torch.equal(a, b)


def test_the_loader_starts_its_workers_once_for_steps_in_turn(monkeypatch: pytest.MonkeyPatch):
    starts = []
    read_from = LoaderBatches._read_from
    monkeypatch.setattr(LoaderBatches, "_read_from", lambda self, step: starts.append(step) or read_from(self, step))
    batches = make_batches(made(), 8, seed=0, memory_limit=0)
    for step in (0, 1, 2, 9, 10):
        batches.batch(step)
    assert starts == [0, 9]


def test_the_loader_takes_over_beyond_the_memory_limit():
    images = made(50, size=8, channels=3)  # 9,600 bytes
    assert type(make_batches(images, 8, seed=0, memory_limit=9600)) is Batches
    assert type(make_batches(images, 8, seed=0, memory_limit=9599)) is LoaderBatches
    a = make_batches(images, 8, seed=1, rank=1, world_size=2, flip=True, crop_padding=1, dequantize=True, purpose="p")
    b = Batches(images, Order(50, 8, seed=1, rank=1, world_size=2, purpose="p"), Augmentation(True, 1, True))
    assert torch.equal(a.batch(3)[0], b.batch(3)[0])


def test_steps_of_an_epoch():
    batches = make_batches(made(50), 8, seed=0)
    assert batches.steps_per_epoch == 7
    assert [batches.epoch_of(step) for step in (0, 6, 7, 12, 13)] == [0, 0, 1, 1, 2]
    assert make_batches(made(48), 8, seed=0).steps_per_epoch == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "at least 1, not 0"),
        ({"batch_size": 9, "world_size": 2}, "multiple of their number, 2"),
        ({"rank": 2, "world_size": 2}, "rank 2"),
        ({"crop_padding": -1}, "crop_padding"),
        ({"images": make_images("none", "train", torch.zeros(0, 1, 2, 2, dtype=torch.uint8))}, "no images"),
    ],
)
def test_sizes_that_cannot_be_met_are_refused(change: dict, message: str):
    with pytest.raises(UserError, match=message):
        make_batches(**{"images": made(), "batch_size": 8, "seed": 0, **change})
