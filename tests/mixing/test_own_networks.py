"""The project's own networks, mixed at every stage, against mixing written out."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from mmgan import Mixed, PermutationPolicy, RealFakePolicy
from mmgan.classifiers import build_classifier
from mmgan.discriminators import build_discriminator
from mmgan.mixing.verdict import Mode
from tests.support.by_hand import Case, assert_equal_to_hand, child


def discriminator(arch: str) -> Callable[[], nn.Module]:
    return lambda: build_discriminator(arch, 16, channels=1, width=4)  # type: ignore[arg-type]


CLASSIFIERS: dict[str, Callable[[], nn.Module]] = {
    "preactresnet": lambda: build_classifier("preactresnet", 3, 1, 16, depth=18, width=4),
    "wideresnet": lambda: build_classifier("wideresnet", 3, 1, 16, depth=10, widen_factor=1),
    "mlp": lambda: build_classifier("mlp", 3, 1, 16, widths=(8, 6, 8), bottleneck=2, batch_norm=True),
}
DISCRIMINATORS = {"resnet": discriminator("resnet"), "dcgan": discriminator("dcgan")}


def stages_of(build: Callable[[], nn.Module]) -> list[str]:
    stages = build().stages
    assert isinstance(stages, dict)
    return ["pixel", *dict.fromkeys(stages.values())]


def case_of(build: Callable[[], nn.Module], last: str) -> Case:
    """Our networks run their children in order; `last` is what the forward does after them."""
    steps = [child(name) for name, _ in build().named_children()]
    after = {"squeeze": lambda model, h: h.squeeze(1), "nothing": lambda model, h: h}[last]
    return Case(build, (1, 16, 16), (*steps, ("(last)", after)))


def every(networks: dict[str, Callable[[], nn.Module]], last: str) -> list[object]:
    return [
        pytest.param(case_of(build, last), layer, id=f"{name}-{layer}")
        for name, build in networks.items()
        for layer in stages_of(build)
    ]


# a spectral norm iterates in training mode: one forward against one forward, buffers compared afterwards
@pytest.mark.parametrize(("case", "layer"), every(DISCRIMINATORS, "squeeze"))
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_discriminators(case: Case, layer: str, mode: Mode) -> None:
    plan = RealFakePolicy(layer, alpha=1.0).draw(3) if mode == "append" else PermutationPolicy(layer).draw(6)
    assert_equal_to_hand(case, [plan], mode=mode, n=6, train=True)


@pytest.mark.parametrize(("case", "layer"), every(CLASSIFIERS, "nothing"))
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_classifiers(case: Case, layer: str, mode: Mode) -> None:
    plan = RealFakePolicy(layer, alpha=1.0).draw(3) if mode == "append" else PermutationPolicy(layer).draw(6)
    assert_equal_to_hand(case, [plan], mode=mode, n=6, train=mode == "replace")


@pytest.mark.parametrize("build", [*DISCRIMINATORS.values(), *CLASSIFIERS.values()])
def test_short_names_stand_for_their_stages(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model = build().eval()
    x = torch.randn(6, 1, 16, 16)
    for number in ("1", "2", "3"):
        plan = PermutationPolicy(number).draw(6)
        wanted = Mixed(model, number, check=False)(x, plan=plan)
        stage = model.stages[number]  # type: ignore[index]
        for name in (f"h{number}", stage):
            net = Mixed(model, name, check=False)
            assert net.layers == (stage,)
            assert torch.equal(net(x, plan=PermutationPolicy(name).draw(6)), wanted)
            assert torch.equal(net(x, plan=plan), wanted), "a plan may use any name of the layer"


@pytest.mark.parametrize("arch", ["resnet", "dcgan"])
@pytest.mark.parametrize("k", range(5))
def test_blocks_before_the_layer_see_2b_rows_and_after_it_3b(arch: str, k: int) -> None:
    b = 4
    model = DISCRIMINATORS[arch]()
    layer = str(k) if k else "pixel"
    net, x = Mixed(model, layer), torch.randn(2 * b, 1, 16, 16)
    net.check(x)
    rows: dict[str, list[int]] = {}
    for name, block in model.named_children():
        block.register_forward_pre_hook(lambda module, args, name=name: rows.setdefault(name, []).append(len(args[0])))
    logits = net(x, plan=RealFakePolicy(layer).draw(b), mode="append")
    assert logits.shape == (3 * b,)
    counted = list(rows.values())
    assert counted == [[2 * b]] * k + [[3 * b]] * (len(counted) - k)
    assert {f"block{i}" for i in range(1, 5)} <= set(rows)
