"""Where the text of ``saystream say`` comes from: the command line, a file, or standard input as it comes."""

import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from saystream.common.errors import InvalidInput, SaystreamError
from saystream.compose.cli import stdin
from saystream.compose.cli.files import read_text
from saystream.producer.turn import pieces


class NothingToSay(SaystreamError):
    """There is nothing to say: the text is empty."""


def open_source(text: str | None, file: Path | None, limit_bytes: int) -> AsyncIterator[str]:
    """Return the text that was chosen, in pieces of at most so many bytes.

    Raises:
        InvalidInput: both are given, or the file cannot be read.
    """
    if text is not None and file:
        raise InvalidInput("there is a text and a --file: give one of them")
    if file and str(file) != "-":
        text = read_text("--file", file)
    if text is not None:
        return chain(pieces(text, limit_bytes))
    if sys.stdin.isatty():
        sys.stderr.write("Each line that you type is spoken. Ctrl-D ends it.\n")
    return _cut(stdin.arriving(), limit_bytes)


async def begun(source: AsyncIterator[str]) -> AsyncIterator[str]:
    """Wait for more than blanks, and return all of the text; raises NothingToSay if there is never more."""
    first: list[str] = []
    async for piece in source:
        first.append(piece)
        if piece.strip():
            return chain(first, source)
    raise NothingToSay


async def chain(first: Iterable[str], rest: AsyncIterator[str] | None = None) -> AsyncIterator[str]:
    """Give some pieces, and then the others as they come."""
    for piece in first:
        yield piece
    if rest is not None:
        async for piece in rest:
            yield piece


async def _cut(texts: AsyncIterator[str], limit_bytes: int) -> AsyncIterator[str]:
    async for text in texts:
        for piece in pieces(text, limit_bytes):
            yield piece
