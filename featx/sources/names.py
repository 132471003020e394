"""Names of files: which are images, which are nobody's business, how they sort and show."""

from __future__ import annotations

import re

_SUFFIXES = """
jpg jpeg jpe jfif png apng gif bmp dib tif tiff webp ppm pgm pbm pnm pfm tga jp2 j2k jpx mpo heic
heif avif jxl ico pcx sgi psd xbm xpm dds exr hdr fits dcm dicom czi nd2 lif svs ndpi cr2 cr3 nef
arw dng raf orf rw2
"""
IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
"""Lower case, without the dot. Formats that need ``--reader`` are among them, so that they fail
with a reason instead of being ignored."""

_JUNK = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}
    | {"system volume information", "lost+found", "__pycache__"}
)
_DIGITS = re.compile(r"([0-9]+)")


def is_hidden(name: str) -> bool:
    """Whether an operating system or a tool put it there, not the person."""
    return name.startswith(".") or name.lower() in _JUNK


def has_image_suffix(name: str) -> bool:
    """Whether the name ends as the name of an image does."""
    _, dot, suffix = name.rpartition(".")
    return bool(dot) and suffix.lower() in IMAGE_SUFFIXES


def is_tar(name: str) -> bool:
    """Whether the name is that of a tar archive, the members of which have an offset."""
    return name.lower().endswith(".tar")


def is_packed_tar(name: str) -> bool:
    """Whether the name is that of a compressed tar archive."""
    return re.search(r"\.(tgz|tbz2?|txz|tzst|tar\.[a-z0-9]+)$", name.lower()) is not None


def natural(name: str) -> tuple[list[str | int], str]:
    """Give the sort key under which ``img2`` comes before ``img10``, on every file system."""
    parts: list[str | int] = list(_DIGITS.split(name.casefold()))
    parts[1::2] = map(int, parts[1::2])
    return parts, name


def display(name: str) -> str:
    r"""Show bytes that are no UTF-8 as ``\xff``, and every other name as it is."""
    if name.isascii():
        return name
    try:
        data = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, which Windows allows in names
        data = name.encode("utf-8", "surrogatepass")
    return data.decode("utf-8", "backslashreplace")


def data_name(text: str) -> str:
    """Make a data set's name of a file's: letters, digits, ``.``, ``_`` and ``-``."""
    return re.sub(r"[^\w.-]+", "-", display(text)).strip("-.") or "images"
