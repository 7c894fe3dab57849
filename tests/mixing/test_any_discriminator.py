"""Every kind of discriminator is mixed exactly, or refused with a line: none is silently wrong.

The oracle is a continuation by hand: the layer's rows are interpolated by the formula, and the network runs on M rows
with those in place of the layer's output. It uses plain hooks and nothing of the core.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, PermutationPolicy, RealFakePolicy
from mmgan.discriminators import build_discriminator
from mmgan.errors import UserError
from mmgan.mixing.verdict import Mode, Verdict
from mmgan.nests import leaves, map_nest
from tests.support import discriminators as d
from tests.support.by_hand import ThinResNet18

pytestmark = pytest.mark.slow(17)

N = 8
IMAGES = (3, 8, 8)


@dataclass
class Use:
    """One natural use of a network.

    Attributes:
        build: makes the network.
        layer: as the user writes it.
        mode: the mode.
        refused: a part of the line that refuses it; None where it must be exact.
        x: shape of a row, or a function that makes the whole input.
        side: makes the side inputs of a batch, by name.
        positional: side inputs go by position.
        modules: the layer's modules, where its name does not say them.
        options: of `Mixed`.
        within: the side input within whose classes pairs stay.
        pack: rows that are joined.
        train: training mode.
        parts_apart: the oracle runs real and fake rows in forwards of their own.
        held: what mixed rows carry of a per-row integer is the layer's own affair.
    """

    build: Callable[[], nn.Module]
    layer: str | dict[str, list[str]]
    mode: Mode = "append"
    refused: str | None = None
    x: tuple[int, ...] | Callable[[], Tensor] = IMAGES
    side: Callable[[int], dict[str, Any]] = lambda n: {}
    positional: bool = False
    by_keyword: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    within: str | None = None
    pack: int = 1
    train: bool = True
    parts_apart: bool = False


def classes(n: int) -> dict[str, Any]:
    return {"y": torch.arange(n) % 3}


def condition(n: int) -> dict[str, Any]:
    return {"c": torch.randn(n, 5)}


def ladd(n: int) -> dict[str, Any]:
    return {"timestep": torch.rand(n), "conditions": {"text": torch.randn(n, 5)}, "table": torch.randn(N, 6)}


def signal() -> Tensor:
    return torch.randn(N, 1, 16)


TABLE = {"inputs": {"table": "shared"}}
LOGITS = {"pick": lambda output: output[0]}
CHANGES_ROWS = "would let rows see each other"
AROUND = "a path runs around it"

USES = {
    "SN-ResNet block": Use(lambda: build_discriminator("resnet", 16, 3, 4), "1", x=(3, 16, 16)),
    "SN-ResNet pixel": Use(lambda: build_discriminator("resnet", 16, 3, 4), "pixel", x=(3, 16, 16)),
    "SN-ResNet alone": Use(lambda: build_discriminator("resnet", 16, 3, 4), "2", "alone", x=(3, 16, 16)),
    "mimicry, activations in place": Use(d.InPlace, "first"),
    "mimicry, inside a branch": Use(d.InPlace, "body.c1", refused=AROUND),
    "mimicry, inside a branch, replace": Use(d.InPlace, "body.c1", "replace", refused=AROUND),
    "projection, within classes": Use(d.Projection, "block1", side=classes, positional=True, within="y"),
    "projection, classes that differ": Use(
        d.Projection, "block1", side=classes, positional=True, refused="draw the plan within them"
    ),
    "projection, soft class": Use(d.Projection, "block2+embed", side=classes, positional=True),
    "projection, soft class, alone": Use(d.Projection, "block2+embed", "alone", side=classes, positional=True),
    "projection, within, alone": Use(d.Projection, "block2", "alone", side=classes, within="y"),
    "condition twice": Use(d.ConditionalFirst, "block2", side=condition),
    "condition twice, alone": Use(d.ConditionalFirst, "block2", "alone", side=condition),
    "condition twice, replace": Use(d.ConditionalFirst, "block2", "replace", side=condition),
    "condition twice, pixel": Use(d.ConditionalFirst, "pixel", side=condition),
    "StyleGAN2, append": Use(d.StyleGAN2, "b4", side=condition, refused=CHANGES_ROWS),
    "StyleGAN2, alone": Use(d.StyleGAN2, "b4", "alone", side=condition),
    "StyleGAN2, alone, first block": Use(d.StyleGAN2, "b8", "alone", side=condition),
    "StyleGAN2, separate": Use(d.StyleGAN2, "b4", side=condition, options={"passes": "separate"}, parts_apart=True),
    "StudioGAN multi-head, within": Use(
        d.HeadsByLabel,
        "body",
        side=lambda n: {"label": classes(n)["y"]},
        within="label",
        options={"pick": lambda output: output["adv_output"]},
    ),
    "lightweight-gan, whole output": Use(d.TwoHeads, "body", refused="leave it out with Mixed(..., pick=...)"),
    "lightweight-gan, both heads": Use(d.TwoHeads, "body", options={"pick": lambda output: output[:2]}),
    "lightweight-gan, sum of the heads": Use(
        d.TwoHeads, "body", options={"pick": lambda output: output[0] + output[1]}, refused=AROUND
    ),
    "gigagan, scales become rows": Use(d.Scales, "body", refused="does not have the batch's 8 rows"),
    "taming PatchGAN, append": Use(lambda: d.Patch(nn.BatchNorm2d(4)), "first", refused="'norm', a BatchNorm"),
    "taming PatchGAN, alone": Use(lambda: d.Patch(nn.BatchNorm2d(4)), "first", "alone"),
    "taming PatchGAN, alone after the norm": Use(lambda: d.Patch(nn.BatchNorm2d(4)), "norm", "alone", parts_apart=True),
    "taming PatchGAN, separate": Use(
        lambda: d.Patch(nn.BatchNorm2d(4)), "norm", options={"passes": "separate"}, parts_apart=True
    ),
    "pix2pix, InstanceNorm": Use(lambda: d.Patch(nn.InstanceNorm2d(4)), "second"),
    "pix2pix, condition as an input": Use(d.ConditionalPatch, "net.0", side=lambda n: {"x": torch.randn(n, *IMAGES)}),
    "1d-tokenizer, GroupNorm": Use(lambda: d.Patch(nn.GroupNorm(2, 4)), "norm"),
    "stylegan-t, norm over pairs": Use(d.GroupStatistics, "features", refused=CHANGES_ROWS),
    "stylegan-t, alone": Use(d.GroupStatistics, "features", "alone"),
    "LADD, several side inputs": Use(d.ManySideInputs, "block", x=(3, 6), side=ladd, options=TABLE),
    "LADD, a table that looks like rows": Use(d.ManySideInputs, "block", x=(3, 6), side=ladd, refused="'shared'"),
    "hifi-gan, logits and feature maps": Use(d.Period, "convs.0", x=signal),
    "hifi-gan, logits picked, alone": Use(d.Period, "convs.1", "alone", x=signal, options=LOGITS),
    "hifi-gan, maps from before, alone": Use(d.Period, "convs.1", "alone", x=signal, refused="has no rows for output"),
    "hifi-gan, real and fake in one call": Use(d.BothInOne, "body", x=signal, refused=CHANGES_ROWS),
    "a view with the input's rows": Use(d.RowsFromTheInput, "act"),
    "a view with the input's rows, alone": Use(d.RowsFromTheInput, "act", "alone"),
    "audio codec, lists of lists": Use(d.Spectrogram, "b", x=signal),
    "U-Net, inner layer": Use(d.UNet, "mid", refused=AROUND),
    "U-Net, inner layer, replace": Use(d.UNet, "mid", "replace", refused=AROUND),
    "U-Net, a cut of three": Use(d.UNet, {"mid": ["mid", "down2", "down1"]}),
    "U-Net, a cut of three, replace": Use(d.UNet, "mid+down2+down1", "replace"),
    "U-Net, a cut of three, alone": Use(d.UNet, "mid+down2+down1", "alone"),
    "U-Net, pixel": Use(d.UNet, "pixel"),
    "CTGAN, packs": Use(lambda: d.Packs(2), "pixel", x=(6,), pack=2, train=False),
    "CTGAN, packs, alone": Use(lambda: d.Packs(2), "pixel", "alone", x=(6,), pack=2, train=False),
    "CTGAN, a plan without packs": Use(lambda: d.Packs(2), "pixel", x=(6,), refused="draw it with pack=2"),
    "MONAI, scales": Use(d.MultiScale, "pixel"),
    "MONAI, one scale's layer": Use(d.MultiScale, "one.first", options={"pick": lambda output: output[0]}),
    "torchvision ResNet, replace": Use(ThinResNet18, "layer2", "replace", x=(3, 32, 32), train=False),
    "torchvision ResNet, append": Use(ThinResNet18, "layer2", x=(3, 32, 32), refused="'bn1'"),
    "ViT by keyword": Use(d.ViT, "block", by_keyword="pixel_values"),
    "ViT, attention in its branch": Use(d.ViT, "block.attn", "replace", by_keyword="pixel_values", refused=AROUND),
    "ViT, recomputed segment": Use(lambda: d.ViT(True), "block", "replace", refused="gradient checkpointing"),
    "ViT, after a recomputed segment": Use(lambda: d.ViT(True), "block2", "replace"),
    "time first": Use(d.TimeFirst, "layer", x=lambda: torch.randn(5, N, 6), options={"batch_dim": 1}),
    "time first, T = N, as if batch first": Use(
        d.TimeFirst, "layer", "replace", x=lambda: torch.randn(N, N, 6), refused="batch_dim=1"
    ),
    "LSTM read from h_n": Use(lambda: d.Recurrent(True), "lstm", "replace", x=(5, 6), refused="does not reach"),
    "LSTM read from h_n, time first": Use(
        lambda: d.Recurrent(False), "lstm", x=lambda: torch.randn(5, N, 6), options={"batch_dim": 1}
    ),
    "token ids": Use(d.Tokens, "embed", x=lambda: torch.randint(11, (N, 5))),
    "token ids, pixel": Use(d.Tokens, "pixel", x=lambda: torch.randint(11, (N, 5)), refused="cannot be interpolated"),
    "attention over the batch behind a zero gate": Use(lambda: d.Gated("batch"), "body", refused=CHANGES_ROWS),
    "a skip behind a zero gate": Use(lambda: d.Gated("skip"), "body", refused=AROUND),
    "statistics under no_grad": Use(d.Unseen, "body", refused=CHANGES_ROWS),
    "data-dependent initialisation": Use(d.with_act_norm, "first"),
    "spectral norm by hooks": Use(d.hook_spectral, "first", train=False),
    "dropout": Use(d.with_dropout, "first", train=False),
}


def inputs_of(use: Use) -> tuple[tuple[Any, ...], dict[str, Any]]:
    torch.manual_seed(3)
    x = use.x() if callable(use.x) else torch.randn(N, *use.x)
    side = use.side(N)
    if use.by_keyword:
        return (), {use.by_keyword: x, **side}
    return ((x, *side.values()), {}) if use.positional else ((x,), side)


def plan_for(use: Use, lam: float | None = None) -> MixPlan:
    within = use.side(N)[use.within] if use.within else None
    layer = use.layer if isinstance(use.layer, str) else next(iter(use.layer))
    policy = RealFakePolicy(layer, alpha=1.0) if use.mode != "replace" else PermutationPolicy(layer, per="example")
    rows = N // 2 if use.mode != "replace" else N
    plan = policy.draw(rows, 5, within=within, pack=use.pack)
    if lam is not None:
        plan = MixPlan(**{**plan.__dict__, "lam": torch.full_like(plan.lam, lam)})
    return plan


def modules_of(use: Use) -> list[str]:
    if isinstance(use.layer, dict):
        return next(iter(use.layer.values()))
    return [{"1": "block1", "2": "block2"}.get(name, name) for name in use.layer.split("+")]


def run_with(
    model: nn.Module,
    modules: Sequence[str],
    change: Callable[[str, Any], Any],
    args: Sequence[Any],
    named: dict[str, Any],
) -> Any:
    """The network's output with `change(name, output)` at the modules; "pixel" is the first input."""
    hooks = [
        model.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: change(name, out))
        for name in modules
        if name != "pixel"
    ]
    try:
        if "pixel" in modules:
            args, named = first_changed(args, named, lambda x: change("pixel", x))
        torch.manual_seed(0)
        return model(*args, **named)
    finally:
        for hook in hooks:
            hook.remove()


