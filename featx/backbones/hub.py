"""Find the file of pretrained weights, or have torch.hub download it."""

from __future__ import annotations

import re
from hashlib import file_digest
from http.client import HTTPException
from pathlib import Path

import torch

from featx._types import Progress
from featx.errors import WeightsError, WeightsUnreachableError

_HASH = re.compile(r"-([0-9a-f]{8,})\.")


def pretrained_file(url: str, name: str, progress: Progress) -> Path:
    """Give the file that ``url`` is kept as in torch.hub's folder, downloaded where it is missing.

    Parameters
    ----------
    url
        Of the weights.
    name
        Of the file; it holds the beginning of the SHA-256 of its bytes, which is checked.
    progress
        Told of the download.

    Raises
    ------
    WeightsUnreachableError
        If the file is not there and the URL is out of reach.
    WeightsError
        If its bytes are not those that its name promises.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    digest = published_digest(name)
    if not path.is_file():
        progress.say(f"downloading {url} to {path}")
        _download(url, path, digest)
    elif digest is not None and not sha256(path).startswith(digest):
        raise WeightsError(
            f"{path} is damaged or another file: its SHA-256 does not start with {digest}; "
            "delete it, so that it is downloaded again, or name it with --weights FILE"
        )
    return path


def _download(url: str, path: Path, digest: str | None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), digest, progress=True)
    except RuntimeError as error:
        raise WeightsError(f"{url} arrived damaged ({error}); try again") from error
    except (OSError, HTTPException) as error:
        raise WeightsUnreachableError(
            f"the pretrained weights {path.name} are not in {path.parent} and {url} cannot be "
            f"reached ({error}); put the file there, or name one with --weights FILE (or try "
            "things out with --weights random, untrained)"
        ) from error


def published_digest(name: str) -> str | None:
    """Give the beginning of the SHA-256 that a published file's name holds; None if it has none."""
    return found[1] if (found := _HASH.search(name)) else None


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as handle:
        return file_digest(handle, "sha256").hexdigest()
