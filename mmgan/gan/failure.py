"""Exceptions that networks of the user's own raise during training: one line, and the traceback in a file."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mmgan.errors import Stopped, StorageFailed, TrainingFailed, UserError
from mmgan.faults import said
from mmgan.gan.loop import GanParts
from mmgan.gan.own import OwnNetworks
from mmgan.memory import out_of_memory
from mmgan.runs.session import Session
from mmgan.storage import write_atomically

TOLD = (UserError, TrainingFailed, StorageFailed, Stopped, OSError)
"""Exceptions that say themselves what happened."""


class OwnNetworksFailed(TrainingFailed):
    """A network of the user's own raised an exception, which is the cause of this one."""


FROM_CALLBACK = "raised by a callback"


def note_callback(error: BaseException, step: int, session: Session) -> None:
    """Note on a callback's exception where it comes from. It keeps its type, for its author to catch."""
    error.add_note(f"{FROM_CALLBACK} after step {step}; {last_checkpoint(session)}")


@contextmanager
def own_networks_run(own: OwnNetworks, parts: GanParts, session: Session) -> Iterator[None]:
    """Tell an exception of the block in one line where networks are the user's own, with its traceback in a file.

    Without own networks an exception is a fault of mmgan, and passes as it is. So does one of a callback, which its
    author may want to catch.

    Args:
        own: the networks.
        parts: know the step.
        session: knows the run folder.

    Raises:
        OwnNetworksFailed: with the exception as its cause.
    """
    try:
        yield
    except TOLD:
        raise
    except (Exception, SystemExit) as error:
        from_callback = any(note.startswith(FROM_CALLBACK) for note in getattr(error, "__notes__", ()))
        if not own or from_callback or out_of_memory(error):
            raise
        accelerator = session.accelerator
        alone = accelerator.num_processes == 1
        process = "" if alone else f" on process {accelerator.process_index}"
        file = session.folder.traceback_file
        file = file if alone else file.with_stem(f"{file.stem}-{accelerator.process_index}")
        kept = ""
        with suppress(StorageFailed):
            write_atomically(file, "".join(traceback.format_exception(error)))
            kept = f"; traceback in {file}"
        raise OwnNetworksFailed(
            f"{own.places} failed{process} after step {parts.step}: {said(error)}; {last_checkpoint(session)}{kept}"
        ) from error


def last_checkpoint(session: Session) -> str:
    """The newest whole checkpoint, in words."""
    steps = sorted(session.folder.checkpoints.glob("step-*"))
    return f"{steps[-1]} is kept, --resume goes on from it" if steps else "there is no checkpoint yet"
