"""Say what a file is that is no image, by its first bytes."""

from __future__ import annotations

_READER = "read it with --reader module:function"
_HEIC = "HEIC, which Pillow does not read; convert it to JPEG, or use --reader (pillow-heif)"
_KINDS = (
    (b"version https://git-lfs", "a git-lfs pointer, not the image; run git lfs pull"),
    (b"\xff\xd8\xff", f"a JPEG with a damaged header or of more than 8 bits; {_READER} if so"),
    (b"\x89PNG", "a PNG with a damaged header"),
    (b"GIF8", "a GIF with a damaged header"),
    (b"RIFF", "a WebP (or other RIFF file) with a damaged header"),
    (b"BM", "a BMP with a damaged header"),
    (b"%PDF", "a PDF, not an image"),
    (b"PK\x03\x04", "a zip archive, not an image"),
    (b"\x1f\x8b", "gzip data, not an image"),
    (b"\x93NUMPY", f"a NumPy array; give the .npy file as the data, or {_READER}"),
    (b"\x76\x2f\x31\x01", f"OpenEXR; {_READER}"),
    (b"#?RADIANCE", f"Radiance HDR; {_READER}"),
    (b"\xff\x0a", f"JPEG XL; {_READER}"),
    (b"\x00\x00\x00\x0cJXL ", f"JPEG XL; {_READER}"),
    (b"SIMPLE  =", f"FITS; {_READER}"),
)
_MARKUP = ((b"<svg", "an SVG drawing; save it as PNG"), (b"<html", "a web page, not an image"))


def what_is(data: bytes) -> str:
    """Give the reason for which ``data`` cannot be decoded, in words."""
    for mark, words in _KINDS:
        if data.startswith(mark):
            return words
    if data[4:8] == b"ftyp":
        brand = data[8:12].decode("ascii", "replace")
        return _HEIC if brand[:2] in ("he", "mi", "ms") else f"a video or {brand} file; {_READER}"
    if data[128:132] == b"DICM":
        return f"DICOM; {_READER}"
    head = data[:1000].lower()
    for mark, words in _MARKUP:
        if mark in head:
            return words
    start = data[:12]
    return f"not an image that Pillow reads (it begins with {start!r}); {_READER} if it is one"
