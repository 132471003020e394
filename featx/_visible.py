"""Texts of strangers, as a terminal or a page may hold them: nothing hides or turns the order."""

from __future__ import annotations

import re

_UNSHOWABLE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters, line and direction marks, and what stands for bytes that are no UTF-8."""

_IN_LINES = re.compile(f"[{_UNSHOWABLE}]")
_IN_A_LINE = re.compile(f"[\t\n{_UNSHOWABLE}]")


def visible(text: str) -> str:
    r"""Escape what HTML could not hold or a reader not see: ``\x1b``, ``\u202e``, ``\xff``.

    Tabs and ends of lines stay. What is left can be encoded as UTF-8: a lone surrogate, by which
    `os.fsdecode` writes a byte that is none, is written as that byte.
    """
    return _IN_LINES.sub(_escape, text)


def one_line(text: str) -> str:
    r"""Escape as `visible` does, and tabs and ends of lines, too: a name with ``\n`` shows it."""
    return _IN_A_LINE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
