"""Networks of the user's own by flag: what is refused, trained, resumed and sampled, and when their code runs."""

import functools
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
import yaml
from torch import nn

from mmgan.commands import inspect, sample, score
from mmgan.networks.code import code_facts
from mmgan.networks.own import find_factory
from mmgan.process.program import put_working_folder_first
from mmgan.runs.folder import RunFolder
from mmgan.train_gan import main
from tests.support.compare import contents
from tests.support.forks import Job, run_one

pytestmark = pytest.mark.slow(8)

BLOCKS = """
from torch import nn

def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 4, 2, 1), nn.LeakyReLU(0.2))
"""

MINE = """
import pathlib
import torch
from torch import nn
from own_blocks import block

pathlib.Path(__file__).with_name("code-ran").touch()


class G(nn.Module):
    def __init__(self, image_size, channels, latent_dim, width=4):
        super().__init__()
        self.first = nn.utils.spectral_norm(nn.Linear(latent_dim, width * 16))
        self.last = nn.ConvTranspose2d(width, channels, 4, image_size // 4)

    def forward(self, z):
        return self.last(self.first(z).view(len(z), -1, 4, 4)).tanh()


class D(nn.Module):
    def __init__(self, channels, width=4, frozen=False):
        super().__init__()
        self.block1, self.block2 = block(channels, width), block(width, width)
        self.head = nn.Linear(width * 16, 1)
        self.block1.requires_grad_(not frozen)

    def forward(self, x):
        h = self.block2(self.block1(x))
        return self.head(h.view(len(x), -1)), h


class Normed(D):
    def __init__(self, channels):
        super().__init__(channels)
        self.block2.append(nn.BatchNorm2d(4))


class Branched(D):
    def forward(self, x):
        h = self.block2(self.block1(x))
        return self.head((h + self.block2[0](self.block1(x))).flatten(1))


class NoGradient(G):
    @torch.no_grad()
    def forward(self, z):
        return super().forward(z)


class Infinite(G):
    def forward(self, z):
        return super().forward(z) / 0 - super().forward(z) / 0


class Fails(D):
    def forward(self, x):
        raise KeyError("no such block")


class FailsLater(D):
    calls = 0

    def forward(self, x):
        FailsLater.calls += 1
        if FailsLater.calls > 45:
            raise ArithmeticError("the moon")
        return super().forward(x)


class Branching(D):
    def forward(self, x):
        if x.mean() > 9:
            x = x / x.std()
        return super().forward(x)


class FailsInInit(nn.Module):
    def __init__(self):
        super().__init__()
        nn.Conv2d(3, 4, "three")


class Empty(nn.Module):
    def forward(self, z):
        return z


class Needs(G):
    def __init__(self, image_size, channels, latent_dim, style):
        super().__init__(image_size, channels, latent_dim)


def a_number():
    return 3


NUMBER = 3
"""
LINE = MINE.splitlines().index('        raise KeyError("no such block")') + 1
FLAGS = ["--steps", "4", "--score-every", "0", "--sample-every", "2", "--latent-dim", "8", "--batch-size", "8"]
OWN = ["--generator", "mine.py:G", "--discriminator", "mine.py:D", "--pick", "0", "--mix", "block1,block2,pixel"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with the user's files."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "own_blocks.py").write_text(BLOCKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a size and a second do not tell versions of a file apart
    before = set(sys.modules)
    yield tmp_path
    for name in {"mine", "own_blocks", "project", "project.nets"} - before:
        sys.modules.pop(name, None)


def train(*flags: str) -> int:
    return main([*FLAGS, "--out", "run", *flags])


REFUSED = {
    "no file": (["--generator", "other.py:G"], "the file other.py does not exist"),
    "no module": (["--generator", "nowhere.nets:G"], "there is no module nowhere.nets"),
    "no colon": (["--generator", "mine.py"], "write FILE.py:NAME or package.module:NAME"),
    "no such class": (["--generator", "mine.py:GG"], "mine.py holds no 'GG': did you mean G?"),
    "not callable": (["--discriminator", "mine.py:NUMBER"], "mine.py:NUMBER is a int"),
    "no module returned": (["--generator", "mine.py:a_number"], "returned a int, not a torch.nn.Module"),
    "not JSON": (["--generator", "mine.py:G", "--generator-args", "width=3"], "must be a JSON object"),
    "not an object": (["--generator", "mine.py:G", "--generator-args", "[3]"], "must be a JSON object"),
    "unknown argument": (
        ["--generator", "mine.py:G", "--generator-args", '{"widht": 3}'],
        "takes no argument 'widht': did you mean width?",
    ),
    "arguments without a network": (["--generator-args", "{}"], "--generator-args needs --generator"),
    "pick without a network": (["--pick", "0"], "--pick needs --discriminator"),
    "passes without a network": (["--passes", "separate"], "--passes separate needs --discriminator"),
    "needs more": (["--generator", "mine.py:Needs"], "needs 'style', which is not among"),
    "settings of ours": (["--generator", "mine.py:G", "--g-width", "8"], "--g-width describes mmgan's own networks"),
    "another size": (
        ["--generator", "mine.py:G", "--generator-args", '{"image_size": 32}'],
        "returns shape (8, 1, 28, 28), but the images are 1 x 16 x 16",
    ),
    "NaN at once": (["--generator", "mine.py:Infinite"], "NaN or infinite values at its first call"),
    "no parameters": (["--generator", "mine.py:Empty"], "mine.py:Empty has no parameters to train"),
    "no gradient": (["--generator", "mine.py:NoGradient"], "returns values without gradients"),
    "features as logits": (["--discriminator", "mine.py:D"], "--pick takes the logits from an output of several"),
    "no such part": (["--discriminator", "mine.py:D", "--pick", "2"], "--pick 2 is not in the discriminator's output"),
    "fails": (
        ["--discriminator", "mine.py:Fails"],
        f"KeyError: 'no such block' ({{place}}/mine.py, line {LINE}, in forward)",
    ),
    "fails in init": (["--discriminator", "mine.py:FailsInInit"], "mine.py:FailsInInit failed when it was called: "),
    "no single graph": (
        ["--discriminator", "mine.py:Branching", "--pick", "0", "--compile"],
        "mine.py:Branching cannot be compiled as one graph (Data-dependent branching): leave --compile out",
    ),
    "rows meet": (["--discriminator", "mine.py:Normed", "--pick", "0"], "add --passes separate"),
    "not a layer": ([*OWN, "--mix", "block3"], "layer 'block3' is not in this network"),
    "not a cut": (["--discriminator", "mine.py:Branched", "--mix", "block2.1"], "'block2.1' is no cut"),
    "a broken file": (["--generator", "broken.py:G"], "SyntaxError: "),
    "a script": (["--generator", "script.py:G"], "script.py failed when it was imported: SystemExit: 2"),
    "a name that is taken": (["--generator", "taken.py:G"], "taken.py imports queue, its own queue.py, but Python"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_told_in_one_line(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "broken.py").write_text("def G(:\n")
    (place / "script.py").write_text("import sys\nsys.exit(2)\n")
    (place / "taken.py").write_text("import queue\n")
    (place / "queue.py").write_text("")
    flags, expected = REFUSED[name]
    assert train(*flags) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert expected.replace("{place}", str(place)) in lines[0]
    assert not (place / "run").exists()


def test_a_run_with_own_networks(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*OWN, "--ema", "0.9") == 0
    said = capsys.readouterr().out
    assert "generator: your own, mine.py:G; g_width, g_shortcuts, arch have no meaning for it" in said
    folder = RunFolder(place / "run")
    assert {layer for row in folder.read_metrics() for layer in row["layers"]} <= {"block1", "block2", "pixel"}
    saved = safetensors.torch.load_file(folder.checkpoints / "step-00000004/discriminator.safetensors")
    assert set(saved) == {f"block{i}.0.{name}" for i in (1, 2) for name in ("weight", "bias")} | {
        "head.weight",
        "head.bias",
    }
    assert len(list(folder.samples.glob("step-????????.png"))) == 2


# the compiler looks at G's output, which D takes in, as if it were a weight
@pytest.mark.slow(4)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_own_networks_train_as_without(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    assert train(*OWN, "--steps", "2", "--out", "plain") == 0
    torch.compiler.reset()
    assert train(*OWN, "--steps", "2", "--out", "compiled", "--compile") == 0
    plain, compiled = (RunFolder(place / name).read_metrics() for name in ("plain", "compiled"))
    for row, other in zip(plain, compiled, strict=True):
        assert other["loss_d"] == pytest.approx(row["loss_d"], rel=1e-5)
        assert other["loss_g"] == pytest.approx(row["loss_g"], rel=1e-5)


def test_an_exception_during_training_is_told_in_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--discriminator", "mine.py:FailsLater", "--pick", "0", "--mix", "block1"]
    assert train(*flags, "--steps", "30", "--checkpoint-every", "1", "--sample-every", "0", "--n-dis", "1") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    last = sorted((place / "run/checkpoints").glob("step-*"))[-1]
    found = re.fullmatch(
        r"error: mine.py:FailsLater failed after step (\d+): ArithmeticError: the moon \((.*), line (\d+), in forward\)"
        r"; (.*) is kept, --resume goes on from it; traceback in (.*)",
        line,
    )
    assert found
    assert found[4] == str(last.relative_to(place))
    assert int(found[1]) == int(last.name.removeprefix("step-")) > 0
    assert MINE.splitlines()[int(found[3]) - 1].strip() == 'raise ArithmeticError("the moon")'
    kept = (place / found[5]).read_text()
    assert kept.startswith("Traceback")
    assert kept.endswith("ArithmeticError: the moon\n")
    assert train("--overwrite", "--d-width", "4", "--g-width", "4") == 0
    assert not (place / found[5]).exists()


def test_a_run_does_not_decide_whose_code_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*OWN) == 0
    (place / "code-ran").unlink()
    for name in ("mine", "own_blocks"):
        sys.modules.pop(name)
    before = contents(place / "run")
    for words, program in (
        (["--resume", "--out", "run"], main),
        (["--config", "run/config.yaml", "--out", "new"], main),
        (["run"], sample.main),
        (["run"], score.main),
        (["run"], inspect.main),
    ):
        capsys.readouterr()
        assert program(words) == 2
        assert "mine.py:" in capsys.readouterr().err
        assert not (place / "code-ran").exists()
    assert contents(place / "run") == before


def test_sampled_by_naming_the_file_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*OWN, "--generator-args", '{"width": 6}') == 0
    assert sample.main(["run", "--generator", "mine.py:G", "--out", "a", "--count", "2"]) == 0
    said = capsys.readouterr()
    assert "note:" not in said.out
    assert "0/2 [" in said.err  # the bar counts images
    assert "image/s" in said.err
    (place / "mine.py").write_text(MINE.replace(".tanh()", ".sin()"))
    assert sample.main(["run", "--generator", "mine.py:G", "--out", "b", "--count", "2"]) == 0
    assert "note: since the run the generator's mine.py was " in capsys.readouterr().out
    assert (place / "a/000000.png").read_bytes() != (place / "b/000000.png").read_bytes()
    assert sample.main(["run", "--generator", "mine.py:Needs", "--count", "2"]) == 2
    assert train("--overwrite", "--g-width", "4", "--d-width", "4") == 0
    assert sample.main(["run", "--generator", "mine.py:G"]) == 2
    assert "has mmgan's own generator" in capsys.readouterr().err


def test_resuming_with_other_code_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*OWN, "--checkpoint-every", "2") == 0
    whole = safetensors.torch.load_file("run/checkpoints/step-00000004/discriminator.safetensors")
    (place / "elsewhere").mkdir()
    for name in ("mine.py", "own_blocks.py"):
        (place / "elsewhere" / name).write_text((place / name).read_text())
    moved = [word.replace("mine.py", "elsewhere/mine.py") for word in OWN]

    def resume(*flags: str) -> int:
        capsys.readouterr()
        for name in ("mine", "own_blocks"):
            sys.modules.pop(name, None)
        shutil.rmtree("run/checkpoints/step-00000004", ignore_errors=True)
        return train(*flags, "--resume", "--checkpoint-every", "2")

    (place / "own_blocks.py").write_text(BLOCKS.replace("0.2", "0.3"))
    assert resume(*OWN) == 2
    error = capsys.readouterr().err
    assert "the discriminator's own_blocks.py was " in error
    assert "the generator's mine.py" not in error
    (place / "own_blocks.py").write_text(BLOCKS)
    assert resume(*OWN, "--generator", "mine.py:NoGradient") == 2
    (place / "own_blocks.py").unlink()  # the moved files import their own
    assert resume(*moved) == 0
    again = safetensors.torch.load_file("run/checkpoints/step-00000004/discriminator.safetensors")
    assert all(torch.equal(again[name], whole[name]) for name in whole)
    (place / "elsewhere/own_blocks.py").write_text(BLOCKS.replace("0.2", "0.3"))
    assert resume(*moved, "--allow-changed") == 0
    assert "going on although the generator's own_blocks.py was" in capsys.readouterr().out


def test_frozen_parts_stay_as_they_are(place: Path) -> None:
    flags = ["--checkpoint-every", "1", "--keep-checkpoints", "9", "--discriminator-args", '{"frozen": true}']
    assert train(*OWN, *flags) == 0
    first, last = (
        safetensors.torch.load_file(f"run/checkpoints/step-0000000{i}/discriminator.safetensors") for i in (1, 4)
    )
    assert torch.equal(first["block1.0.weight"], last["block1.0.weight"])
    assert not torch.equal(first["head.weight"], last["head.weight"])


def test_batch_norm_in_passes_of_its_own(place: Path) -> None:
    flags = ["--discriminator", "mine.py:Normed", "--pick", "0", "--passes", "separate", "--d-width", "4"]
    assert train(*flags[:-2], "--g-width", "4", "--mix", "block1,pixel") == 0


def test_a_package_of_the_working_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "project").mkdir()
    (place / "project/__init__.py").write_text("")
    (place / "project/nets.py").write_text(
        "from .parts import block\n" + MINE.replace("from own_blocks import block", "")
    )
    (place / "project/parts.py").write_text(BLOCKS)
    monkeypatch.setattr(sys, "argv", ["mmgan/train_gan.py"])
    put_working_folder_first()
    assert train("--generator", "project.nets:G", "--d-width", "4") == 0
    state = yaml.safe_load(Path("run/checkpoints/step-00000004/state.json").read_text())
    assert set(state["code"]) == {
        "the generator",
        "the generator's project.nets.py",
        "the generator's project.py",
        "the generator's project.parts.py",
    }


