"""What is done to a turn's text before it is spoken: switches of a voice, and of a turn over them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class TextRules(BaseModel):
    """What is done to the text. Unicode is always cleaned: composed (NFC), no control or invisible characters.

    Args:
        markdown: marks of emphasis, headings, lists and links are taken out; False: they are text.
        code: fenced code blocks are left out, or a word says that there is one, or they are read.
        tables: the same for tables.
        code_word, table_word: the words that say so.
        list_pause_ms: silence in front of each item of a list, in milliseconds; 0 for none.
        entities: HTML entities (``&amp;``) become characters.
        emoji: are left out, or kept for the vendor.
        addresses: URLs and e-mail addresses become words (``example dot com``); False: the vendor reads them.
        tags: what becomes of tags that nobody knows: they are left out, passed to the vendor, or spoken as text.
        normalise: numbers, money, dates, times, units, phone numbers and acronyms become words, by the voice's
            language; for vendors that do not do it themselves.
        replacements: whole words or phrases, and what is said in their place, such as ``"GIF": "jiff"``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    markdown: bool = True
    code: Literal["skip", "announce", "speak"] = "skip"
    tables: Literal["skip", "announce", "speak"] = "skip"
    code_word: Annotated[str, Field(max_length=128)] = "Code."
    table_word: Annotated[str, Field(max_length=128)] = "Table."
    list_pause_ms: Annotated[int, Field(ge=0, le=5000)] = 0
    entities: bool = True
    emoji: Literal["skip", "keep"] = "skip"
    addresses: bool = True
    tags: Literal["drop", "pass", "speak"] = "drop"
    normalise: bool = False
    replacements: Annotated[dict[str, str], Field(max_length=1000)] = {}
