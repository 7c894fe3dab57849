"""What all commands share: user errors in one line, and exit codes."""

import functools
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence

from mmgan.errors import Stopped, StorageFailed, TrainingFailed, UserError
from mmgan.process.stopping import EXIT_CODES


def program(main: Callable[[Sequence[str]], None]) -> Callable[..., int]:
    """Make a program of main(argv): one that prints user errors in one line and returns its exit code.

    Returns:
        A function of argv (None: the command line's). Its exit code is 0, 2 for bad input, 1 for a training that failed
        or a file that could not be written; 143, 130 or 0 for a training that SIGTERM, SIGINT or SIGUSR1 stopped.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        try:
            main(sys.argv[1:] if argv is None else argv)
        except UserError as error:
            return _tell(error, 2)
        except (TrainingFailed, StorageFailed) as error:
            return _tell(error, 1)
        except Stopped as stopped:  # the session has said where it saved
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


def _tell(error: Exception | str, code: int) -> int:
    if os.environ.get("RANK", "0") == "0":  # every process gets the same error; one prints it
        print(f"error: {error}", file=sys.stderr)
    return code
