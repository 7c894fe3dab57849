"""Mutated files, each read in a fork that may not crash, hang, take much memory, or write elsewhere."""

import contextlib
import errno
import json
import os
import random
import resource
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmgan.errors import StorageFailed, UserError

SECONDS = 5
"""CPU time that a file may take."""

MEMORY = 1 << 30
"""Bytes that a fork may grow by."""

CHANGES = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.symlink", "os.truncate", "os.chmod")
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")


@dataclass(frozen=True)
class Target:
    """Files of one kind and what reads them.

    Attributes:
        name: of the kind.
        seeds: good files' contents.
        read: given a folder of its own, writes a content where it belongs and reads it as mmgan does.
        seal: makes the checksums inside a mutated file right again, which happens to most files.
        json: whether it is JSON, or lines of JSON, whose values are changed too.
    """

    name: str
    seeds: Sequence[bytes]
    read: Callable[[bytes], object]
    json: bool = False
    seal: Callable[[bytes], bytes] | None = None


@dataclass
class Tally:
    """What came of the files.

    Attributes:
        outcomes: (target, outcome) -> how many.
        faults: a line for each file that broke a rule.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


VALUES: list[Any] = [
    *(None, True, [], {}, "", "x", "../../x", "\ud800", "a\n\x1b[2J", 0, -1, 2**31, 2**63, 10**400, 1e308, -0.0),
    *(float("nan"), float("inf"), [[]], [None], {"x": {}}, "1" * 9999, [[[[[[[[[[[[[[]]]]]]]]]]]]]]),
]
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
WORDS = (
    b"\0",
    b"\xff",
    b"\n",
    b"{",
    b"[",
    b'"',
    b": ",
    b"- ",
    b"&a *a",
    b"!!",
    b"NaN",
    b"1e999",
    b"9" * 400,
    b"../",
    b"[" * 2000,
)


def mutated(target: Target, draw: random.Random) -> bytes:
    """A good file with one to four changes."""
    data = _mutated(target, draw)
    return target.seal(data) if target.seal is not None and draw.random() < 0.8 else data


def _mutated(target: Target, draw: random.Random) -> bytes:
    data = bytearray(draw.choice(target.seeds))
    if target.json and draw.random() < 0.6:
        data = bytearray(_with_another_value(bytes(data), draw))
        if draw.random() < 0.7:
            return bytes(data)
    for _ in range(draw.randint(1, 4)):
        _change(data, target, draw)
    return bytes(data)


def _change(data: bytearray, target: Target, draw: random.Random) -> None:
    at = draw.randrange(len(data) + 1)
    if draw.random() < 0.4:  # headers decide more than what follows
        at = min(at, draw.randrange(64))
    end = min(len(data), at + draw.choice((1, 2, 4, 16, 256)))
    kind = draw.randrange(7)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del data[at : end if draw.random() < 0.8 else len(data)]
    elif kind == 2:
        data[at:at] = data[at:end] * draw.choice((1, 2, 300))
    elif kind == 3:
        data[at:at] = draw.choice(WORDS) * draw.choice((1, 1, 1, 50))
    elif kind == 4:
        number, width, order = draw.choice(NUMBERS), draw.choice((1, 2, 4, 8)), draw.choice(("big", "little"))
        data[at : at + width] = (number % 256**width).to_bytes(width, order)
    elif kind == 5:
        data[at:end] = draw.randbytes(end - at)
    else:
        other = draw.choice(target.seeds)
        start = draw.randrange(len(other) + 1)
        data[at:end] = other[start : start + draw.choice((4, 64, 1024))]


def _with_another_value(data: bytes, draw: random.Random) -> bytes:
    """One value of one line of JSON replaced, renamed or left out."""
    lines = data.split(b"\n") if data.count(b"\n{") else [data]
    chosen = draw.randrange(len(lines))
    try:
        values = [json.loads(lines[chosen])]
    except ValueError:
        return data
    places = _places(values)
    holder, key = draw.choice(places)
    if draw.random() < 0.8 or isinstance(holder, list):
        holder[key] = draw.choice(VALUES)
    elif draw.random() < 0.5:
        del holder[key]
    else:
        holder[draw.choice(("", "x", "last", "step"))] = holder.pop(key)
    lines[chosen] = json.dumps(values[0]).encode()
    return b"\n".join(lines)


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ()
    found = [(value, key) for key in keys]
    for key in keys:
        found += _places(value[key])
    return found


def run(targets: Sequence[Target], files: int, seed: int, place: Path, *, batch: int = 100) -> Tally:
    """Read `files` mutated files, of each target in turn; `place` is where anything may be written."""
    tally, first = Tally(), 0
    while first < files:
        first += _run_batch(targets, range(first, min(first + batch, files)), seed, place, tally)
    return tally


def _run_batch(targets: Sequence[Target], numbers: range, seed: int, place: Path, tally: Tally) -> int:
    """Read these files in one fork, up to the first that ends it; how many were done."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _in_fork(targets, numbers, seed, place, writer)
    os.close(writer)
    with os.fdopen(reader) as lines:
        outcomes = [json.loads(line) for line in lines]
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for number, (outcome, fault) in zip(numbers, outcomes, strict=False):
        tally.outcomes[targets[number % len(targets)].name, outcome] += 1
        if fault:
            tally.faults.append(_line(targets, number, seed, fault))
    if len(outcomes) < len(numbers):
        ended = "hung" if code == -signal.SIGPROF else f"ended its process ({code})"
        tally.outcomes[targets[numbers[len(outcomes)] % len(targets)].name, ended] += 1
        tally.faults.append(_line(targets, numbers[len(outcomes)], seed, ended))
        return len(outcomes) + 1
    return len(outcomes)


