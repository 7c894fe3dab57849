"""Image files made by hand, and a decoy of the program that Pillow runs for one format."""

import struct
import zlib
from pathlib import Path

import pytest


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, *chunks: bytes) -> bytes:
    """An RGB PNG that claims a size, whatever the chunks after its header hold."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def eps_bytes() -> bytes:
    """An EPS of 8x8, which Pillow would give to Ghostscript."""
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


def decoy_gs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a `gs` first on PATH that makes a file when it runs; the path of that file."""
    from PIL import EpsImagePlugin

    programs, ran = folder / "bin", folder / "gs-ran"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # what an earlier search for it found
    return ran
