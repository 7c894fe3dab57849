"""The machine and versions behind an experiment, in words for readers."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch


def machine() -> str:
    """Processor, cores, GPU."""
    cores = os.cpu_count()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{cores} {platform.machine()} cores, {gpu}"


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that affect the numbers."""
    packages = ("mmgan", "torch", "torchvision", "numpy")
    return {"python": platform.python_version()} | {package: version(package) for package in packages}


def commit() -> str | None:
    """The commit of the checkout that this file lies in, "+" after it where files other than results differ;
    None outside a checkout."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    head = git("rev-parse", "--short=10", "HEAD")
    if not head or git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None  # no git, no checkout, or an installed copy inside somebody else's
    differing = git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude,top)results")
    return head + ("+" if differing else "")
