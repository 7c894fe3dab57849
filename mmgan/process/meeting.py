"""How the processes of a run meet: at a port that must be free, in bounded time; then they watch one another."""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from mmgan.errors import UserError
from mmgan.process.peers import Peer, in_program, watch_peers, write_line

MEETING = 600.0
"""Seconds that a process waits for the others at the start. torch's own limit is half an hour."""

JOIN = 30.0
"""Seconds in which the processes connect to the main one. One that cannot is not watched."""


def meet(make: Callable[[], Accelerator]) -> Accelerator:
    """Make the Accelerator of a program's processes; from then on they watch one another. Collective.

    Raises:
        UserError: if the port at which they are to meet is in use.
    """
    if not in_program() or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return make()
    with _meeting():
        accelerator = make()
    rank, count = accelerator.process_index, accelerator.num_processes
    if count > 1:
        watch_peers(rank, (lambda: _wait_for_others(count)) if rank == 0 else lambda: _join_main(rank))
    return accelerator


@contextlib.contextmanager
def _meeting() -> Iterator[None]:
    where = f"{os.environ.get('MASTER_ADDR', 'MASTER_ADDR')}:{os.environ.get('MASTER_PORT', 'MASTER_PORT')}"
    alarm = threading.Timer(MEETING, _give_up_meeting, [where])
    alarm.daemon = True
    alarm.start()
    try:
        yield
    except RuntimeError as error:
        if "EADDRINUSE" not in str(error) and "address already in use" not in str(error).lower():
            raise
        raise UserError(
            f"the processes cannot meet at {where}, because another job or program uses this port: choose another with"
            " --main_process_port of accelerate launch, --master-port of torchrun, or MASTER_PORT"
        ) from None
    finally:
        alarm.cancel()


def _give_up_meeting(where: str) -> None:
    rank = os.environ.get("RANK", "?")
    write_line(
        f"error: process {rank} has waited {MEETING:g} s for the others at {where}: one did not start, or another job"
        " has this port"
    )
    os._exit(1)


def _own_place() -> str:
    return f"{socket.gethostname()}, pid {os.getpid()}"


def _wait_for_others(count: int) -> list[Peer]:
    """For the main process: a connection of each other one."""
    family, host = _address()
    try:
        server = socket.create_server((host, 0), family=family, backlog=count)
    except OSError:  # a name for this machine that only others know
        server = socket.create_server(("", 0), backlog=count)
    with server:
        token = secrets.token_hex(16)
        broadcast_object_list([server.getsockname()[1], token, _own_place()])
        peers: list[Peer] = []
        end = time.monotonic() + JOIN
        while len(peers) < count - 1 and time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError, KeyError):
                server.settimeout(max(end - time.monotonic(), 0.1))
                link, _ = server.accept()
                link.settimeout(5)
                hello = json.loads(_read_line(link))
                if secrets.compare_digest(hello["token"], token):
                    link.setblocking(False)
                    peers.append(Peer(int(hello["rank"]), str(hello["place"]), link))
                else:
                    link.close()
    return peers


def _join_main(rank: int) -> list[Peer]:
    """For the other processes: a connection to the main one; none if there is no way to it."""
    port, token, place = broadcast_object_list([None, None, None])
    try:
        link = socket.create_connection((os.environ.get("MASTER_ADDR", "127.0.0.1"), port), timeout=JOIN)
        link.sendall(json.dumps({"rank": rank, "token": token, "place": _own_place()}).encode() + b"\n")
    except OSError:
        return []
    link.setblocking(False)
    return [Peer(0, place, link)]


def _address() -> tuple[socket.AddressFamily, str]:
    """Where the other processes look for the main one."""
    try:
        found = socket.getaddrinfo(os.environ.get("MASTER_ADDR", "127.0.0.1"), 0, type=socket.SOCK_STREAM)
        return found[0][0], str(found[0][4][0])
    except OSError:
        return socket.AF_INET, ""


def _read_line(link: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < 1000:
        line += link.recv(1)
    return line