def test_the_working_folder_stands_in_the_program_s_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Path(main.__code__.co_filename)
    package = Path(sys.modules["mmgan"].__path__[0])
    monkeypatch.setattr(sys, "argv", [str(package / "train_gan.py")])
    monkeypatch.setattr(sys, "path", [str(package), "/library"])
    put_working_folder_first()
    assert sys.path == [str(place), "/library"]
    put_working_folder_first()
    assert sys.path == [str(place), "/library"]
    assert program.name == "program.py"


def test_an_installed_package_is_known_by_its_version(place: Path) -> None:
    from timm.models.resnet import resnet18  # a package with a list of its files

    assert list(code_facts(resnet18)) == ["timm"]
    assert list(code_facts(nn.Linear)) == ["torch"]
    (place / "mine.py").write_text("from timm.models.resnet import resnet18 as D")
    assert list(code_facts(find_factory("mine.py:D"), "mine.py:D")) == ["mine.py", "timm"]


def test_two_processes_have_the_weights_of_the_first(place: Path) -> None:
    (place / "differs.py").write_text(
        MINE
        + """

class Differs(G):
    def __init__(self, image_size, channels, latent_dim):
        super().__init__(image_size, channels, latent_dim)
        import os
        nn.init.constant_(self.last.weight, 1 + int(os.environ["RANK"]))
"""
    )
    flags = ["--generator", str(place / "differs.py:Differs"), "--d-width", "4", "--lr", "1e-9"]
    done = run_one(Job("gan", [*FLAGS, *flags, "--out", str(place / "run")], processes=2))
    assert done.codes == [0, 0], done.err
    saved = safetensors.torch.load_file(place / "run/checkpoints/step-00000004/generator.safetensors")
    assert torch.allclose(saved["last.weight"], torch.ones(()), atol=1e-6)
