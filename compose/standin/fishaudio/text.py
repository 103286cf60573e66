"""Gathers the text of a session into chunks, and reads the words and pauses of a chunk."""

import re
from collections.abc import Iterator
from typing import Final

from saystream.compose.standin.orders import Pause

LONGEST_WORD = 1_000
"""Characters. Here text without an end of a word is cut after so many, to keep one client from filling the memory."""

_LONGEST_CUE = 100
_CUE = re.compile(rf"\[([^\[\]]{{1,{_LONGEST_CUE}}})\]")
_SPEAKER = re.compile(r"<\|speaker:\d+\|>")
# Here the documents name no lengths.
_PAUSES: Final = {"break": Pause(0.5), "pause": Pause(0.5), "long-break": Pause(1.0)}

_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*\s|[。！？]")
# Chinese and Japanese have no blanks: a character is as good an end as any.
_WORD_END = re.compile(r"\s|[\u3001-\u30ff\u3400-\u9fff\uff01-\uff5e]")


class TextBuffer:
    """Keeps text back until there is enough for a chunk.

    Args:
        chunk_length: characters from which on some are given out
        min_chunk_length: characters before which no sentence's end is taken for the end of a chunk
    """

    def __init__(self, chunk_length: int, min_chunk_length: int) -> None:
        self.chunk_length = chunk_length
        self.min_chunk_length = min_chunk_length
        self._text = ""

    def add(self, text: str) -> Iterator[str]:
        """Append text; yield the chunks that are full now. The iterator must be exhausted before the next call."""
        self._text += text
        begin = 0
        while (end := self._end(begin)) is not None:
            yield self._text[begin:end]
            begin = end
        self._text = self._text[begin:]

    def flush(self) -> str:
        """Give out what is left."""
        text, self._text = self._text, ""
        return text

    def _end(self, begin: int) -> int | None:
        """Where the chunk from `begin` ends: behind its last sentence, or its last word; None asks for more text."""
        text, full = self._text, begin + self.chunk_length
        if len(text) < full:
            return None
        for pattern, least in ((_SENTENCE_END, self.min_chunk_length), (_WORD_END, 1)):
            ends = [match.end() for match in pattern.finditer(text, begin, full)]
            for end in reversed(ends):
                if end - begin >= least and not _in_cue(text, begin, end):
                    return end
        for match in _WORD_END.finditer(text, full, begin + LONGEST_WORD):
            if not _in_cue(text, begin, match.end()):
                return match.end()
        return begin + LONGEST_WORD if len(text) >= begin + LONGEST_WORD else None


def spoken_items(text: str) -> Iterator[str | Pause]:
    """Yield the words and pauses of a chunk; its other cues are heard by the model alone."""
    for index, part in enumerate(_CUE.split(_SPEAKER.sub(" ", text))):
        if index % 2 == 0:
            yield from part.split()
        elif (pause := _PAUSES.get(part.strip().lower().replace(" ", "-"))) is not None:
            yield pause


def _in_cue(text: str, begin: int, end: int) -> bool:
    opened = text.rfind("[", max(begin, end - _LONGEST_CUE), end)
    return opened >= 0 and "]" not in text[opened:end]
