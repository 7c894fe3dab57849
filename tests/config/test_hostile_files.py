"""Files of settings that are made to hang, to fill the memory, to crash, or to be misread."""

from pathlib import Path

import pytest

from mmgan.config.files import DEEPEST, LARGEST, read_yaml
from mmgan.config.gan import GanConfig
from mmgan.config.parse import parse_config
from mmgan.sweeps.read import read_sweep
from tests.support.refusals import refused_in_one_line

LAUGHS = "a0: &a0 [lol]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
HOSTILE = {
    "nested aliases": (LAUGHS, "'\\*a0' in line 2 is an alias: write the value itself"),
    "a value in itself": ("mix: &a [*a]\n", "'\\*a' in line 1 is an alias"),
    "a mapping in itself": ("&a mix: *a\n", "'\\*a' in line 1 is an alias"),
    "merged": ("a: &a {x: 1}\nb:\n  <<: *a\n", "alias"),
    "deep lists": ("mix: " + "[" * 5_000 + "]" * 5_000, f"line 1 is nested more than {DEEPEST} levels deep"),
    "deep lists without an end": ("mix: " + "[" * 5_000, "levels deep"),
    "deep mappings": ("\n".join(" " * i + "a:" for i in range(500)), "levels deep"),
    "deep keys": ("? " * 500, "levels deep|not a YAML"),
    "a key twice": ("seed: 1\nalpha: 0.5\nseed: 2\n", "'seed' appears twice, again in line 3"),
    "an inner key twice": ("mix: {a: 1, a: 2}\n", "'a' appears twice, again in line 1"),
    "large": ("# " + "x" * LARGEST, "more than 200,000 bytes"),
    "large number": ("seed: 0x" + "f" * 9999, "the number in line 1 has more than 64 bits"),
    "many digits": ("seed: " + "9" * 9999, "not a YAML file"),
    "a number as a key": ("9" * 9999 + ": 1", "not a YAML file"),
    "no date": ("seed: 2001-99-99\n", "month must be in"),
    "no timestamp": ("seed: !!timestamp x\n", "not a YAML file"),
    "no boolean": ("seed: !!bool x\n", "not a YAML file"),
    "no number": ("seed: !!int ''\n", "not a YAML file"),
    "code": ("seed: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
    "a list as a key": ("[1, 2]: 3\n", "unhashable|not a YAML|unknown key"),
    "binary": ("\x00\x01", "not a YAML file"),
}


@pytest.mark.slow(1)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_at_once(name: str, tmp_path: Path) -> None:
    text, message = HOSTILE[name]
    file = tmp_path / "c.yaml"
    file.write_text(text)
    refused_in_one_line(message, lambda: read_yaml(file))
    refused_in_one_line(
        message,
        lambda: parse_config(GanConfig, ["--config", str(file)], prog="x", description="", default_config=""),
    )
    refused_in_one_line(message, lambda: read_sweep(file))


SWEEPS = {
    "seeds": ("seeds: 1000000000\nbaseline: {}\n", "seeds: 1,000,000,000 are more than the 10,000 runs"),
    "runs": ("seeds: 5000\nbaseline: {}\ngrid: {alpha: [0.1, 0.2]}\n", "3 arms with 5,000 seeds each are too many"),
    "grid": (
        "seeds: 1\ngrid:\n"
        + "".join(
            f"  {name}: [{', '.join(f'0.{i:03}' for i in range(1, 101))}]\n"
            for name in ("alpha", "lr", "momentum", "weight_decay", "gamma", "dropout", "ema", "clip_grad")
        ),
        "grid: 10,000,000,000,000,000 combinations are more than the 1,000 arms",
    ),
    "arms": (
        "seeds: 1\narms:\n" + "".join(f"  a{i}: {{alpha: {i + 1}}}\n" for i in range(1001)),
        "1,001 arms with 1 seeds each are too many",
    ),
}


@pytest.mark.slow(2)
@pytest.mark.parametrize("name", SWEEPS)
def test_sweeps_without_an_end_are_refused_at_once(name: str, tmp_path: Path) -> None:
    text, message = SWEEPS[name]
    file = tmp_path / "sweep.yaml"
    file.write_text(f"trainer: classifier\n{text}")
    refused_in_one_line(message, lambda: read_sweep(file))


@pytest.mark.parametrize("word", ["--mix=!!timestamp x", "--seed=" + "9" * 5000, "--lr=!!bool x"])
def test_odd_values_of_flags_are_refused(word: str) -> None:
    refused_in_one_line(
        "settings|not valid|seed",
        lambda: parse_config(GanConfig, [word], prog="x", description="", default_config="configs/gan/digits.yaml"),
    )
