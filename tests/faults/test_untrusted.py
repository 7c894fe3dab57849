"""Loading never executes code from a run, a config or data, and never leaves the folders it was given."""

import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmgan.commands import sample
from mmgan.errors import UserError
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import find_fault, load_network, load_optimizer, read_facts
from mmgan.scoring import InceptionExtractor
from mmgan.scoring.fidelity_networks import clip_extractor, vgg16_extractor
from tests.support.compare import contents
from tests.support.forks import Job, run_one
from tests.support.refusals import refused_in_one_line
from tests.support.small_runs import UNSCORED

pytestmark = pytest.mark.slow(2)


class Trap:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run_one(Job("gan", [*UNSCORED, "--steps", "2", "--out", str(out)])).code == 0
    return out


def replace_in(checkpoint: Path, name: str, content: bytes) -> None:
    """As an attacker would: the manifest vouches for it."""
    (checkpoint / name).write_bytes(content)
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    manifest[name] = hashlib.sha256(content).hexdigest()
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    assert find_fault(checkpoint) is None


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_in_place_of_the_optimizer(whole: Path, tmp_path: Path, legacy: bool) -> None:
    out, mark = tmp_path / "run", tmp_path / "mark"
    shutil.copytree(whole, out)
    buffer = io.BytesIO()
    torch.save({"state": Trap(mark)}, buffer, _use_new_zipfile_serialization=not legacy)
    replace_in(out / "checkpoints/step-00000002", "optimizer-d.pt", buffer.getvalue())
    before = contents(out)
    refused = run_one(Job("gan", [*UNSCORED, "--steps", "2", "--out", str(out), "--resume"]))
    assert refused.code == 2
    assert "optimizer-d.pt is not the state of an optimizer, and was not read further" in refused.error
    assert not mark.exists()
    assert contents(out) == before
    torch.load(out / "checkpoints/step-00000002/optimizer-d.pt", weights_only=False)
    assert mark.exists()  # the trap works


def test_a_pickle_in_place_of_the_weights(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, mark = tmp_path / "run", tmp_path / "mark"
    shutil.copytree(whole, out)
    buffer = io.BytesIO()
    torch.save(Trap(mark), buffer)
    replace_in(out / "checkpoints/step-00000002", "generator-average.safetensors", buffer.getvalue())
    assert sample.main([str(out)]) == 2
    assert "generator-average.safetensors is not a safetensors file" in capsys.readouterr().err
    assert not mark.exists()


def test_other_contents_that_a_manifest_vouches_for(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    optimizer = torch.optim.Adam(torch.nn.Linear(2, 2).parameters())
    for content in (b"", b"{}", b"[1]", b'{"step": "1"}', b"\xff\xfe"):
        replace_in_place = tmp_path / "state.json"
        replace_in_place.write_bytes(content)
        with pytest.raises(UserError, match=r"state\.json"):
            read_facts(tmp_path)
        (tmp_path / "net.safetensors").write_bytes(content)
        with pytest.raises(UserError, match=r"net\.safetensors"):
            load_network(tmp_path, "net", torch.nn.Linear(2, 2))
        (tmp_path / "optimizer.pt").write_bytes(content)
        with pytest.raises(UserError, match=r"optimizer\.pt"):
            load_optimizer(tmp_path, "optimizer", optimizer)
    for state in ({}, [], {"state": {}, "param_groups": []}, {"state": {}, "param_groups": [{"params": [1, 2, 3]}]}):
        torch.save(state, tmp_path / "optimizer.pt")
        with pytest.raises(UserError, match=r"optimizer\.pt is of another optimizer"):
            load_optimizer(tmp_path, "optimizer", optimizer)


MALFORMED = (
    b"",
    b"\x80\x02.",
    b"\x80\x02}.",
    b"\x80\x02(.",
    b"\x80\x02h\x05.",
    b"\x80\x02\x8c\x01\xff.",
    b"PK\x03\x04",
)
"""No pickles: they make the unpickler pop from empty lists, look up what is not there, and decode what is no text."""


@pytest.mark.parametrize("content", MALFORMED)
def test_malformed_pickles(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "optimizer.pt"
    file.write_bytes(content)
    optimizer = torch.optim.Adam(torch.nn.Linear(2, 2).parameters())
    refused_in_one_line(r"optimizer\.pt is not the state", lambda: load_optimizer(tmp_path, "optimizer", optimizer))
    refused_in_one_line("does not hold the FID Inception's weights", lambda: InceptionExtractor(file))
    refused_in_one_line("does not hold VGG16's weights", lambda: vgg16_extractor(file))
    refused_in_one_line("is not CLIP's TorchScript archive", lambda: clip_extractor(file))


@pytest.mark.parametrize("name", ["../step-00000001/state.json", "/etc/hostname", "a/b", "..", ""])
def test_a_manifest_that_names_files_outside(whole: Path, tmp_path: Path, name: str) -> None:
    checkpoint = tmp_path / "step-00000002"
    shutil.copytree(whole / "checkpoints/step-00000002", checkpoint)
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    (checkpoint / "manifest.json").write_text(json.dumps({name: "00"} | manifest))
    assert find_fault(checkpoint) == f"its manifest.json names '{name}', which is no file of a checkpoint"


def test_a_checkpoint_file_that_is_a_link(whole: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "step-00000002"
    shutil.copytree(whole / "checkpoints/step-00000002", checkpoint)
    (checkpoint / "state.json").rename(tmp_path / "elsewhere.json")
    (checkpoint / "state.json").symlink_to(tmp_path / "elsewhere.json")
    assert find_fault(checkpoint) == "state.json is missing"


@pytest.mark.parametrize("flags", [[], ["--resume"]])
def test_a_config_with_python_tags(whole: Path, tmp_path: Path, flags: list[str]) -> None:
    out, mark = tmp_path / "run", tmp_path / "mark"
    shutil.copytree(whole, out)
    config = out / "config.yaml"
    tagged = config.read_text().replace("\nalpha: ", f"\nalpha: !!python/object/apply:os.mkdir ['{mark}'] # ")
    config.write_text(tagged)
    assert "python/object" in tagged
    argv = ["--out", str(out), *(flags or ["--config", str(config)])]
    refused = run_one(Job("gan", argv))
    assert refused.code == 2
    assert "config.yaml is not a YAML file: could not determine a constructor for the tag" in refused.error
    with pytest.raises(UserError, match="could not determine a constructor"):
        RunFolder(out).read_config()
    assert not mark.exists()


def test_data_outside_the_folder_and_decompression_bombs(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for i in range(4):
        Image.new("L", (16, 16), 60 * i).save(images / f"{i}.png")
    Image.new("L", (16, 16)).save(tmp_path / "private.png")
    flags = [*UNSCORED, "--data", f"folder:{images}", "--image-size", "16", "--out", str(tmp_path / "run")]

    (images / "link.png").symlink_to(tmp_path / "private.png")
    refused = run_one(Job("gan", flags))
    assert refused.code == 2
    assert f"{images}/link.png is a link that leads out of {images}" in refused.error
    (images / "link.png").unlink()

    Image.new("1", (20_000, 20_000)).save(images / "bomb.png")
    assert (images / "bomb.png").stat().st_size < 100_000
    refused = run_one(Job("gan", flags))
    assert refused.code == 2
    assert "bomb.png is not a readable image" in refused.error
    assert "decompression bomb" in refused.error
    assert not (tmp_path / "run").exists()