def first_changed(
    args: Sequence[Any], named: dict[str, Any], change: Callable[[Any], Any]
) -> tuple[Sequence[Any], dict[str, Any]]:
    if args:
        return (change(args[0]), *args[1:]), named
    first = next(iter(named))
    return args, {**named, first: change(named[first])}


def by_hand(use: Use, model: nn.Module, args: Sequence[Any], named: dict[str, Any], plan: MixPlan) -> tuple[Any, Any]:
    """(plain output, mixed rows' output), each on a network in the state that it had before."""
    dim = use.options.get("batch_dim", 0)
    pick = use.options.get("pick", lambda output: output)
    kinds = use.options.get("inputs", {})
    lam = plan.lam

    def rows(change: Callable[[Tensor, int], Tensor]) -> tuple[Sequence[Any], dict[str, Any]]:
        def of(name: str, value: Any) -> Any:
            if kinds.get(name) == "shared":
                return value
            return map_nest(lambda _, t: change(t, dim if t.dim() > dim and t.shape[dim] == N else 0), value)

        return tuple(of(str(i), value) for i, value in enumerate(args)), {k: of(k, v) for k, v in named.items()}

    def mix(t: Tensor, at: int) -> Tensor:
        a, b = t.index_select(at, plan.left), t.index_select(at, plan.right)
        if not t.is_floating_point():
            return a
        weight = lam.view([-1 if i == at else 1 for i in range(t.dim())])
        return weight * a + (1 - weight) * b

    seen: dict[str, list[Any]] = {name: [] for name in modules_of(use)}

    def note(name: str, output: Any) -> Any:
        seen[name].append(map_nest(lambda _, t: t.clone(), output))
        return output

    plain = []
    fresh = copy.deepcopy(model)
    parts = [(0, N // 2), (N // 2, N // 2)] if use.parts_apart else [(0, N)]
    twin = copy.deepcopy(model)
    for start, size in parts:
        some, few = rows(lambda t, at, a=start, n=size: t.narrow(at, a, n))
        plain.append(pick(run_with(twin, modules_of(use), note, some, few)))
    hidden = {
        name: map_nest(
            lambda path, t, o=outs: torch.cat([dict(leaves(one))[path] for one in o], dim) if t.dim() > dim else t,
            outs[0],
        )
        for name, outs in seen.items()
    }

    def insert(name: str, output: Any) -> Any:
        mixed = dict(
            leaves(
                map_nest(
                    lambda _, t: mix(t, dim) if t.is_floating_point() and t.dim() > dim and t.shape[dim] == N else t,
                    hidden[name],
                )
            )
        )
        return map_nest(lambda path, t: mixed[path] if t.is_floating_point() else t, output)

    side_args, side_named = rows(mix)
    copies_args, copies_named = first_changed(
        side_args,
        side_named,
        lambda _: (args[0] if args else next(iter(named.values()))).index_select(dim, plan.left),
    )
    mixed = pick(run_with(twin if use.parts_apart else fresh, modules_of(use), insert, copies_args, copies_named))
    whole = map_nest(lambda path, _: torch.cat([dict(leaves(one))[path] for one in plain]), plain[0])
    return whole, mixed


def exact_uses() -> list[Any]:
    return [pytest.param(use, id=name) for name, use in USES.items() if use.refused is None]


def network_of(use: Use) -> nn.Module:
    torch.manual_seed(1)
    model = use.build().train(use.train)
    for name, parameter in model.named_parameters():
        if "gate" not in name and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return model.double()


def doubled(nest: Any) -> Any:
    return map_nest(lambda _, t: t.double() if t.is_floating_point() else t, nest)


@pytest.mark.parametrize("use", exact_uses())
def test_exact(use: Use) -> None:
    model = network_of(use)
    args, named = (doubled(part) for part in inputs_of(use))
    with torch.no_grad():
        model(*args, **named)  # what initialises itself by its first batch has done so
    plan = plan_for(use)
    plan = MixPlan(**{**plan.__dict__, "lam": plan.lam.double()})
    assert plan.weight is None or plan.weight.sum() >= 2
    twin = copy.deepcopy(model)
    net = Mixed(model, use.layer, **use.options)
    torch.manual_seed(0)
    got = dict(leaves(net(*args, plan=plan, mode=use.mode, **named)))
    plain, mixed = (dict(leaves(one)) for one in by_hand(use, twin, args, named, plan))
    valid = slice(None) if plan.weight is None else plan.weight.bool()
    m, n = len(plan) // use.pack, N // use.pack
    through = 0
    for path, leaf in got.items():
        if use.mode == "alone":
            torch.testing.assert_close(leaf[valid], mixed[path][valid], msg=path)
        elif use.mode == "replace":
            expected = plain[path].clone()
            expected[plan.left] = mixed[path]
            torch.testing.assert_close(leaf, expected, msg=path)
        else:
            assert len(leaf) in (n, n + m), path
            torch.testing.assert_close(leaf[:n], plain[path], msg=path)
            if len(leaf) == n + m:
                torch.testing.assert_close(leaf[n:][valid], mixed[path][valid], msg=path)
        through += len(leaf) != n or not torch.equal(leaf, plain[path])
    assert through, "something was mixed"


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(u, id=k)
        for k, u in USES.items()
        if u.refused is None and u.mode == "append" and "passes" not in u.options and "+" not in str(u.layer)
    ],
)
def test_lam_of_one_gives_the_left_row(use: Use) -> None:
    model = network_of(use).eval()
    args, named = (doubled(part) for part in inputs_of(use))
    plan = plan_for(use, lam=1.0)
    net = Mixed(model, use.layer, **use.options)
    out = plan.of_outputs()
    for _, leaf in leaves(net(*args, plan=plan, mode="append", **named)):
        if len(leaf) > out.rows:
            torch.testing.assert_close(leaf[out.rows :], leaf[out.left])


