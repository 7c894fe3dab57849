"""What the policies promise of every plan, and with which frequencies."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mmgan import MixPlan, PermutationPolicy, RealFakePolicy
from mmgan.errors import UserError

PAIRS = ("real-fake", "fake-real", "fake-fake")
sizes, steps, seeds, ranks = st.integers(1, 33), st.integers(0, 10**7), st.integers(0, 2**40), st.integers(0, 63)
pair_sets = st.lists(st.sampled_from(PAIRS), min_size=1, max_size=3, unique=True)
quick = settings(max_examples=60, deadline=None, derandomize=True)


def content(plan: MixPlan) -> tuple[object, ...]:
    return plan.layer, plan.left.tolist(), plan.right.tolist(), plan.lam.tolist()


@quick
@given(sizes, steps, seeds, ranks, pair_sets)
def test_real_fake_plans_hold_their_promises(b: int, step: int, seed: int, rank: int, pairs: list[str]) -> None:
    plan = RealFakePolicy("1,2,pixel", alpha=1.0, pairs=pairs).draw(b, step, seed, rank)  # type: ignore[arg-type]
    left, right = plan.left, plan.right
    assert len(plan) == b
    assert int(torch.cat([left, right]).min()) >= 0
    assert int(torch.cat([left, right]).max()) < 2 * b
    assert not ((left < b) & (right < b)).any(), "two real rows are never mixed"
    names = {
        ("fake" if i >= b else "real") + "-" + ("fake" if j >= b else "real") for i, j in zip(left, right, strict=True)
    }
    assert names <= set(pairs)
    assert len(left.unique()) == len(right.unique()) == b, "no row is used twice on one side"
    assert ((plan.lam >= 0) & (plan.lam <= 1)).all()
    assert plan.layer in ("1", "2", "pixel")


@quick
@given(sizes, steps, seeds, ranks)
def test_right_is_a_permutation(b: int, step: int, seed: int, rank: int) -> None:
    plan = PermutationPolicy("1,pixel").draw(b, step, seed, rank)
    assert plan.left.tolist() == list(range(b))
    assert sorted(plan.right.tolist()) == list(range(b))


@quick
@given(sizes, steps, seeds, ranks, st.sampled_from(["batch", "example"]))
def test_groups_partition_the_batch_and_pair_inside(b: int, step: int, seed: int, rank: int, per: str) -> None:
    policy = PermutationPolicy("1,2,pixel", per=per, layer_per="example")  # type: ignore[arg-type]
    plans = policy.draw_groups(b, step, seed, rank)
    assert [plan.layer for plan in plans] == [k for k in policy.layers if k in {plan.layer for plan in plans}]
    assert sorted(torch.cat([plan.left for plan in plans]).tolist()) == list(range(b))
    for plan in plans:
        assert sorted(plan.left.tolist()) == sorted(plan.right.tolist())
    sizes_found = [len(plan) for plan in plans]
    assert len(plans) == min(3, b)
    assert max(sizes_found) - min(sizes_found) <= 1
    if per == "batch":
        assert len(torch.cat([plan.lam for plan in plans]).unique()) == 1


@pytest.mark.parametrize("policy", [PermutationPolicy, RealFakePolicy])
@quick
@given(sizes, steps, seeds, ranks)
def test_draw_is_pure(policy: type, b: int, step: int, seed: int, rank: int) -> None:
    first = policy("1,2,pixel").draw(b, step, seed, rank)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    used = policy("1,2,pixel")
    used.draw(b + 1, step + 1, seed + 1, rank + 1)
    torch.rand(3)
    changed = torch.get_rng_state()
    assert content(used.draw(b, step, seed, rank)) == content(first)
    assert torch.equal(torch.get_rng_state(), changed)
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    torch.set_rng_state(before[0])


@pytest.mark.parametrize("policy", [PermutationPolicy, RealFakePolicy])
def test_step_seed_and_rank_change_the_pairs_but_rank_not_the_layer(policy: type) -> None:
    drawn = policy("1,2,pixel", per="example").draw
    base = drawn(32, 7, 11, 0)
    for other in (drawn(32, 8, 11, 0), drawn(32, 7, 12, 0), drawn(32, 7, 11, 1)):
        assert base.right.tolist() != other.right.tolist()
        assert base.lam.tolist() != other.lam.tolist()
    for step in range(100):
        assert len({drawn(4, step, 11, rank).layer for rank in range(4)}) == 1


@pytest.mark.slow(2)
@pytest.mark.parametrize("policy", [PermutationPolicy, RealFakePolicy])
@pytest.mark.parametrize("layers", ["1,pixel", "1,2,pixel", "a,b,c,d,e"])
def test_layers_are_equally_likely(policy: type, layers: str) -> None:
    names = layers.split(",")
    runs = [[policy(layers).draw(2, step, seed).layer for step in range(300)] for seed in range(10)]
    counts = Counter(name for run in runs for name in run)
    assert stats.chisquare([counts[name] for name in names]).pvalue > 0.01
    # and neither the step before nor the same step under another seed tells anything
    serial = Counter(pair for run in runs for pair in zip(run[::2], run[1::2], strict=True))
    assert stats.chisquare([serial[a, b] for a in names for b in names]).pvalue > 0.01
    across = Counter(pair for i in range(0, 10, 2) for pair in zip(runs[i], runs[i + 1], strict=True))
    assert stats.chisquare([across[a, b] for a in names for b in names]).pvalue > 0.01


@pytest.mark.parametrize("pairs", [PAIRS, PAIRS[:2], ("fake-fake", "real-fake")])
def test_kinds_of_pairs_are_equally_likely(pairs: tuple[str, ...]) -> None:
    b = 50
    plans = [RealFakePolicy("1", pairs=pairs).draw(b, step) for step in range(60)]  # type: ignore[arg-type]
    left, right = torch.cat([p.left for p in plans]) >= b, torch.cat([p.right for p in plans]) >= b
    counts = [int((~left & right).sum()), int((left & ~right).sum()), int((left & right).sum())]
    assert stats.chisquare([counts[PAIRS.index(name)] for name in pairs]).pvalue > 0.01
    assert sum(counts[PAIRS.index(name)] for name in pairs) == 60 * b


@pytest.mark.slow(2)
@pytest.mark.parametrize("side", ["left", "right"])
def test_every_row_is_drawn_equally_often(side: str) -> None:
    b, rounds = 6, 3000
    rows = torch.cat([getattr(RealFakePolicy("1").draw(b, step), side) for step in range(rounds)])
    counts = rows.bincount(minlength=2 * b).double()
    assert (counts / rounds - torch.tensor([1 / 3] * b + [2 / 3] * b)).abs().max() < 0.04


def test_every_pair_of_partners_is_equally_likely() -> None:
    plans = [PermutationPolicy("1").draw(4, step) for step in range(3000)]
    table = Counter((i, j) for plan in plans for i, j in enumerate(plan.right.tolist()))
    assert stats.chisquare([table[i, j] for i in range(4) for j in range(4)]).pvalue > 0.01


def test_every_row_meets_every_layer_equally_often() -> None:
    b, rounds = 4, 1500  # 4 rows on 3 layers: one group is larger
    policy = PermutationPolicy("1,2,pixel", layer_per="example")
    met = Counter((k.layer, i) for t in range(rounds) for k in policy.draw_groups(b, t) for i in k.left.tolist())
    assert stats.chisquare([met[k, i] for k in policy.layers for i in range(b)]).pvalue > 0.01


def test_groups_are_one_plan_when_the_layer_is_drawn_for_the_batch() -> None:
    policy = PermutationPolicy("1,2")
    (plan,) = policy.draw_groups(5, 3, 1, 2)
    assert content(plan) == content(policy.draw(5, 3, 1, 2))
    with pytest.raises(UserError, match="draw_groups"):
        PermutationPolicy("1,2", layer_per="example").draw(5)


@pytest.mark.parametrize("layers", ["none", "", []])
def test_no_layers_is_the_baseline(layers: str | list[str]) -> None:
    labels = torch.eye(4)
    plan = PermutationPolicy(layers).draw(4)
    assert plan.layer == "none"
    assert torch.equal(plan.mix(labels), labels)
    grouped = PermutationPolicy(layers, layer_per="example").draw_groups(4)
    assert [p.layer for p in grouped] == ["none"]
    none = RealFakePolicy(layers).draw(4)
    assert none.layer == "none"
    assert len(none) == 0
