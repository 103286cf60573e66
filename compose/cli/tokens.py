"""Tokens as an LLM would give them: pieces of words, at its pace."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

#: A blank and up to six letters; the rest of a long word; a mark; blank lines.
_TOKEN = re.compile(r" ?[^\W_]{1,6}|\s+|.", re.DOTALL)


def cut(text: str) -> Iterator[str]:
    """Cut a text into tokens; joined, they are the text."""
    return (match.group() for match in _TOKEN.finditer(text))


async def paced(text: str, per_second: float) -> AsyncIterator[str]:
    """Give the tokens of a text at a steady pace."""
    now = asyncio.get_running_loop().time
    start_s = now()
    for number, token in enumerate(cut(text)):
        await asyncio.sleep(start_s + number / per_second - now())
        yield token
