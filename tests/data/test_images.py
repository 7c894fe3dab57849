import pytest
import torch

from mmgan.data import Images, draw_balanced, draw_images, hold_out, make_images, split_validation
from mmgan.errors import UserError


def made(count: int = 100, labelled: bool = True) -> Images:
    pixels = torch.arange(count * 4, dtype=torch.int64).to(torch.uint8).view(count, 1, 2, 2)
    labels = (torch.arange(count) % 10 % 3) if labelled else None  # 0: 40 %, 1: 30 %, 2: 30 %
    return make_images("made", "train", pixels, labels, ("a", "b", "c") if labelled else ())


def test_the_digest_depends_on_pixels_shape_and_labels_and_nothing_else():
    images = made()
    assert images.digest == made().digest
    assert len(images.digest) == 64
    assert images.digest == make_images("other", "test", images.pixels, images.labels, tuple("abcd")).digest
    other_pixels = images.pixels.clone()
    other_pixels[-1, 0, 1, 1] ^= 1
    other_labels = images.labels.clone()
    other_labels[0] = 2
    digests = {
        images.digest,
        make_images("made", "train", other_pixels, images.labels, images.classes).digest,
        make_images("made", "train", images.pixels, other_labels, images.classes).digest,
        make_images("made", "train", images.pixels.view(100, 1, 4, 1), images.labels, images.classes).digest,
        made(labelled=False).digest,
    }
    assert len(digests) == 5


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_classes_is_refused(label: int):
    labels = torch.zeros(10, dtype=torch.int64)
    labels[4] = label
    with pytest.raises(UserError, match="3 classes"):
        make_images("made", "train", torch.zeros(10, 1, 2, 2, dtype=torch.uint8), labels, ("a", "b", "c"))


@pytest.mark.parametrize("labelled", [True, False])
def test_validation_and_rest_are_the_whole_in_order(labelled: bool):
    images = made(60, labelled)  # 60 * 4 levels: every image is another
    rest, validation = split_validation(images, 13, seed=3)
    assert (len(rest), len(validation)) == (47, 13)
    assert (rest.split, validation.split) == ("train", "validation")
    firsts = images.pixels[:, 0, 0, 0].tolist()
    in_rest, in_validation = rest.pixels[:, 0, 0, 0].tolist(), validation.pixels[:, 0, 0, 0].tolist()
    assert sorted(in_rest + in_validation) == firsts
    assert in_rest == sorted(in_rest)
    assert in_validation == sorted(in_validation)
    if labelled:
        by_pixel = dict(zip(firsts, images.labels.tolist(), strict=True))
        assert validation.labels.tolist() == [by_pixel[first] for first in in_validation]
        assert rest.labels.tolist() == [by_pixel[first] for first in in_rest]


@pytest.mark.parametrize("count", [1, 7, 10, 33, 99])
def test_every_class_gives_its_share_within_one(count: int):
    validation = split_validation(made(100), count, seed=1)[1]
    for label, share in enumerate((0.4, 0.3, 0.3)):
        assert abs(int((validation.labels == label).sum()) - share * count) < 1


def test_the_seed_alone_decides():
    images = made(60)
    assert split_validation(images, 20, seed=1)[1].digest == split_validation(images, 20, seed=1)[1].digest
    assert split_validation(images, 20, seed=1)[1].digest != split_validation(images, 20, seed=2)[1].digest


@pytest.mark.parametrize("count", [-1, 0, 60, 61])
def test_an_empty_part_is_refused(count: int):
    with pytest.raises(UserError, match="1 to 59"):
        split_validation(made(60), count, seed=0)


def test_held_out_images_and_the_rest_are_the_whole():
    images = made()
    rest, held_out = hold_out(images, 0.2, seed=3)
    assert (len(rest), len(held_out)) == (80, 20)
    assert (rest.split, held_out.split) == ("train", "held-out")
    assert held_out.labels.bincount().tolist() == [8, 6, 6]
    together = torch.cat([rest.pixels, held_out.pixels]).flatten(1)
    assert {tuple(row) for row in together.tolist()} == {tuple(row) for row in images.pixels.flatten(1).tolist()}
    assert held_out.digest == hold_out(images, 0.2, seed=3)[1].digest
    assert held_out.digest != hold_out(images, 0.2, seed=4)[1].digest
    assert held_out.digest != split_validation(images, 20, seed=3)[1].digest
    for share in (0.001, 0.999):
        with pytest.raises(UserError, match="choose a share that leaves at least one of each"):
            hold_out(images, share, seed=3)


@pytest.mark.parametrize("count", [1, 9, 60])
def test_drawn_images_are_some_of_them_in_order(count: int):
    images = made(60)
    drawn = draw_images(images, count, seed=4)
    firsts, chosen = images.pixels[:, 0, 0, 0].tolist(), drawn.pixels[:, 0, 0, 0].tolist()
    assert chosen == [first for first in firsts if first in set(chosen)]
    assert len(drawn) == len(set(chosen)) == count
    assert drawn.labels.tolist() == [images.labels[firsts.index(first)] for first in chosen]
    for label in range(3):
        assert abs(int((drawn.labels == label).sum()) - int((images.labels == label).sum()) * count / 60) < 1


def test_the_seed_alone_decides_what_is_drawn():
    images = made(60)
    assert draw_images(images, 20, seed=1).digest == draw_images(images, 20, seed=1).digest
    assert draw_images(images, 20, seed=1).digest != draw_images(images, 20, seed=2).digest


@pytest.mark.parametrize("count", [-1, 0, 61])
def test_more_than_there_are_cannot_be_drawn(count: int):
    with pytest.raises(UserError, match="1 to 60"):
        draw_images(made(60), count, seed=0)


def counts(images: Images) -> list[int]:
    assert images.labels is not None
    return images.labels.bincount(minlength=3).tolist()


def test_a_balanced_draw_takes_as_many_of_each_class_as_it_has():
    images = made(20)  # 8, 6 and 6 of the classes
    firsts = dict(zip(images.pixels[:, 0, 0, 0].tolist(), images.labels.tolist(), strict=True))
    for count in (3, 9, 18):
        assert counts(draw_balanced(images, count, 0)) == [count // 3] * 3
    assert counts(draw_balanced(images, 19, 0)) == [7, 6, 6]
    assert counts(draw_balanced(images, 20, 0)) == [8, 6, 6]
    drawn = draw_balanced(images, 10, 0)
    kept = drawn.pixels[:, 0, 0, 0].tolist()
    assert kept == sorted(kept)
    assert drawn.labels.tolist() == [firsts[first] for first in kept]
    assert (drawn.name, drawn.split, drawn.classes) == ("made", "train", ("a", "b", "c"))
    assert drawn.digest != images.digest


def test_a_balanced_draw_is_random_in_images_and_in_the_odd_class_out():
    images = made(20)
    draws = [draw_balanced(images, 4, seed) for seed in range(60)]
    assert draw_balanced(images, 4, 7).digest == draws[7].digest
    assert {tuple(counts(drawn)) for drawn in draws} == {(2, 1, 1), (1, 2, 1), (1, 1, 2)}
    assert {int(first) for drawn in draws for first in drawn.pixels[:, 0, 0, 0]} == set(range(0, 80, 4))
    assert len(draw_balanced(made(20, labelled=False), 5, 0)) == 5
    for count in (1, 21):
        with pytest.raises(UserError, match=f"--max-images {count} cannot be drawn from the 20 images of made"):
            draw_balanced(images, count, 0)
