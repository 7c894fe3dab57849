"""The classifiers that scores use."""

from pathlib import Path

import pytest
import torch

from mmgan.errors import UserError
from mmgan.supervised import judges

pytestmark = pytest.mark.slow(4)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MMGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "judges"


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(judges.EPOCHS, "digits", 1)


def test_the_digits_judge_knows_its_digits(judge_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMGAN_CACHE", str(judge_cache))
    network, facts = judges.judge_network("digits", "unused", image_size=16)
    assert facts["test_error_percent"] < 3
    assert not network.training
    assert dict(network.named_modules())[judges.TAP]


@pytest.mark.usefixtures("quick")
def test_trained_once_and_the_same_each_time(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = torch.random.get_rng_state()
    network, facts = judges.judge_network("digits", "unused", image_size=8)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert "training" in capsys.readouterr().err
    (path,) = cache.iterdir()
    written = path.stat().st_mtime_ns
    again, facts_again = judges.judge_network("digits", "unused", image_size=8)
    assert "training" not in capsys.readouterr().err
    assert equal(weights(network), weights(again))
    assert facts == facts_again
    assert path.stat().st_mtime_ns == written

    monkeypatch.setenv("MMGAN_CACHE", str(tmp_path / "other"))
    torch.rand(3)
    anew, _ = judges.judge_network("digits", "unused", image_size=8)
    assert equal(weights(network), weights(anew))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("damage", ["bit", "cut", "empty"])
def test_a_damaged_judge_is_trained_anew(cache: Path, damage: str) -> None:
    network, _ = judges.judge_network("digits", "unused", image_size=8)
    (path,) = cache.iterdir()
    content = bytearray(path.read_bytes())
    content[-5] ^= 64
    path.write_bytes({"bit": content, "cut": content[:-20], "empty": b""}[damage])
    again, _ = judges.judge_network("digits", "unused", image_size=8)
    assert equal(weights(network), weights(again))


@pytest.mark.usefixtures("quick")
def test_sizes_channels_and_schedules_have_judges_of_their_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judges.judge_network("digits", "unused", image_size=8)
    network, facts = judges.judge_network("digits", "unused", image_size=12, channels=3)
    assert network(torch.zeros(2, 3, 12, 12)).shape == (2, 10)
    assert (facts["image_size"], facts["channels"]) == (12, 3)
    assert len(list(cache.iterdir())) == 2
    monkeypatch.setitem(judges.EPOCHS, "digits", 2)
    judges.judge_network("digits", "unused", image_size=8)
    assert len(list(cache.iterdir())) == 3


def test_other_data_has_no_judge() -> None:
    with pytest.raises(UserError, match=r"there is no judge for cifar10, only for .*--extractor inception"):
        judges.judge_network("cifar10", "unused")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MMGAN_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set MMGAN_CACHE"):
        judges.judge_network("digits", "unused", image_size=8)
