"""Every random draw is a pure function of (seed, purpose, rank, step).

There is no hidden generator state: a run that resumes at step t needs only t, and a task that draws more or less
(logging, scoring) cannot disturb another. `purpose` is a word that keeps the streams apart: "order", "latents", ...
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def stream_key(seed: int, purpose: str, rank: int = 0, step: int = 0) -> int:
    """A 128-bit key that is the same for the same arguments on every machine, and unrelated for any others."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{rank}/{step}".encode(), digest_size=16).digest()
    return int.from_bytes(digest, "little")


def numpy_stream(seed: int, purpose: str, rank: int = 0, step: int = 0) -> np.random.Generator:
    """A NumPy generator (Philox, keyed) at the start of the stream named by the arguments."""
    return np.random.Generator(np.random.Philox(key=stream_key(seed, purpose, rank, step)))


def torch_stream(
    seed: int, purpose: str, rank: int = 0, step: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A torch generator on `device` at the start of the stream named by the arguments.

    Different kinds of device give different numbers for one stream; one kind always gives the same.
    """
    generator = torch.Generator(device=device)
    generator.manual_seed(stream_key(seed, purpose, rank, step) & (2**63 - 1))
    return generator


@contextmanager
def global_stream(seed: int, purpose: str, rank: int = 0, step: int = 0) -> Iterator[None]:
    """Run the named stream on torch's global generators inside the block; afterwards restore their state.

    For code that takes no generator of its own: initialisation of weights, dropout. Of several GPUs only
    the current one is saved and restored: a process uses one.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(stream_key(seed, purpose, rank, step) & (2**63 - 1))
        yield
