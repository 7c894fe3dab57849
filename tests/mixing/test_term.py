"""MixupTerm against the loss written out, and in the surroundings that it is used in."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, MixupTerm, PermutationPolicy, RealFakePolicy
from mmgan.errors import UserError
from mmgan.losses import GAN_LOSSES
from tests.support.by_hand import mixed_rows

B = 4
NAMES = ["jsgan", "jsgan-saturating", "hinge", "least-squares", "wasserstein"]
LAYERS = ["pixel", "body", "neck"]


class Heads(nn.Module):
    """A discriminator in three steps with an output of the wanted kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.body, self.neck = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.map, self.flat = nn.Conv2d(4, 1, 1), nn.Linear(4, 1)

    def after(self, h: Tensor) -> Any:
        h = h.tanh()
        score, patches = self.flat(h.mean((2, 3))), self.map(h)  # (n, 1), (n, 1, h, w)
        if self.kind == "(n,)":
            return score[:, 0]
        if self.kind == "(n, 1)":
            return score
        if self.kind == "map":
            return patches
        return (
            [patches, score] if self.kind == "list" else {"fine": patches, "coarse": [patches[:, :, :1], score[:, 0]]}
        )

    def forward(self, x: Tensor) -> Any:
        return self.after(self.neck(self.body(x).relu()))

    def mixed_by_hand(self, x: Tensor, plan: MixPlan) -> Any:
        h = mixed_rows(x, plan) if plan.layer == "pixel" else x
        h = self.body(h)
        h = mixed_rows(h, plan) if plan.layer == "body" else h
        h = self.neck(h.relu())
        return self.after(mixed_rows(h, plan) if plan.layer == "neck" else h)


