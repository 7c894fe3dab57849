"""What all commands share: user errors in one line, and exit codes."""

import gc
import os
import sys
from collections.abc import Callable, Sequence

from mmgan.errors import Stopped, StorageFailed, TrainingFailed, UserError
from mmgan.process.stopping import EXIT_CODES

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130


def run_program(main: Callable[[Sequence[str]], None], argv: Sequence[str] | None) -> int:
    """Run main(argv) and print user errors in one line.

    Returns:
        The exit code: 0, 2 for bad input, 1 for a training that failed or a file that could not be written; 143, 130 or
        0 for a training that SIGTERM, SIGINT or SIGUSR1 stopped.
    """
    try:
        return _run(main, argv)
    finally:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            # Networks hold the process group, in cycles of references. A thread of the group that asks for the GIL
            # while the interpreter ends is unwound by force, and C++ answers that with SIGABRT.
            gc.collect()


def _run(main: Callable[[Sequence[str]], None], argv: Sequence[str] | None) -> int:
    try:
        main(sys.argv[1:] if argv is None else argv)
    except UserError as error:
        return _tell(error, BAD_INPUT)
    except (TrainingFailed, StorageFailed) as error:
        return _tell(error, FAILED)
    except Stopped as stopped:  # the session has said where it saved
        return EXIT_CODES[stopped.signal]
    except KeyboardInterrupt:
        return _tell(RuntimeError("interrupted"), INTERRUPTED)
    return 0


def _tell(error: Exception, code: int) -> int:
    if os.environ.get("RANK", "0") == "0":  # every process gets the same error; one prints it
        print(f"error: {error}", file=sys.stderr)
    return code
