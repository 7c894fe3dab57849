"""`--cuda-graphs`, as far as it can be tested without a GPU: its refusals, and what its steps keep.

A replayed graph writes what it returns into the memory of its last replay. A backend does the same here: what a graph
returned is NaN as soon as the next step begins. So training that keeps a tensor of a graph too long is no longer equal.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jaxtyping
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func

from mmgan.config.fields import Names
from mmgan.config.gan import (
    GanConfig,
    GanDeviceSettings,
    GanMixSettings,
    GanNetworkSettings,
    GanRegularizerSettings,
    GanTrainingSettings,
)
from mmgan.data import make_images
from mmgan.errors import UserError
from mmgan.gan.build import make_parts
from mmgan.gan.compiled import compile_networks
from mmgan.gan.loop import make_policy, train_gan
from mmgan.gan.networks import build_networks
from mmgan.regularizers import LeCam
from mmgan.train_gan import main
from mmgan.training.guard import Guard
from mmgan.training.tasks import LoopContext
from tests.support.small_runs import UNSCORED

# the compiler looks at G's output, which D takes in, as if it were a weight
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


class Replays:
    """A backend of torch.compile whose graphs reuse the memory of what they returned.

    Attributes:
        graphs: how many were compiled, forward and backward.
    """

    def __init__(self) -> None:
        self.graphs = 0
        self.returned: list[torch.UntypedStorage] = []
        self.backend = aot_autograd(fw_compiler=self.record, bw_compiler=self.record)

    def record(self, graph: torch.fx.GraphModule, _: Sequence[Tensor]) -> Callable[..., Any]:
        self.graphs += 1

        def replay(*inputs: Any) -> Any:
            out = graph(*inputs)
            given = {x.untyped_storage().data_ptr() for x in inputs if isinstance(x, Tensor)}
            storages = [y.untyped_storage() for y in out if isinstance(y, Tensor) and y.is_floating_point()]
            self.returned += [storage for storage in storages if storage.data_ptr() not in given]
            return out

        return make_boxed_func(replay)

    def begin_step(self) -> None:
        for storage in self.returned:
            storage.fill_(0xFF)  # NaN in every float
        self.returned = []


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replays]:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # its checks cannot be traced
    found, compiled = Replays(), nn.Module.compile

    def through_backend(self: nn.Module, *, fullgraph: bool, mode: str | None) -> None:
        assert fullgraph
        assert mode in ("reduce-overhead", None)
        compiled(self, fullgraph=True, backend=found.backend)

    monkeypatch.setattr(nn.Module, "compile", through_backend)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", found.begin_step)
    torch.compiler.reset()
    yield found
    torch.compiler.reset()


MIX = GanMixSettings(mix=Names("1,pixel"), mix_target="consistency")
TRAINING = GanTrainingSettings(steps=2, n_dis=3, batch_size=8, accumulate=2, lr=1e-3, ema=0.5)
MANY = GanRegularizerSettings(lecam=0.3, bcr=1.0, zcr=1.0, diffaugment=Names("color"))
FEW = GanRegularizerSettings(lecam=0.3)


def train(cuda_graphs: bool, regularizers: GanRegularizerSettings) -> dict[str, Tensor]:
    """The weights, averages and statistics after some iterations with many parts on."""
    settings = GanNetworkSettings(d_width=4, g_width=4, latent_dim=6)
    networks = build_networks(settings, channels=1, image_size=16, seed=0)
    device = GanDeviceSettings(compile=True, cuda_graphs=cuda_graphs)
    config = GanConfig(mix=MIX, networks=settings, training=TRAINING, regularizers=regularizers, device=device)
    pixels = torch.randint(0, 256, (23, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    accelerator = Accelerator(cpu=True)
    parts = make_parts(*networks, config, make_images("noise", "train", pixels), make_policy(MIX), accelerator)
    rows: list[dict[str, Any]] = []
    train_gan(parts, MIX, TRAINING, LoopContext(accelerator, on_metrics=rows.extend))
    assert len({layer for row in rows for layer in row["layers"]}) == 2
    states = {
        f"{kind}.{name}": value for kind, net in parts.networks().items() for name, value in net.state_dict().items()
    }
    return {name: value.clone() for name, value in states.items()}


@pytest.mark.soak
def test_no_step_reads_what_a_graph_of_an_earlier_step_returned(replays: Replays) -> None:
    plain = train(False, MANY)
    assert replays.graphs > 16, "more than the eight of each network at which torch gives up by itself"
    torch.compiler.reset()
    replays.returned = []
    for name, value in train(True, MANY).items():
        assert torch.equal(value, plain[name]), name


@pytest.mark.soak
@pytest.mark.parametrize("kept", ["gradients of a slice", "logits"])
def test_what_is_kept_too_long_is_noticed(kept: str, replays: Replays, monkeypatch: pytest.MonkeyPatch) -> None:
    if kept == "logits":  # as buffers that hold a graph's own output
        value = LeCam.value
        monkeypatch.setattr(LeCam, "value", lambda self, step: value(self, step) + 0 * _kept(self, step.real_logits))
    else:  # slices are told apart as steps are
        backward = Guard.backward
        monkeypatch.setattr(Guard, "backward", lambda self, loss: (backward(self, loss), replays.begin_step())[0])
    with pytest.raises(Exception, match="not finite"):
        train(True, FEW)


def _kept(term: LeCam, logits: Tensor) -> Tensor:
    """The sum of the logits of the step before."""
    before = term.__dict__.get("before", torch.zeros(()))
    term.__dict__["before"] = logits.detach()
    return before.sum()


def test_networks_are_compiled_for_cuda_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, **options: asked.append(options))
    compile_networks(nn.Linear(1, 1), nn.Linear(1, 1), cuda_graphs=True)
    assert asked == [{"fullgraph": True, "mode": "reduce-overhead"}] * 2
    assert "triton.cudagraphs" in torch._inductor.list_mode_options()["reduce-overhead"]


def test_they_need_the_compiler_and_a_gpu(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="--cuda-graphs replays what was compiled: add --compile"):
        GanDeviceSettings(cuda_graphs=True)
    for flags, named in ((["--compile", "--cuda-graphs"], "--cuda-graphs"), (["--tf32"], "--tf32")):
        assert main([*UNSCORED, *flags, "--out", str(tmp_path / "run")]) == 2
        assert f"{named} needs a GPU, and this run is on a CPU: leave it out" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()
