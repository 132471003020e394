"""Objects in a bucket, by the part of `pathlib.Path` that featx uses.

Keys stand for files, and what they have in common up to a ``/`` for folders, which need not be
made. A missing object is a `FileNotFoundError`; what else stands in the way of reading is a
`SourceReadError`, of writing a `CacheWriteError`, both of them `OSError`.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

from featx import _buckets
from featx._buckets import again, client, library, reading, writing
from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters at least: C:\ is a disk
_WRITER = "featx-writer"
"""The metadata by which a writer recognises an object as its own."""


Tag: TypeAlias = tuple[str | None, str | None]
"""What tells one version of an object from all others: its ETag, and its number where there is one.

Amazon's and Azure's stores compare the first, Google's the second.
"""


class Tagged(NamedTuple):
    """An object's bytes, the mark of this version of it, and who wrote it."""

    data: bytes
    tag: Tag
    writer: str | None


@dataclass(frozen=True, order=True)
class ObjectPath:
    """The url of an object or of a folder of objects, as ``s3://bucket/key``.

    Attributes
    ----------
    bucket
        ``s3://bucket``.
    key
        What comes after it, without a slash at either end.
    """

    bucket: str
    key: str = ""

    @classmethod
    def of(cls, url: str) -> Self:
        """Parse a url.

        Raises
        ------
        UsageError
            If it names no bucket, has a query, or a part of it is ``.`` or ``..``.
        """
        scheme, _, rest = url.partition("://")
        name, *parts = rest.split("/")
        if not name or "?" in rest or {".", ".."} & set(parts):
            raise UsageError(f"{url!r} names no place; write it as {scheme}://BUCKET/PREFIX")
        return cls(f"{scheme.lower()}://{name}", "/".join(part for part in parts if part))

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, part: str) -> ObjectPath:
        return self.joinpath(part)

    def joinpath(self, *parts: str) -> ObjectPath:
        """Give what lies under this, part by part."""
        return ObjectPath(self.bucket, "/".join(part for part in (self.key, *parts) if part))

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The ending of the name."""
        return Path(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return Path(self.name).stem

    @property
    def parent(self) -> ObjectPath:
        """The folder that it lies in; a bucket's is itself."""
        return ObjectPath(self.bucket, self.key.rpartition("/")[0])

    @property
    def parents(self) -> tuple[ObjectPath, ...]:
        """All folders that it lies in, the nearest first."""
        found = [self]
        while found[-1].key:
            found.append(found[-1].parent)
        return tuple(found[1:])

    def with_name(self, name: str) -> ObjectPath:
        """Give its neighbour of that name."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> ObjectPath:
        """Give its neighbour with another ending."""
        return self.with_name(self.stem + suffix)

    def absolute(self) -> ObjectPath:
        """Give itself: a url is absolute."""
        return self

    def expanduser(self) -> ObjectPath:
        """Give itself."""
        return self

    def mkdir(self, *, parents: bool = True, exist_ok: bool = True) -> None:
        """Do nothing: folders are there by what lies in them."""

    def rmdir(self) -> None:
        """Do nothing: a folder goes with the last object in it."""

    def exists(self) -> bool:
        """Say whether there is such an object, or a folder."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Say whether there is such an object."""
        return self._meta() is not None

    def is_dir(self) -> bool:
        """Say whether anything lies under this."""
        return next(self._list(), None) is not None

    def iterdir(self) -> Iterator[ObjectPath]:
        """Yield what lies directly under this, objects and folders, by name."""
        with reading(str(self)):
            found: Any = library().list_with_delimiter(client(self.bucket), self.key)
        keys = [meta["path"] for meta in found["objects"]]
        for key in sorted([*keys, *found["common_prefixes"]]):
            yield ObjectPath(self.bucket, key)

    def glob(self, pattern: str) -> Iterator[ObjectPath]:
        """Yield what fits a pattern such as ``*.zarr`` or ``*/head.json``, by name.

        A pattern of several parts finds objects alone.
        """
        parts = pattern.split("/")
        if len(parts) == 1:
            yield from (path for path in self.iterdir() if fnmatchcase(path.name, pattern))
            return
        for name in sorted(self.sizes()):
            own = name.split("/")
            if len(own) == len(parts) and all(map(fnmatchcase, own, parts)):
                yield self / name

    def sizes(self) -> dict[str, int]:
        """Give the size in bytes of every object under this, by its key from here on."""
        start = len(self.key) + 1 if self.key else 0
        return {meta["path"][start:]: int(meta["size"]) for meta in self._list()}

    def read_bytes(self) -> bytes:
        """Read an object."""
        return bytes(self.read_buffer())

    def read_buffer(self) -> memoryview:
        """Read an object, without a copy."""
        with reading(str(self)):
            return memoryview(library().get(client(self.bucket), self.key).bytes())

    def read_text(self, encoding: str = "utf-8") -> str:
        """Read an object as text."""
        return self.read_bytes().decode(encoding)

    def read_tagged(self) -> Tagged:
        """Read an object with what `swap` asks for."""
        with reading(str(self)):
            got = library().get(client(self.bucket), self.key)
            data = bytes(got.bytes())
        return Tagged(data, _tag(got.meta), dict(got.attributes).get(_WRITER))

    def write_bytes(self, data: bytes) -> None:
        """Write an object, whole or not at all; what was there is replaced."""
        with writing(str(self)):
            library().put(client(self.bucket), self.key, data, use_multipart=False)

    def create(self, data: bytes, writer: str = "") -> Tag | None:
        """Write an object unless there is one; give its tag, or None where there was one.

        Of several that do so at once, one alone succeeds. ``writer`` is kept with the object; by
        it, an answer that got lost on the way is found out about, so it must be nobody else's.
        """
        return self._put_if("create", data, writer or uuid.uuid4().hex)

    def swap(self, data: bytes, tag: Tag, writer: str = "") -> Tag | None:
        """Replace the version of an object that has ``tag``; None where there is another, or none.

        As `create`.
        """
        named = zip(("e_tag", "version"), tag, strict=True)
        mode = {name: value for name, value in named if value is not None}
        return self._put_if(mode, data, writer or uuid.uuid4().hex)

    def _put_if(self, mode: Any, data: bytes, writer: str) -> Tag | None:
        errors = library().exceptions
        store, about = client(self.bucket), {_WRITER: writer}

        def put() -> Any:
            return library().put(
                store, self.key, data, mode=mode, attributes=about, use_multipart=False
            )

        try:
            with writing(str(self)):
                try:
                    return _tag(again(put))
                except FileNotFoundError as error:
                    if mode == "create" or "NoSuchBucket" in str(error):
                        raise
                    return None
                except (errors.NotSupportedError, NotImplementedError):
                    return self._put_unless(mode, data, writer)
                except (errors.AlreadyExistsError, errors.PreconditionError):
                    pass
            there = self.read_tagged()
        except FileNotFoundError:
            return None
        return there.tag if (there.data, there.writer) == (data, writer) else None

    def _put_unless(self, mode: Any, data: bytes, writer: str) -> Tag | None:
        """Look, and then write: what is left where the environment forbids conditional writes."""
        try:
            there = self.read_tagged()
        except FileNotFoundError:
            found = None
        else:
            found = {"e_tag": there.tag[0]}
        if found != (None if mode == "create" else {"e_tag": mode.get("e_tag")}):
            return None
        about = {_WRITER: writer}
        put = library().put(
            client(self.bucket), self.key, data, attributes=about, use_multipart=False
        )
        return _tag(put)

    def touch(self) -> None:
        """Write an empty object unless there is one."""
        self.create(b"")

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete an object."""
        if not (missing_ok or self.is_file()):
            raise FileNotFoundError(f"no object {self}")
        try:
            with writing(str(self)):
                library().delete(client(self.bucket), self.key)
        except OSError as error:
            if not isinstance(error.__cause__, FileNotFoundError):  # as some stores answer
                raise

    def delete_tree(self) -> None:
        """Delete every object under this."""
        keys = [meta["path"] for meta in self._list()]
        if keys:
            with writing(str(self)):
                library().delete(client(self.bucket), keys)

    def _meta(self) -> Any:
        if not self.key:
            return None
        try:
            with reading(str(self)):
                return library().head(client(self.bucket), self.key)
        except FileNotFoundError:
            return None

    def _list(self) -> Iterator[Any]:
        stream: Any = library().list(client(self.bucket), self.key or None)
        while True:
            with reading(str(self)):
                page = next(stream, None)
            if page is None:
                return
            yield from page


Place: TypeAlias = Path | ObjectPath


def _tag(meta: Any) -> Tag:
    return meta["e_tag"], meta["version"]


def place(text: str | Path | ObjectPath) -> Place:
    """Give the place that a path or a url (``s3://``, ``gs://``, ``az://``, ``file://``) names.

    Raises
    ------
    UsageError
        If the scheme is another one, or the url names no bucket.
    """
    found = _SCHEME.match(text) if isinstance(text, str) else None
    if found is None or not isinstance(text, str):
        return text if isinstance(text, ObjectPath) else Path(text)
    scheme = found[1].lower()
    if scheme == "file":
        return Path(url2pathname(urlsplit(text).path))
    if scheme not in _buckets.DENIED:
        known = ", ".join(f"{name}://" for name in (*_buckets.DENIED, "file"))
        raise UsageError(f"{text!r} begins with {found[0]}; known: {known}")
    return ObjectPath.of(text)
