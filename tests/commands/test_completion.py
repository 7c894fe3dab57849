"""Shell completion: what bash answers once it has read the script."""

import subprocess

import pytest

from mmgan.__main__ import COMMANDS, main
from mmgan.config.gan import GanConfig
from mmgan.config.parse import flat

pytest.importorskip("shtab")

ASK = """
eval "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$(complete -p mmgan | sed -E 's/.* -F (\\S+) .*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script() -> str:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["completion", "bash"]) == 0
    return out.getvalue()


def answers(script: str, *words: str) -> list[str]:
    done = subprocess.run(["bash", "-c", ASK, "bash", script, *words], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_commands_flags_and_choices(script: str) -> None:
    assert set(COMMANDS) <= set(answers(script, "mmgan", ""))
    assert answers(script, "mmgan", "train-gan", "--loss", "h") == ["hinge"]
    assert answers(script, "mmgan", "train-gan", "--resize", "c") == ["clean"]  # a union with a Literal in it
    assert answers(script, "mmgan", "evaluate", "--interpolation", "n") == ["nearest"]


def test_every_setting_of_the_trainer(script: str) -> None:
    flags = set(answers(script, "mmgan", "train-gan", "--"))
    assert {f"--{name.replace('_', '-')}" for name in flat(GanConfig())} <= flags
