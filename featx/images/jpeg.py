"""Which JPEGs any decoder takes for the same picture, by what their headers say."""

from __future__ import annotations

from PIL import Image

from featx._quiet import quiet
from featx.images.picture import check_pixels

_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive, with Huffman codes (ITU-T T.81, table B.1)."""
_SEGMENTS = frozenset({0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE})
"""Tables, the restart interval, applications' own and comments."""
_SCAN, _APP1, _APP14 = 0xDA, 0xE1, 0xEE
_END = b"\xff\xd9"


def plain_jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Give the (height, width) of a JPEG whose header leaves no choice to a decoder.

    It has 8 bits, is grey or YCbCr, stands upright, and has an end. None for all others, and for
    what is no JPEG: they are left to the decoder that knows more. Whether the pixels between are
    damaged is not looked at.

    Raises
    ------
    ImageError
        If there are so many pixels that it may be a decompression bomb.
    """
    if not data.startswith(b"\xff\xd8") or not data.endswith(_END):
        return None
    size, at = None, 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _SCAN:
            break
        end = at + 2 + length
        segment = data[at + 4 : end]
        if marker in _FRAMES and size is None:
            size = _size(segment)
            usual = size is not None
        else:
            usual = marker in _SEGMENTS and _is_usual(marker, segment)
        if not usual or length < 2:
            return None
        at = end
    else:  # it ends before its scan, or goes on with something else than a segment
        return None
    if size is not None:
        check_pixels(size[1], size[0])
    return size


def _size(frame: bytes) -> tuple[int, int] | None:
    """Give (height, width) of 8 bits in one channel, or in three that are not named R, G and B."""
    if len(frame) < 6 or frame[0] != 8 or frame[5] not in (1, 3) or len(frame) != 6 + 3 * frame[5]:
        return None
    if frame[6::3] == b"RGB":
        return None
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    return (height, width) if height and width else None


def _is_usual(marker: int, segment: bytes) -> bool:
    """Whether a segment leaves the picture as it is: not turned, its colours YCbCr."""
    if marker == _APP14 and segment.startswith(b"Adobe"):
        return len(segment) >= 12 and segment[11] == 1
    if marker != _APP1:
        return True
    if not segment.startswith(b"Exif\0\0"):
        return b"Orientation" not in segment  # XMP
    exif = Image.Exif()
    try:
        with quiet(r"PIL\."):  # of what is damaged, whoever decodes it says more
            exif.load(segment)
            return bool(exif.get(0x0112, 1) == 1)
    except MemoryError:
        raise
    except Exception:  # damaged metadata: whoever decodes the image says what it means
        return False