def listed(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    values = output.values() if isinstance(output, dict) else output
    return [leaf for value in values for leaf in listed(value)]


def label(plan: MixPlan, m: int, target: str) -> float:
    i, j, lam = int(plan.left[m]), int(plan.right[m]), float(plan.lam[m])
    return 0.0 if target == "fake" else lam * (i < B) + (1 - lam) * (j < B)


def by_hand(loss: str, target: str, mixed: Any, plain: Any, plan: MixPlan) -> Tensor:
    """Row by row, head by head: the mean over a head's row, the sum over heads, the mean over rows that count."""
    cost, rows = GAN_LOSSES[loss], []  # type: ignore[index]
    for m in range(len(plan)):
        row = torch.zeros((), dtype=torch.float64)
        for head, own in zip(listed(mixed), listed(plain), strict=True):
            if target == "consistency":
                lam = plan.lam[m].double()
                wanted = lam * own[plan.left[m]] + (1 - lam) * own[plan.right[m]]
                row = row + (head[m] - wanted).square().mean()
            else:
                y = label(plan, m, target)
                row = row + (y * cost.real(head[m]) + (1 - y) * cost.fake(head[m])).mean()
        if plan.weight is None or plan.weight[m]:
            rows.append(row)
    return torch.stack(rows).mean() if rows else torch.zeros((), dtype=torch.float64)


def images(seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(B, 2, 4, 4, generator=g, dtype=torch.float64).requires_grad_() for _ in range(2))  # type: ignore[return-value]


def assert_same(got: Tensor, wanted: Tensor, model: nn.Module, x: list[Tensor]) -> None:
    torch.testing.assert_close(got.double(), wanted.double(), rtol=1e-6, atol=1e-7)
    ours, theirs = (
        torch.autograd.grad(v, [*x, *model.parameters()], retain_graph=True, allow_unused=True, materialize_grads=True)
        for v in (got, wanted)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("target", ["paper", "fake", "consistency"])
@pytest.mark.parametrize("kind", ["(n,)", "(n, 1)", "map", "list", "dict"])
def test_every_target_on_every_output(kind: str, target: Any) -> None:
    torch.manual_seed(0)
    model = Heads(kind).double()
    net, (real, fake) = Mixed(model, LAYERS), images()
    policy = RealFakePolicy(LAYERS, alpha=1.0)
    for step, loss in enumerate(NAMES):
        plan, x = policy.draw(B, step, seed=5, rank=1), torch.cat([real, fake])
        logits = (model(real), model(fake)) if target == "consistency" else None
        got = MixupTerm(net, policy, loss, target, weight=0.3, seed=5, rank=1)(real, fake, step=step, logits=logits)  # type: ignore[arg-type]
        assert got.shape == ()
        wanted = 0.3 * by_hand(loss, target, model.mixed_by_hand(x, plan), model(x), plan)
        assert_same(got, wanted, model, [real, fake])


def test_joined_logits_do_as_well() -> None:
    model = Heads("dict").double()
    real, fake = images()
    term = MixupTerm(Mixed(model, "body"), RealFakePolicy("body"), target="consistency")
    joined = model(torch.cat([real, fake]))
    torch.testing.assert_close(
        term(real, fake, step=0, logits=joined), term(real, fake, step=0, logits=(model(real), model(fake)))
    )


class Classes(nn.Module):
    """A projection discriminator."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.embed, self.out = nn.Linear(5, 4), nn.Embedding(3, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.body(x).tanh()
        return self.out(h) + (h * self.embed(y)).sum(1, keepdim=True)


def rows(seed: int = 0, b: int = B) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(b, 5, generator=g, dtype=torch.float64).requires_grad_() for _ in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize("layer", ["pixel", "body"])
@pytest.mark.parametrize("target", ["paper", "consistency"])
def test_rows_without_partner_do_not_count(layer: str, target: Any) -> None:
    torch.manual_seed(0)
    model, (real, fake) = Classes().double(), rows()
    y = torch.tensor([0, 1, 2, 0, 0, 1, 1, 1])
    policy, x, found = RealFakePolicy(layer, alpha=1.0), torch.cat([real, fake]), set()
    term = MixupTerm(Mixed(model, layer), policy, "hinge", target, within="y")
    for step in range(6):
        plan = policy.draw(B, step, within=y)
        assert plan.weight is not None
        found.add(int(plan.weight.sum()))
        h = mixed_rows(x, plan) if layer == "pixel" else x
        h = model.body(h)
        h = (mixed_rows(h, plan) if layer == "body" else h).tanh()
        mixed = model.out(h) + (h * model.embed(y[plan.left])).sum(1, keepdim=True)
        logits = (model(real, y[:B]), model(fake, y[B:])) if target == "consistency" else None
        got = term(real, fake, step=step, y=y, logits=logits)
        assert_same(got, by_hand("hinge", target, mixed, model(x, y), plan), model, [real, fake])
    assert len(found) > 1
    assert min(found) < B


def test_no_row_with_a_partner_is_a_term_of_zero() -> None:
    model, (real, fake) = Classes().double(), rows(b=2)
    policy = RealFakePolicy("body", pairs=("real-fake",))
    got = MixupTerm(Mixed(model, "body"), policy, within="y")(real, fake, step=0, y=torch.tensor([0, 0, 1, 1]))
    assert got.item() == 0
    got.backward()
    assert all(p.grad is None or (p.grad.isfinite().all() and not p.grad.any()) for p in model.parameters())


def test_classes_of_b_rows_serve_real_and_fake_rows() -> None:
    model, (real, fake), y = Classes().double(), rows(), torch.tensor([0, 1, 2, 0])
    term = MixupTerm(Mixed(model, "body"), RealFakePolicy("body"), within="y")
    torch.testing.assert_close(term(real, fake, step=3, y=y), term(real, fake, step=3, y=torch.cat([y, y])))


class Steered(nn.Module):
    """Sequence first, (t, n, 5) -> (n, 1), with a nest of a gain a row, gains of (t, n) positions, and a table."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.out = nn.Linear(5, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor, cond: dict[str, Tensor]) -> Tensor:
        h = self.body(x) @ cond["table"]  # (t, n, 4)
        return self.out((h * cond["place"][..., None]).tanh().sum(0)) * cond["gain"][:, None]


def test_side_inputs_of_b_rows_lie_where_the_batch_does_and_shared_ones_stay() -> None:
    torch.manual_seed(0)
    model = Steered().double()
    real, fake = (torch.randn(3, B, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    gain, place, table = torch.rand(B).double(), torch.rand(3, B).double(), torch.rand(B, B).double()
    net = Mixed(model, "body", batch_dim=1, inputs={"cond['table']": "shared"})
    term = MixupTerm(net, RealFakePolicy("body"))
    once = term(real, fake, step=1, cond={"gain": gain, "place": place, "table": table})
    both = {"gain": torch.cat([gain, gain]), "place": torch.cat([place, place], 1), "table": table}
    assert torch.equal(once, term(real, fake, step=1, cond=both))
    assert once.item() != term(real, fake, step=1, cond=both | {"place": torch.cat([place, 1 - place], 1)}).item()


class Packing(nn.Module):
    """(n, f) -> (n / 2, 1)"""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(5, 3), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x).tanh().view(-1, 6))


@pytest.mark.parametrize("target", ["paper", "consistency"])
def test_packs(target: Any) -> None:
    torch.manual_seed(0)
    model, (real, fake) = Packing().double(), rows()
    policy = RealFakePolicy("inner", alpha=1.0)
    plan, x = policy.draw(B, 2, pack=2), torch.cat([real, fake])
    mixed = model.outer(mixed_rows(model.inner(x), plan).tanh().view(-1, 6))
    plain, total = model(x), torch.zeros((), dtype=torch.float64)
    for p in range(B // 2):
        i, j, lam = plan.left[2 * p], plan.right[2 * p], plan.lam[2 * p].double()
        if target == "paper":
            label = lam * (i < B) + (1 - lam) * (j < B)
            total = total + label * F.softplus(-mixed[p, 0]) + (1 - label) * F.softplus(mixed[p, 0])
        else:
            own = lam * plain[i // 2, 0] + (1 - lam) * plain[j // 2, 0]
            total = total + (mixed[p, 0] - own).square()
    logits = (model(real), model(fake)) if target == "consistency" else None
    got = MixupTerm(Mixed(model, "inner"), policy, "jsgan", target, pack=2)(real, fake, step=2, logits=logits)
    assert_same(got, total / (B // 2), model, [real, fake])


def test_the_baseline_adds_nothing() -> None:
    model, (real, fake) = Heads("map").double(), images()
    term = MixupTerm(Mixed(model, "none"), RealFakePolicy("none"))
    got = term(real, fake, step=0)
    assert (got.item(), got.dtype, got.requires_grad) == (0, torch.float32, False)
    loss = model(real).mean()
    assert torch.equal(loss + got, loss)


def test_only_rows_that_the_plan_uses_are_run_and_get_gradients() -> None:
    model, (real, fake) = Heads("map").double(), images()
    seen: dict[str, int] = {}
    for name in ("body", "neck"):
        model.get_submodule(name).register_forward_pre_hook(
            lambda _, args, name=name: seen.update({name: len(args[0])})
        )
    policy = RealFakePolicy("body", alpha=1.0)
    term, shares = MixupTerm(Mixed(model, "body"), policy), set()
    for step in range(5):
        got, plan = term(real, fake, step=step), policy.draw(B, step)
        used = sorted({*plan.left.tolist(), *plan.right.tolist()})
        assert seen == {"body": len(used), "neck": B}
        shares.add(len(used))
        gradient = torch.cat(torch.autograd.grad(got, [real, fake]))
        assert gradient.flatten(1).any(1).nonzero().flatten().tolist() == used
    assert min(shares) < 2 * B


def test_under_autocast_the_term_is_float32() -> None:
    torch.manual_seed(0)
    model = Heads("list")
    real, fake = (x.detach().float() for x in images())
    net, policy = Mixed(model, LAYERS), RealFakePolicy(LAYERS, alpha=1.0)
    for target in ("paper", "consistency"):
        for step in range(4):
            term = MixupTerm(net, policy, "hinge", target)  # type: ignore[arg-type]
            with torch.autocast("cpu", torch.bfloat16):
                logits = (net(real), net(fake)) if target == "consistency" else None
                got = term(real, fake.bfloat16(), step=step, logits=logits)
            assert got.dtype == torch.float32
            exact = term(real, fake, step=step, logits=None if logits is None else (model(real), model(fake)))
            torch.testing.assert_close(got, exact, rtol=0.05, atol=0.02)
            got.backward()
            assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("layer", LAYERS)
def test_a_frozen_discriminator_passes_gradients_to_the_rows(layer: str) -> None:
    model, (real, fake) = Heads("map").double(), images()
    free = torch.autograd.grad(MixupTerm(Mixed(model, layer), RealFakePolicy(layer))(real, fake, step=1), fake)[0]
    model.requires_grad_(False)
    got = MixupTerm(Mixed(copy.deepcopy(model), layer), RealFakePolicy(layer))(real, fake, step=1)
    assert torch.equal(torch.autograd.grad(got, fake)[0], free)
    assert free.any()


@pytest.mark.parametrize("order", ["before", "after"])
def test_beside_a_gradient_penalty_of_the_same_step(order: str) -> None:
    torch.manual_seed(0)
    model, (real, fake) = Heads("map").double(), images()
    net, policy = Mixed(model, LAYERS), RealFakePolicy(LAYERS)
    term = MixupTerm(net, policy, "hinge")

    def penalty() -> Tensor:
        (gradient,) = torch.autograd.grad(net(real).sum(), real, create_graph=True)
        return gradient.square().sum((1, 2, 3)).mean()

    def gradients(loss: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, materialize_grads=True))

    apart = [a + b for a, b in zip(gradients(penalty()), gradients(term(real, fake, step=1)), strict=True)]
    if order == "before":
        loss = term(real, fake, step=1) + penalty()
    else:
        r1 = penalty()
        loss = r1 + term(real, fake, step=1)
    torch.testing.assert_close(gradients(loss), apart, rtol=1e-12, atol=1e-12)


def normed() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)
    )


@pytest.mark.parametrize("layer", ["pixel", "0", "1", "2", "3", "4"])
def test_batch_norm_sees_real_fake_and_mixed_rows_apart(layer: str) -> None:
    torch.manual_seed(0)
    model, (real, fake) = normed().double(), rows()
    policy, twin, start = RealFakePolicy(layer, alpha=1.0), copy.deepcopy(model), copy.deepcopy(model)
    got = MixupTerm(Mixed(model, layer), policy, "hinge")(real, fake, step=2)
    k, plan = 0 if layer == "pixel" else int(layer) + 1, policy.draw(B, 2)
    head = copy.deepcopy(twin[:k])  # its running statistics do not matter
    shared = [p for m in head for p in m.parameters()]
    h = torch.cat([head(real.clone()), head(fake.clone())])
    if not any(isinstance(m, nn.BatchNorm1d) for m in head):
        assert torch.allclose(h, head(torch.cat([real, fake])))
    wanted = by_hand("hinge", "paper", twin[k:](mixed_rows(h, plan)), torch.zeros(2 * B, 1), plan)
    torch.testing.assert_close(got.double(), wanted, rtol=1e-6, atol=1e-7)
    inputs = [real, fake]
    for a, b in zip(
        torch.autograd.grad(got, [*inputs, *model.parameters()], allow_unused=True),
        torch.autograd.grad(wanted, [*inputs, *shared, *twin[k:].parameters()], allow_unused=True),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
    for i, module in enumerate(model):
        before_layer = i < k
        wanted_buffers = dict((start if before_layer else twin)[i].named_buffers())
        torch.testing.assert_close(dict(module.named_buffers()), wanted_buffers, msg=f"{layer}: {i}")
    assert all(m.track_running_stats for m in model if isinstance(m, nn.BatchNorm1d))


class Spread(nn.Module):
    """Minibatch standard deviation between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.out = nn.Linear(5, 4), nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        return self.out(torch.cat([h, h.std(0).mean().expand(len(h), 1)], 1))


def test_minibatch_statistics_are_the_mixed_rows_own() -> None:
    torch.manual_seed(0)
    model, (real, fake) = Spread().double(), rows()
    policy = RealFakePolicy("body", alpha=1.0)
    plan, x = policy.draw(B, 1), torch.cat([real, fake])
    h = mixed_rows(model.body(x), plan)
    mixed = model.out(torch.cat([h, h.std(0).mean().expand(B, 1)], 1))
    got = MixupTerm(Mixed(model, "body"), policy, "wasserstein")(real, fake, step=1)
    assert_same(got, by_hand("wasserstein", "paper", mixed, model(x), plan), model, [real, fake])


def test_around_a_compiled_network() -> None:
    torch.manual_seed(0)
    torch.compiler.reset()
    model, (real, fake) = Classes().double(), (x.detach() for x in rows())
    net, policy, y = Mixed(model, "pixel,body"), RealFakePolicy("pixel,body", alpha=1.0), torch.tensor([0, 1, 2, 0] * 2)
    net.check(torch.cat([real, fake]), y=y)
    graphs: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        graphs.append(1)
        return graph.forward

    compiled = torch.compile(net, fullgraph=True, backend=backend)
    for step in range(6):
        wanted = MixupTerm(net, policy, "hinge", within="y")(real, fake, step=step, y=y)
        got = MixupTerm(compiled, policy, "hinge", within="y")(real, fake, step=step, y=y)
        assert_same(got, wanted, model, [])
    assert len(graphs) == 2, "one graph a layer"
    torch.compiler.reset()


@pytest.mark.slow(1)
def test_plans_of_any_number_of_used_rows_compile_once_or_twice_a_layer() -> None:
    torch.compiler.reset()
    model, (real, fake), graphs = Heads("map").double(), (x.detach() for x in images()), []
    net, policy = Mixed(model, "body"), RealFakePolicy("body", alpha=1.0)
    net.check(torch.cat([real, fake]))
    compiled = torch.compile(net, fullgraph=True, backend=lambda graph, _: graphs.append(1) or graph.forward)  # type: ignore[func-returns-value]
    for step in range(8):
        wanted = MixupTerm(net, policy)(real, fake, step=step)
        assert_same(MixupTerm(compiled, policy)(real, fake, step=step), wanted, model, [])
    assert len(graphs) <= 2
    torch.compiler.reset()


def test_the_term_owns_nothing_and_draws_purely() -> None:
    model, (real, fake) = Heads("map").double(), images()
    term = MixupTerm(Mixed(model, LAYERS), RealFakePolicy(LAYERS))
    assert not list(term.parameters())
    assert not term.state_dict()
    state = torch.get_rng_state()
    first = term(real, fake, step=3)
    term(real, fake, step=4)
    assert torch.equal(term(real, fake, step=3), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_rank_is_the_process_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (real, fake) = Heads("map").double(), images()
    net, policy = Mixed(model, "body"), RealFakePolicy("body")
    by_rank = [MixupTerm(net, policy, rank=rank)(real, fake, step=0) for rank in range(3)]
    assert len({value.item() for value in by_rank}) == 3
    term = MixupTerm(net, policy)
    assert torch.equal(term(real, fake, step=0), by_rank[0])
    monkeypatch.setenv("RANK", "1")
    assert torch.equal(MixupTerm(net, policy)(real, fake, step=0), by_rank[1])
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 2)
    assert torch.equal(MixupTerm(net, policy)(real, fake, step=0), by_rank[2])
    assert torch.equal(term(real, fake, step=0), by_rank[2]), "the group may start after the term is made"


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    model, (real, fake) = Heads("map").double(), images()
    net, policy = Mixed(model, "body"), RealFakePolicy("body")

    def of(*args: Any, step: int = 0, **more: Any) -> Callable[..., Any]:
        return lambda **call: MixupTerm(*(args or (net, policy)), **more)(*rows, step=step, **call)

    rows = real, fake
    refusals: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
        (r"loss 'hing' is unknown: choose one of jsgan", of(loss="hing"), {}),
        (r"target 'real' is unknown: choose one of paper, fake, consistency", of(target="real"), {}),
        (r"it takes a RealFakePolicy", of(net, PermutationPolicy("body")), {}),
        (r"takes a Mixed, or DDP or torch\.compile around one, not Heads", of(model, policy), {}),
        (r"pass logits=\(net\(real\), net\(fake\)\)", of(target="consistency"), {}),
        (r"logits= is for target='consistency', not for 'paper'", of(), {"logits": real}),
        (r"within='y' names no side input of this call: pass y=classes", of(within="y"), {}),
        (r"mixes at 'neck', but this network was wrapped for 'body'", of(net, RealFakePolicy("neck")), {}),
        (r"4 rows cannot be cut into packs of 3", of(pack=3), {}),
    ]
    for wanted, call, named in refusals:
        with pytest.raises(UserError, match=wanted) as caught:
            call(**named)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"real \(4, 2, 4, 4\) and fake \(3, 2, 4, 4\) must have one shape"):
        MixupTerm(net, policy)(real, fake[:3], step=0)


def test_logits_of_another_structure_are_refused() -> None:
    model, (real, fake) = Heads("list").double(), images()
    term = MixupTerm(Mixed(model, "body"), RealFakePolicy("body"), target="consistency")
    out = model(real)
    for logits in ((out, out[:1]), (out, out[0]), (out[0], model(fake)[0]), out):
        with pytest.raises((UserError, ValueError), match=r"logits|heads|rows"):
            term(real, fake, step=0, logits=logits)
