"""Finding an extractor's weights before any work: a file of the user's own, a cache, or a download."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mmgan.digests import file_digest
from mmgan.errors import UserError

FLAG = "--extractor-weights FILE"


def import_timm() -> Any:
    """The package.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise UserError("this extractor needs timm: pip install 'mmgan[timm]'") from error
    return timm


@contextmanager
def reading_weights(refusal: str) -> Iterator[None]:
    """Turn whatever a foreign file makes pickle, torch and a network raise into one line.

    Raises:
        UserError: with the text `refusal`.
    """
    try:
        yield
    except (UserError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise UserError(refusal) from error


def given_weights(path: Path | str) -> Path:
    """A file named by the user.

    Raises:
        UserError: if there is no such file.
    """
    if not Path(path).is_file():
        raise UserError(f"the extractor's weights '{path}' are not a file: give {FLAG}")
    return Path(path)


def find_hub_weights(name: str, url: str, digest: str, path: Path | str | None, *, download: bool) -> Path:
    """The given file, else the one in torch's hub cache, else a download into it.

    Args:
        name: of the cached file.
        url: where the file is published.
        digest: how its sha256 begins.
        path: a file of the user's own, whose digest is free.
        download: fetch the file where the cache lacks it.

    Raises:
        UserError: if there is no such file, the cached one is damaged, or the download fails.
    """
    if path is not None:
        return given_weights(path)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / name
    if cached.is_file():
        if not file_digest(cached).startswith(digest):
            raise UserError(f"the cached weights '{cached}' are damaged: delete the file or give {FLAG}")
        return cached
    if not download:
        raise UserError(f"no weights in '{cached}': give {FLAG} or add --download")
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(cached), hash_prefix=digest, progress=False)
    except (OSError, RuntimeError) as error:
        why = " ".join(str(error).split())
        raise UserError(
            f"no weights: '{cached}' is absent and {url} could not be downloaded ({why}): give {FLAG}"
        ) from error
    return cached


def find_timm_weights(model: str, path: Path | str | None, *, download: bool) -> Path:
    """The given file, else timm's own for this model in the Hugging Face cache, else a download into it.

    Raises:
        UserError: if timm is not installed or does not know the model, or there is no such file.
    """
    timm = import_timm()
    if not timm.is_model(model):
        near = ", ".join(timm.list_models(f"*{model.split('.')[0]}*")[:3]) or "timm.list_models()"
        raise UserError(f"timm has no model '{model}': choose one of its names, such as {near}")
    if path is not None:
        return given_weights(path)
    config = timm.get_pretrained_cfg(model)
    if config is None or not config.hf_hub_id:
        raise UserError(f"timm publishes no weights for '{model}': give {FLAG}")

    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    repository, names = config.hf_hub_id, ("model.safetensors", "pytorch_model.bin")
    for name in names:
        found = try_to_load_from_cache(repository, name)
        if isinstance(found, str):
            return Path(found)
    if not download:
        raise UserError(f"no weights of '{model}' in the Hugging Face cache: give {FLAG} or add --download")
    try:
        return Path(hf_hub_download(repository, names[0]))
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"the weights of '{model}' could not be downloaded ({why}): give {FLAG}") from error
