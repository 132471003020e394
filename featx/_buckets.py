"""One client of each bucket, from the usual environment, and errors that say what to do.

Credentials come from where the store's own tools look in the environment (``AWS_*``, ``AZURE_*``,
``GOOGLE_*``, or the machine's role) and are neither read nor printed here.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from featx.errors import CacheWriteError, MissingDependencyError, SourceReadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from obstore.store import ClientConfig, RetryConfig

T = TypeVar("T")

REQUEST_S = 60
"""Of one request, its data included: 32 MiB at 4.5 Mbit/s."""
RETRY_S = 90
"""From the first request on; after that no retry is begun."""
RETRIES = 8
BACKOFF_S = (0.1, 10.0)
"""The first pause, about doubled from then on, and the longest."""

DENIED = {
    "s3": (
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN, AWS_REGION and "
        "AWS_ENDPOINT_URL where they are needed), or ask for the permission; `aws sts "
        "get-caller-identity` says who you are"
    ),
    "gs": (
        "set GOOGLE_APPLICATION_CREDENTIALS or run `gcloud auth application-default login`, or ask "
        "for the permission; `gcloud auth list` says who you are"
    ),
    "az": (
        "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or "
        "AZURE_STORAGE_SAS_TOKEN), or ask for the permission; `az account show` says who you are"
    ),
}
"""What to do about a refusal, by the scheme of the url: the schemes that there are."""

_ENDPOINTS = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
)
_NO_CREDENTIALS = (
    "169.254.169.254",
    "169.254.170.2",
    "metadata.google.internal",
    "MissingAccount",
    "Missing AccessKeyId",
    "Missing SecretAccessKey",
)
"""Whom a client asks that found nothing in the environment, in vain; or what it says."""
_REFUSED = ("status code: 401", "status code: 403")
"""What a list that is denied is known by."""
_MAX_REASON = 300


def library() -> Any:
    """Give obstore.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        import obstore
    except ImportError as error:
        raise MissingDependencyError(
            "a cache in a bucket needs obstore: pip install 'featx[cloud]'"
        ) from error
    return obstore


def client(bucket: str) -> Any:
    """Give this process's client of ``bucket``, such as ``s3://photos``.

    Raises
    ------
    MissingDependencyError
        If obstore is not installed.
    SourceReadError
        If the environment does not say enough.
    """
    plain = any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS)
    library()
    return _client(bucket, plain, os.getpid())


@cache
def _client(bucket: str, allow_http: bool, process: int) -> Any:  # noqa: ARG001 - part of the key
    from obstore.store import from_url

    first, longest = (timedelta(seconds=pause) for pause in BACKOFF_S)
    retry: RetryConfig = {
        "backoff": {"init_backoff": first, "max_backoff": longest, "base": 2},
        "max_retries": RETRIES,
        "retry_timeout": timedelta(seconds=RETRY_S),
    }
    options: ClientConfig = {
        "timeout": timedelta(seconds=REQUEST_S),
        "allow_http": allow_http,
    }
    with reading(bucket):
        return from_url(bucket, client_options=options, retry_config=retry)


def forget() -> None:
    """Make clients anew, from what the environment says by now."""
    _client.cache_clear()


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Turn the client's errors into `FileNotFoundError` and `SourceReadError`."""
    base = library().exceptions.BaseError
    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise SourceReadError(f"cannot read {url}: {_reason(error, url)}") from error
        raise FileNotFoundError(f"no object {url}") from error
    except (base, ValueError) as error:
        raise SourceReadError(f"cannot read {url}: {_reason(error, url)}") from error


@contextmanager
def writing(url: str) -> Iterator[None]:
    """Turn the client's errors into `CacheWriteError`."""
    base = library().exceptions.BaseError
    try:
        yield
    except (FileNotFoundError, base, ValueError) as error:
        raise CacheWriteError(f"cannot write to {url}: {_reason(error, url)}") from error


def _reason(error: Exception, url: str) -> str:
    errors = library().exceptions
    text, scheme = str(error), url.partition(":")[0]
    advice = DENIED[scheme]
    denied = isinstance(error, (errors.PermissionDeniedError, errors.UnauthenticatedError))
    if any(sign in text for sign in _NO_CREDENTIALS):
        return f"no credentials in the environment; {advice}"
    if denied or any(sign in text.split("\n", 1)[0] for sign in _REFUSED):
        return f"access denied; {advice}"
    if "NoSuchBucket" in text:
        return "there is no such bucket; make it first, or see to the name"
    if isinstance(error, errors.NotSupportedError):
        return f"the store does not support it: {_short(text)}"
    return f"{_short(text)}; what is done is kept: run it again when the store answers"


def _short(text: str) -> str:
    """Give the first line of an error, without a server's page, and without signed queries."""
    line = text.strip().split("\n", 1)[0].split("<?xml", 1)[0]
    return re.sub(r"\?\S+", "?...", line).strip(" :")[:_MAX_REASON]


def again(request: Callable[[], T]) -> T:
    """Make a request once more while its connection breaks, for a time.

    The client does so by itself but for conditional writes: whether one that broke was carried
    out, only its sender can find out.
    """
    broken = library().exceptions.GenericError
    begun, pause_s = time.monotonic(), BACKOFF_S[0]
    while True:
        try:
            return request()
        except broken as error:
            final = any(sign in str(error) for sign in (*_NO_CREDENTIALS, "status code: 4"))
            if final or time.monotonic() - begun + pause_s > RETRY_S:
                raise
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, BACKOFF_S[1])
