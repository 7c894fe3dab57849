"""Generators outside their runs: bit for bit, with a card, and uploaded to a stand-in of the hub."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

import mmgan
from mmgan.commands import export
from mmgan.errors import UserError
from mmgan.gan.export import is_export, read_export
from mmgan.gan.networks import load_generator
from mmgan.runs.folder import RunFolder
from tests.gan.conftest import TINY

pytestmark = pytest.mark.slow(5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, judge_cache: Path) -> Path:
    from mmgan.train_gan import main
    from tests.support.charts import blank_charts

    out = tmp_path_factory.mktemp("export") / "run"
    with pytest.MonkeyPatch.context() as patch, blank_charts():
        patch.setenv("MMGAN_CACHE", str(judge_cache))
        assert main([*TINY, "--out", str(out), "--steps", "2", "--mix", "1,pixel", "--sample-every", "0"]) == 0
    return out


def test_it_comes_back_bit_for_bit(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "exported"
    assert export.main([str(run), "--out", str(out), "--checkpoint", "best"]) == 0
    assert "--license names one" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {"model.safetensors", "config.json", "README.md", "samples.png"}
    assert is_export(out)
    assert not is_export(run)
    trained, again = load_generator(RunFolder(run), "best"), read_export(out)
    one, other = trained.network.state_dict(), again.network.state_dict()
    assert list(one) == list(other)
    assert "conv.weight" in other
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    z = torch.randn(3, 8)
    assert torch.equal(trained.network(z), again.network(z))
    assert torch.equal(trained.network(z), mmgan.load_generator(out)(z))
    assert not again.network.training
    with Image.open(out / "samples.png") as grid:
        assert grid.size[0] >= 640


def test_the_card(run: Path, tmp_path: Path) -> None:
    assert export.main([str(run), "--out", str(tmp_path / "out"), "--license", "mit"]) == 0
    _, front, card = (tmp_path / "out/README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "mit"
    assert yaml.safe_load(front)["library_name"] == "mmgan"
    last = RunFolder(run).read_scores()["last"]
    assert f"| {last['scores']['frechet_distance']:.3f} |" in card
    assert f"classifier:digits, weights {last['extractor']['digest'][:12]}" in card
    assert "mixed at layers 1,pixel" in card
    assert "mix: 1,pixel" in card
    assert str(run) not in card
    assert "data_root" not in card
    # The example of the card runs.
    code = card.split("```python\n")[1].split("```")[0].replace("this-folder", str(tmp_path / "out"))
    assert "torch.randn(16, 8)" in code


def test_what_cannot_be_loaded_is_told(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert export.main([str(run), "--out", str(out)]) == 0
    assert export.main([str(run), "--out", str(out)]) == 2
    assert "is not an empty folder" in capsys.readouterr().err
    config = json.loads((out / "config.json").read_text())
    for change, message in (
        ({"version": 2}, "upgrade mmgan"),
        ({"format": "other"}, "not of an exported generator"),
        ({"network": {"depth": 3}}, "describes no generator"),
        ({"network": config["network"] | {"g_width": 6}}, "is of another architecture"),
    ):
        (out / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(UserError, match=message):
            read_export(out)
    (out / "config.json").write_text(json.dumps(config))
    weights = bytearray((out / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (out / "model.safetensors").write_bytes(weights)
    with pytest.raises(UserError, match="is not the file that was exported"):
        read_export(out)
    with pytest.raises(UserError, match="cannot be read"):
        read_export(tmp_path)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's API as an upload of small files needs."""

    files: dict[str, bytes]
    refuses: bool

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        place, address = self.path.partition("?")[0], f"http://{self.headers['Host']}"
        if self.refuses:
            self.answer(403, {"error": "this token may not write"})
        elif place == "/api/repos/create":
            self.answer(200, {"url": f"{address}/me/digits"})
        elif place == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif place == "/api/models/me/digits/preupload/main":
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            self.answer(200, {"files": modes})
        elif place == "/api/models/me/digits/commit/main":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.answer(200, {"commitUrl": f"{address}/me/digits/commit/{'0' * 40}", "commitOid": "0" * 40})
        else:
            self.answer(404, {"error": place})

    def do_GET(self) -> None:
        self.answer(404, {"error": self.path})

    do_HEAD = do_GET

    def answer(self, code: int, values: dict[str, Any]) -> None:
        content = json.dumps(values).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    constants = pytest.importorskip("huggingface_hub.constants", reason="huggingface_hub is not installed: mmgan[hub]")
    Hub.files, Hub.refuses = {}, False
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    yield Hub
    server.shutdown()
    server.server_close()
    thread.join()


def test_it_is_uploaded(run: Path, tmp_path: Path, hub: type[Hub], capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert export.main([str(run), "--out", str(out), "--push", "me/digits"]) == 0
    assert capsys.readouterr().out.strip().endswith("/me/digits")
    assert hub.files == {path.name: path.read_bytes() for path in out.iterdir()}
    hub.refuses = True
    assert export.main([str(run), "--out", str(tmp_path / "again"), "--push", "me/digits"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0
    assert "me/digits was not uploaded (" in error


@pytest.mark.parametrize("name", ["digits", "me/digits/two", "me/", "../digits x"])
def test_a_name_that_no_repository_has(name: str, run: Path, tmp_path: Path) -> None:
    assert export.main([str(run), "--out", str(tmp_path / "out"), "--push", name]) == 2
    assert not (tmp_path / "out").exists()
