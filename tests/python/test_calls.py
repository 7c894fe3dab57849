"""mmgan.train_gan, mmgan.load_generator and mmgan.score as a program or a notebook calls them."""

import inspect
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from accelerate.state import AcceleratorState, GradientState
from PIL import Image
from torch import nn

import mmgan
from mmgan.commands import score as score_command
from mmgan.errors import TrainingFailed, UserError
from mmgan.train_gan import main
from tests.support.forks import Job, run_one

pytestmark = pytest.mark.slow(12)

TINY: dict[str, Any] = {
    **{"latent_dim": 8, "batch_size": 8, "n_dis": 1, "steps": 4, "ema": 0.9},
    **{"log_every": 2, "sample_every": 0, "score_every": 0},
}
PIXELS = torch.randint(0, 256, (24, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _fresh(blank: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    monkeypatch.chdir(tmp_path)


class G(nn.Module):
    def __init__(self, image_size: int, channels: int, latent_dim: int, width: int = 4) -> None:
        super().__init__()
        self.shape = channels, image_size, image_size
        self.body = nn.Sequential(
            nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, channels * image_size**2), nn.Tanh()
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.body(z).view(-1, *self.shape)


def critic(image_size: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(image_size**2, 8), nn.ReLU(), nn.Linear(8, 1))


def test_a_run_and_what_it_returns(tmp_path: Path) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    seen: list[tuple[int, int, tuple[int, ...]]] = []

    def callback(step: int, metrics: Any, generator: nn.Module) -> None:
        assert {number: signal.getsignal(number) for number in handlers} == handlers
        seen.append((step, metrics["step"], tuple(generator(torch.zeros(2, 8)).shape)))

    run = mmgan.train_gan(
        data=PIXELS,
        generator=G,
        generator_args={"width": 6},
        discriminator=critic,
        mix="1,pixel",
        callbacks=[callback],
        out="run",
        **TINY,
    )
    assert seen == [(2, 2, (2, 1, 16, 16)), (4, 4, (2, 1, 16, 16))]
    assert run.folder == Path("run")
    assert run.scores == {}
    assert run.sample(70).shape == (70, 1, 16, 16)
    assert torch.equal(run.sample(70)[:3], run.sample(3))
    loaded = mmgan.load_generator("run", "last", generator=G)
    assert not loaded.training
    z = torch.randn(4, 8)
    assert torch.equal(loaded(z), run.generator(z))
    with pytest.raises(UserError, match="has a generator of your own"):
        mmgan.load_generator("run", "last")

    again = mmgan.train_gan(
        data=PIXELS, generator=G, discriminator=critic, config="run/config.yaml", out="run", resume=True
    )
    assert torch.equal(again.generator(z), run.generator(z))
    with pytest.raises(UserError, match="the data's digest was"):
        mmgan.train_gan(
            data=PIXELS[1:], generator=G, discriminator=critic, config="run/config.yaml", out="run", resume=True
        )


def test_exceptions_of_the_caller_s_code(tmp_path: Path) -> None:
    class Pruned(Exception):
        pass

    def callback(step: int, metrics: Any, generator: nn.Module) -> None:
        raise Pruned

    with pytest.raises(Pruned) as pruned:
        mmgan.train_gan(data=PIXELS, discriminator=critic, callbacks=[callback], out="run", **TINY | {"g_width": 4})
    (note,) = pruned.value.__notes__
    assert note.startswith("raised by a callback after step 2; ")

    class Flaky(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if Path("flaky/config.yaml").exists():  # the run has begun
                raise ArithmeticError("the moon")
            return super().forward(x)

    with pytest.raises(
        TrainingFailed, match=r"Flaky failed after step 0: ArithmeticError: the moon .*test_calls"
    ) as told:
        mmgan.train_gan(data=PIXELS, discriminator=Flaky(*critic(16)), out="flaky", **TINY | {"g_width": 4})
    assert isinstance(told.value.__cause__, ArithmeticError)

    class Torn:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> torch.Tensor:
            return PIXELS[i + 1000]

    with pytest.raises(UserError, match=r"Torn failed when its items were read: IndexError: .*test_calls.py, line \d+"):
        mmgan.train_gan(data=Torn(), out="torn", **TINY)


def test_a_call_trains_what_the_command_trains(tmp_path: Path) -> None:
    words = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    words += ["--d-width", "4", "--g-width", "4", "--no-channels-last"]
    assert main([*words, "--mix", "1,pixel", "--out", "command"]) == 0
    mmgan.train_gan(mix=["1", "pixel"], d_width=4, g_width=4, out="call", channels_last=False, **TINY)
    for name in ("generator", "generator-average", "discriminator"):
        one, other = (
            safetensors.torch.load_file(f"{run}/checkpoints/step-00000004/{name}.safetensors")
            for run in ("command", "call")
        )
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_module_is_trained_as_it_is(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = G(16, 1, 8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    kept = TINY | {"ema": 0.0, "lr": 1e-9, "steps": 1}
    run = mmgan.train_gan(data=PIXELS, generator=network, discriminator=critic, out="run", **kept)
    assert all(torch.allclose(value, before[name], atol=1e-6) for name, value in run.generator.state_dict().items())


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown setting": ({"stepz": 3}, "train_gan has no setting 'stepz': did you mean steps?"),
    "a bad value": ({"steps": "many"}, "--steps many is not valid"),
    "a dry run": ({"dry_run": True}, "dry_run is for the command line"),
    "no such data": ({"data": "digit"}, "did you mean digits?"),
    "batches": ({"data": [PIXELS, PIXELS]}, "item 0 has shape"),
    "no network": ({"generator": 3}, "3 is no network"),
    "arguments of a module": ({"generator": G(16, 1, 8), "generator_args": {"width": 3}}, "it takes no arguments"),
    "arguments that are no data": (
        {"generator": G, "generator_args": {"width": {1}}},
        "bind it with functools.partial",
    ),
    "settings of ours": ({"generator": G, "g_width": 4}, "--g-width describes mmgan's own networks"),
    "a test split": ({"data": PIXELS, "real_split": "test"}, "needs a data set by name"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_one_of_mmgan_s_errors(name: str, tmp_path: Path) -> None:
    settings, line = REFUSED[name]
    with pytest.raises(UserError) as caught:
        mmgan.train_gan(out="run", **settings)
    assert line in str(caught.value)
    assert not Path("run").exists()


def test_scores_are_those_of_the_command(tmp_path: Path) -> None:
    other = PIXELS.flip(0).roll(3, 2)
    for name, pixels in (("real", PIXELS), ("fake", other)):
        Path(name).mkdir()
        for i, image in enumerate(pixels):
            Image.fromarray(image[0].numpy()).save(f"{name}/{i:04d}.png")
    flags = {"extractor": "timm:resnet10t", "is_splits": 2}
    weights = tmp_path / "weights.safetensors"
    import timm

    safetensors.torch.save_file(timm.create_model("resnet10t", pretrained=False).state_dict(), weights)
    by_tensor = mmgan.score(PIXELS, other, extractor_weights=weights, **flags)
    words = ["fake", "--real", "real", "--extractor-weights", str(weights), "--json", "scores.json"]
    assert score_command.main([*words, "--extractor", "timm:resnet10t", "--is-splits", "2"]) == 0
    by_command = json.loads(Path("scores.json").read_text())
    assert by_tensor == by_command | {"real": by_command["real"] | {"name": "tensor (24, 1, 16, 16)"}}
    with pytest.raises(UserError, match="images are uint8"):
        mmgan.score(PIXELS / 255, other)


def test_public_names() -> None:
    assert {"train_gan", "load_generator", "score", "Mixed"} <= set(dir(mmgan))
    assert all(callable(getattr(mmgan, name)) or name in ("GAN_LOSSES", "__version__") for name in dir(mmgan))
    assert "callbacks" in inspect.signature(mmgan.train_gan).parameters


def test_two_processes(tmp_path: Path) -> None:
    done = run_one(Job("tests.python.calls_in_processes", [str(tmp_path / "run")], processes=2))
    assert done.codes == [0, 0], done.err
    assert "scores {} sample (3, 1, 16, 16)" in done.out
