"""SHA-256 digests, in hexadecimal, of files and of tensors."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor


def file_digest(path: Path) -> str:
    """Digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Digest over names, types, shapes and bytes of the tensors, in the order of their names."""
    sha = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        sha.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        sha.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return sha.hexdigest()