def _line(targets: Sequence[Target], number: int, seed: int, fault: str) -> str:
    return f"{targets[number % len(targets)].name}, seed {seed}, file {number}: {fault}"


def content(targets: Sequence[Target], number: int, seed: int) -> bytes:
    """The mutated file of that number."""
    return mutated(targets[number % len(targets)], random.Random(f"{seed} {number}"))


def _in_fork(targets: Sequence[Target], numbers: range, seed: int, place: Path, writer: int) -> None:
    try:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
        warnings.simplefilter("ignore")
        with open("/proc/self/statm") as file:  # noqa: PTH123
            size = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY + MEMORY // 2,) * 2)  # the half: threads' stacks
        # A fork inherits its parent's peak, under which growth would go unseen.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        elsewhere: list[str] = []
        _watch(place, elsewhere)
        for number in numbers:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            outcome, fault = _outcome(targets[number % len(targets)], content(targets, number, seed))
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
            if grown > MEMORY:
                fault = fault or f"took {grown:,} bytes"
            if elsewhere:
                fault = fault or f"touched {elsewhere[0]}"
                elsewhere.clear()
            os.write(writer, json.dumps([outcome, fault]).encode() + b"\n")
    except BaseException:
        os.write(writer, json.dumps(["broke the campaign", traceback.format_exc()]).encode() + b"\n")
    finally:
        os._exit(0)


def _outcome(target: Target, data: bytes) -> tuple[str, str | None]:
    """What came of a file, and what is wrong with that."""
    try:
        target.read(data)
    except (UserError, StorageFailed):
        return "refused", None
    except MemoryError:
        return "memory", "asked for too much memory"
    except OSError as error:
        return "refused", None if error.errno == errno.ENAMETOOLONG else _where(error)
    except BaseException as error:
        return "crashed", _where(error)
    return "read", None


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if "/mmgan/" in frame.filename]
    return f"{type(error).__name__}: {str(error)[:200]!r} at {' '.join(ours[-3:])}"


def _watch(place: Path, elsewhere: list[str]) -> None:
    """Note what is changed outside of `place`, and every program that is started."""
    inside = (str(place), os.devnull)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        mode, flags = args[1:3] if event == "open" else (None, 0)
        writes = (
            any(letter in mode for letter in "wax+") if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR)
        )
        if event in PROGRAMS:
            elsewhere.append(f"{event} {args[0]}")
        elif (writes or event in CHANGES) and isinstance(args[0], str | bytes | os.PathLike):
            folder = args[-1] if event != "open" and isinstance(args[-1], int) and args[-1] >= 0 else None
            base = os.getcwd() if folder is None else os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH109, PTH115
            path = os.path.normpath(os.path.join(base, os.fsdecode(args[0])))  # noqa: PTH118
            if not path.startswith(inside):
                elsewhere.append(f"{event} {path}")

    sys.addaudithook(hook)
