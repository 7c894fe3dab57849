"""Upload to a model hub, through the package huggingface_hub."""

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

from mmgan.errors import UserError


def check_push(repository: str) -> None:
    """Refuse what cannot be uploaded, before anything is written.

    Raises:
        UserError: if the name is not OWNER/NAME, or huggingface_hub is not installed.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
        raise UserError(f"--push {repository} is not a repository's name: write OWNER/NAME")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UserError("--push needs the package huggingface_hub: pip install 'mmgan[hub]'")


def push(files: Sequence[Path], repository: str) -> str:
    """Upload the files as one commit; the repository is made if it does not exist.

    The token is the one of `hf auth login` or HF_TOKEN, and HF_ENDPOINT names another hub.

    Args:
        files: to upload, under their own names.
        repository: OWNER/NAME.

    Returns:
        The repository's address.

    Raises:
        UserError: if the hub refuses or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi(library_name="mmgan")
    operations = [CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file) for file in files]
    try:
        address = api.create_repo(repository, exist_ok=True)
        api.create_commit(repository, operations, commit_message="Generator exported by mmgan")
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{repository} was not uploaded ({reason}): the files stand in {files[0].parent}; log in with `hf auth"
            " login`, and check that the name is yours"
        ) from None
    return str(address)
