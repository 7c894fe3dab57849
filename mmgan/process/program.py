"""What all commands share: user errors in one line, and exit codes."""

import contextlib
import errno
import functools
import gc
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mmgan.errors import Stopped, StorageFailed, TrainingFailed, UserError, printable
from mmgan.memory import out_of_memory
from mmgan.process.output import open_standard_streams, silence
from mmgan.process.stopping import EXIT_CODES

IMPOSSIBLE = (errno.ENAMETOOLONG, errno.ELOOP, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.ENOENT)
"""Errors of a name that cannot be a file's: bad input. Others are faults of the disk."""


def program(main: Callable[[Sequence[str]], None]) -> Callable[..., int]:
    """Make a program of main(argv): one that prints user errors in one line and returns its exit code.

    Returns:
        A function of argv (None: the command line's). Its exit code is 0, 2 for bad input, 1 for a training that failed
        or a file that could not be written; 143, 130, 129 or 0 for a training that SIGTERM, SIGINT, SIGHUP or SIGUSR1
        stopped; 141 where the reader of the output left, as with `| head`.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        open_standard_streams()
        try:
            try:
                _check_surroundings()
                if argv is None:
                    put_working_folder_first()
                main(sys.argv[1:] if argv is None else argv)
            finally:
                sys.stdout.flush()  # here, where it matters whether somebody reads
        except UserError as error:
            return _tell(error, 2)
        except (TrainingFailed, StorageFailed) as error:
            return _tell(error, 1, everywhere=isinstance(error, TrainingFailed) and error.of_one_process)
        except (MemoryError, RuntimeError) as error:
            line = out_of_memory(error)
            if line is None:
                raise
            return _tell(line, 1)
        except BrokenPipeError:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    silence(stream.fileno())
            return EXIT_CODES[signal.SIGPIPE]
        except OSError as error:
            if error.filename is None:
                raise
            name = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename
            return _tell(f"{name}: {error.strerror}", 2 if error.errno in IMPOSSIBLE else 1)
        except Stopped as stopped:  # the session has said where it saved
            if stopped.signal is signal.SIGPIPE:  # what it said went nowhere
                _tell("nobody reads the output any more: stopped with a checkpoint, --resume goes on", 0)
            return EXIT_CODES[stopped.signal]
        except KeyboardInterrupt:
            return _tell("interrupted", EXIT_CODES[signal.SIGINT])
        finally:
            if int(os.environ.get("WORLD_SIZE", "1")) > 1:
                # Networks hold the process group, in cycles of references. A thread of the group that asks for the GIL
                # while the interpreter ends is unwound by force, and C++ answers that with SIGABRT.
                gc.collect()
        return 0

    return run


def _check_surroundings() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise UserError(f"the working folder cannot be read ({error.strerror}): change to one that exists") from None
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: names that are not UTF-8 end no program


def put_working_folder_first() -> None:
    """Make the working folder first on sys.path, in place of the program's own.

    Python puts the folder of `mmgan/train_gan.py` there, in which a user's `import training` would find ours.
    """
    if sys.flags.safe_path:  # then Python has put nothing there
        return
    try:
        here = str(Path.cwd())
    except OSError:  # the program says so
        return
    own = str(Path(sys.argv[0]).resolve().parent)
    if sys.path and sys.path[0] in (own, ""):
        sys.path.pop(0)
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)


def _tell(error: Exception | str, code: int, *, everywhere: bool = False) -> int:
    if everywhere or os.environ.get("RANK", "0") == "0":  # most errors are every process's; one prints them
        with contextlib.suppress(BrokenPipeError):
            print(f"error: {printable(str(error))}", file=sys.stderr, flush=True)
    return code
