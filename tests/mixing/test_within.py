"""The law of `within=`: partners of the same class and of the wanted kind, found without a look at the device."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmgan import Mixed, MixPlan, PermutationPolicy, RealFakePolicy
from mmgan.errors import UserError
from mmgan.mixing.partners import partners_within
from mmgan.mixing.rules import Rule

EXTREMES = [-(2**63), -7, -1, 0, 3, 2**62 + 1, 2**63 - 1]
quick = settings(max_examples=80, deadline=None, derandomize=True)
classes = st.lists(st.sampled_from(EXTREMES), min_size=1, max_size=12)
pair_sets = st.lists(st.sampled_from(["real-fake", "fake-real", "fake-fake"]), min_size=1, max_size=3, unique=True)
steps = st.integers(0, 10**6)


def content(plan: MixPlan) -> tuple[Any, ...]:
    weight = None if plan.weight is None else plan.weight.tolist()
    return plan.layer, plan.left.tolist(), plan.right.tolist(), plan.lam.tolist(), weight


def even_use(plan: MixPlan, group: Callable[[int], Any]) -> None:
    """No partner is used again before all of its group were used."""
    counted = [int(j) for j, w in zip(plan.right, plan.weight, strict=True) if w]  # type: ignore[arg-type]
    uses = Counter(counted)
    for name in {group(j) for j in counted}:
        among = [uses[j] for j in range(plan.rows) if group(j) == name]
        assert max(among) - min(among) <= 1, among


@quick
@given(classes, classes, steps, pair_sets, st.sampled_from(["linear", "cutmix", "statistics"]))
def test_real_fake_pairs_within_classes(
    real: list[int], fake: list[int], step: int, pairs: list[Any], rule: Rule
) -> None:
    b = min(len(real), len(fake))
    y = torch.tensor(real[:b] + fake[:b])
    policy = RealFakePolicy("1,2,pixel", alpha=1.0, pairs=pairs, rule=rule)
    plan, free = policy.draw(b, step, within=y), policy.draw(b, step)
    assert plan.weight is not None
    assert plan.within is y
    assert (plan.layer, plan.rule, plan.parts, len(plan)) == (free.layer, rule, (b, b), b)
    assert torch.equal(plan.left, free.left)
    assert torch.equal(plan.lam, free.lam)
    assert (plan.box is None) == (free.box is None)
    assert plan.box is None or torch.equal(plan.box, free.box)  # type: ignore[arg-type]
    for i, j, wanted, w in zip(
        plan.left.tolist(), plan.right.tolist(), (free.right >= b).tolist(), plan.weight.tolist(), strict=True
    ):
        candidates = [k for k in range(2 * b) if (k >= b) == wanted and y[k] == y[i]]
        assert w == (1.0 if candidates else 0.0)
        assert j in candidates if candidates else j == i
        assert not (w and i < b and j < b), "two real rows are never mixed"
    even_use(plan, lambda j: (j >= b, int(y[j])))


@quick
@given(classes, steps, st.sampled_from(["batch", "example"]))
def test_permutations_within_classes(values: list[int], step: int, per: Any) -> None:
    y, b = torch.tensor(values), len(values)
    policy = PermutationPolicy("1,pixel", per=per)
    plan, free = policy.draw(b, step, within=y), policy.draw(b, step)
    assert (plan.layer, plan.left.tolist(), plan.lam.tolist()) == (free.layer, free.left.tolist(), free.lam.tolist())
    assert plan.weight is not None
    assert plan.weight.tolist() == [1.0] * b, "each row has itself at least"
    assert sorted(plan.right.tolist()) == list(range(b)), "still a permutation"
    assert torch.equal(y[plan.right], y)


@quick
@given(classes, st.randoms(use_true_random=False), steps)
def test_every_pair_counts_where_fake_classes_are_a_permutation_of_the_real_ones(
    real: list[int], random: Any, step: int
) -> None:
    y = torch.tensor(real + random.sample(real, len(real)))
    plan = RealFakePolicy("1").draw(len(real), step, within=y)
    assert plan.weight is not None
    assert plan.weight.tolist() == [1.0] * len(real)


@quick
@given(classes, steps)
def test_a_draw_is_pure(real: list[int], step: int) -> None:
    y = torch.tensor(real + real)
    state, kept = torch.get_rng_state(), y.clone()
    for policy, rows in ((RealFakePolicy("1,2"), len(real)), (PermutationPolicy("1,2"), 2 * len(real))):
        first = policy.draw(rows, step, 3, 1, within=y)
        policy.draw(rows, step + 1, 3, 1, within=y)
        assert content(policy.draw(rows, step, 3, 1, within=y)) == content(first)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(y, kept)


def test_only_equality_of_classes_counts() -> None:
    """Any one-to-one renaming gives the same pairs up to the order in which groups lie."""
    y = torch.tensor([0, 1, 1, 2, 0, 1, 2, 2])
    for step in range(20):
        plans = [RealFakePolicy("1").draw(4, step, within=7 * y + shift) for shift in (0, -(2**63), 2**60)]
        assert content(plans[0]) == content(plans[1]) == content(plans[2])


@pytest.mark.slow(2)
def test_partners_are_uniform_among_the_candidates() -> None:
    """Each left row, of each kind of pair, meets each candidate equally often."""
    y = torch.tensor([5, 5, 5, -9, -9, -9, 5, -9, 5, 5])
    b, met = 5, Counter[tuple[int, int]]()
    for step in range(4000):
        plan = RealFakePolicy("1").draw(b, step, within=y)
        met.update(zip(plan.left.tolist(), plan.right.tolist(), strict=True))
    for i in range(2 * b):
        for fakes in (True, False) if i >= b else (True,):
            counts = [met[i, j] for j in range(2 * b) if (j >= b) == fakes and y[j] == y[i]]
            assert sum(counts) > 300
            assert stats.chisquare(counts).pvalue > 1e-3, (i, fakes, counts)


@pytest.mark.slow(2)
def test_permuted_partners_are_uniform_among_the_class() -> None:
    y = torch.tensor([1, 0, 1, 1, 0, 0, 1])
    table = Counter(
        (i, j) for t in range(3000) for i, j in enumerate(PermutationPolicy("1").draw(7, t, within=y).right.tolist())
    )
    for i in range(7):
        assert stats.chisquare([table[i, j] for j in range(7) if y[j] == y[i]]).pvalue > 1e-3


class NeverReads(TorchDispatchMode):
    """Refuses each operation whose result the host must wait for."""

    WAITS = (
        "_local_scalar_dense",
        "nonzero",
        "unique",
        "_unique",
        "masked_select",
        "item",
        "equal",
        "is_nonzero",
        "index.Tensor",
    )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::")
        assert not name.startswith(self.WAITS), f"{name} waits for the device"
        return func(*args, **(kwargs or {}))


def draw_arguments(b: int) -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    left = torch.randint(2 * b, (b,), generator=g)
    return [
        torch.randint(-2, 2, (2 * b,), generator=g),
        left,
        torch.randperm(2 * b, generator=g),
        torch.arange(2).repeat_interleave(b),
        torch.randint(2, (b,), generator=g),
    ]


def test_partners_are_found_without_waiting_for_the_device() -> None:
    arguments = draw_arguments(6)
    with NeverReads():
        partners_within(*arguments)
        with pytest.raises(AssertionError, match="waits for the device"):
            arguments[0].unique()
        with pytest.raises(AssertionError, match="waits for the device"):
            arguments[0].max().item()


@pytest.mark.parametrize("policy", [RealFakePolicy("1"), PermutationPolicy("1")])
def test_a_plan_within_classes_is_drawn_on_a_device_that_has_no_values(policy: Any) -> None:
    """A meta tensor raises whenever a value of it is asked for."""
    rows = 8 if isinstance(policy, RealFakePolicy) else 4
    plan = policy.draw(4, device="meta", within=torch.empty(rows, dtype=torch.int64, device="meta"))
    assert plan.right.is_meta
    assert plan.weight.is_meta
    assert plan.right.shape == plan.weight.shape == (4,)
    assert plan.mix(torch.empty(rows, 3, device="meta")).shape == (4, 3)


def test_a_row_without_partner_stays_itself_in_every_mode() -> None:
    y = torch.tensor([0, 1, 2, 3, 4, 5])  # nobody has a partner, but fakes themselves
    policy = RealFakePolicy("pixel", alpha=1.0, pairs=("real-fake", "fake-real"))
    x, plan = torch.randn(6, 4), policy.draw(3, within=y)
    assert plan.weight is not None
    assert not plan.weight.any()
    net = Mixed(torch.nn.Identity(), "pixel")
    assert torch.equal(net(x, plan=plan, mode="alone"), x[plan.left])
    assert torch.equal(net(x, plan=plan, mode="append"), torch.cat([x, x[plan.left]]))
    assert torch.equal(net(x, plan=plan), x)


def test_what_does_not_fit_is_refused() -> None:
    policy = RealFakePolicy("1")
    for within in (torch.zeros(4, dtype=torch.int64), torch.zeros(8), torch.zeros(8, 1, dtype=torch.int64)):
        with pytest.raises(UserError, match=r"within= takes the classes of all 8 rows as int64 \(8,\)"):
            policy.draw(4, within=within)
    y = torch.zeros(8, dtype=torch.int64)
    with pytest.raises(UserError, match="pack= and within= exclude each other"):
        policy.draw(4, within=y, pack=2)
    with pytest.raises(UserError, match=r"within= lies on meta, the plan on cpu: draw the plan with device="):
        policy.draw(4, within=y.to("meta"))
    assert len(RealFakePolicy("none").draw(4, within=y)) == 0
