"""How much memory there is, requests that exceed it, and the line that a program ends with when it runs out."""

import os
import re
import sys
from pathlib import Path

from mmgan.errors import UserError

LOWER = "lower --batch-size, the networks' widths, --image-size or the number of samples"
CGROUPS = ("memory.max", "memory/memory.limit_in_bytes")
"""Files below /sys/fs/cgroup with a container's limit in bytes."""


def main_memory() -> int:
    """Bytes of memory and swap of this machine or container."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + _swap()
    for name in CGROUPS:
        limit = Path("/sys/fs/cgroup") / name
        if limit.is_file() and (text := limit.read_text().strip()).isdecimal():
            total = min(total, int(text) + _swap())
    return total


def memory_of(device: str) -> int:
    """Bytes of memory of a device such as "cpu" or "cuda:0"."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    return main_memory()


def check_fits(need: int, what: str, lower: str, device: str = "cpu") -> None:
    """Refuse what no memory holds.

    Args:
        need: the least number of bytes that the request takes.
        what: the request, in the plural.
        lower: the flags that make it smaller.
        device: that has to hold it.

    Raises:
        UserError: if the device has less memory than that.
    """
    have = memory_of(device)
    if need > have:
        raise UserError(f"{what} need at least {_size(need)} of memory, and {device} has {_size(have)}: lower {lower}")


def out_of_memory(error: BaseException) -> str | None:
    """The line about an error that says that memory ran out; None for any other error."""
    text = str(error)
    torch = sys.modules.get("torch")
    on_device = torch is not None and isinstance(error, torch.OutOfMemoryError)
    on_cpu = isinstance(error, RuntimeError) and re.search(r"can't allocate memory|not enough memory", text)
    if not (on_device or on_cpu or isinstance(error, MemoryError)):
        return None
    tried = re.search(r"(?:tried|unable) to allocate ([\d.]+ [KMGTP]i?B)", text, re.IGNORECASE)
    asked = f" ({tried[1]} more were asked for)" if tried else ""
    if not tried and (count := re.search(r"(\d+) bytes", text)):
        asked = f" ({_size(int(count[1]))} more were asked for)"
    return f"the memory of the {'GPU' if on_device else 'machine'} is full{asked}: {LOWER}"


def _size(count: int) -> str:
    power = max(0, min(4, (count.bit_length() - 1) // 10))
    return f"{count / 2 ** (10 * power):,.3g} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def _swap() -> int:
    try:
        found = re.search(r"^SwapTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        return 0
    return int(found[1]) * 1024 if found else 0