@pytest.mark.parametrize("use", [pytest.param(use, id=name) for name, use in USES.items() if use.refused is not None])
def test_refused(use: Use) -> None:
    model = network_of(use)
    args, named = (doubled(part) for part in inputs_of(use))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    net = Mixed(model, use.layer, **use.options)
    with pytest.raises(UserError) as caught:
        net(*args, plan=plan_for(use), mode=use.mode, **named)
    assert use.refused is not None
    assert use.refused in str(caught.value)
    assert "\n" not in str(caught.value)
    if use.refused != "rows":
        torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


BY_THE_CALL = {
    "projection, classes that differ",  # the plan's pairs are at fault, not the network
    "token ids, pixel",  # the tap itself
    "lightweight-gan, whole output",  # the rows that come out
}
"""Uses that are refused without a look too."""


@pytest.mark.parametrize("name", [name for name, use in USES.items() if use.refused is not None])
def test_it_is_the_look_that_refuses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a look that finds everything sound, each case above would fail."""
    use = USES[name]
    monkeypatch.setattr(
        "mmgan.mixing.mixed.look_at", lambda model, cuts, *_: {cut.name: Verdict(pack=use.pack) for cut in cuts}
    )
    args, named = (doubled(part) for part in inputs_of(use))
    net = Mixed(network_of(use), use.layer, **use.options)
    said = ""
    try:
        net(*args, plan=plan_for(use), mode=use.mode, **named)
    except (UserError, RuntimeError, IndexError) as error:
        said = str(error)
    assert (str(use.refused) in said) == (name in BY_THE_CALL)


PAGE = Path(__file__).parents[2] / "docs" / "networks.md"
BEGIN, END = "<!-- uses -->\n", "<!-- end of uses -->\n"


def table() -> str:
    """The uses above as Markdown: what each is, and how it comes out."""
    rows = ["| network and use | layer | mode | outcome |", "| --- | --- | --- | --- |"]
    for name, use in USES.items():
        layer = use.layer if isinstance(use.layer, str) else " + ".join(next(iter(use.layer.values())))
        mode = f"{use.mode}, separate passes" if use.options.get("passes") == "separate" else use.mode
        outcome = "exact"
        if use.refused is not None:
            args, named = (doubled(part) for part in inputs_of(use))
            with pytest.raises(UserError) as caught:
                Mixed(network_of(use), use.layer, **use.options)(*args, plan=plan_for(use), mode=use.mode, **named)
            outcome = f"refused: {caught.value}"
        rows.append(f"| {name} | `{layer}` | {mode} | {outcome} |")
    return "\n".join(rows) + "\n"


def test_the_page_shows_these_uses() -> None:
    """`python -m tests.mixing.test_any_discriminator` writes the table anew."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    shown, _, _ = rest.partition(END)
    assert before
    assert shown == table()


if __name__ == "__main__":
    text = PAGE.read_text()
    head, _, tail = text.partition(BEGIN)
    PAGE.write_text(head + BEGIN + table() + END + tail.partition(END)[2])
