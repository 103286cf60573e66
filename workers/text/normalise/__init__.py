"""Numbers, money, dates, times, units, phone numbers and acronyms become words, by the voice's language."""

import re

from saystream.workers.text.normalise import acronyms, dates, money, numbers, phones, symbols, times
from saystream.workers.text.normalise.languages import language_of
from saystream.workers.text.normalise.reader import LOOK_AHEAD, More, Reader, extends, is_word
from saystream.workers.text.normalise.spoken import Reading
from saystream.workers.text.rewriter import Replacement, Rewriter, Verdict

__all__ = ["Normaliser"]

_MINUS = "-−"
#: Characters that form one cluster with a digit behind them.
_PREPENDED = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u0890\u0891\u08e2")


class Normaliser(Rewriter):
    """Rewrites what is written in another way than it is spoken.

    Args:
        language: the voice's language as a tag, such as "de" or "en-GB".

    Raises:
        InvalidSettings: nobody knows how to speak this language, or what that needs is not installed.
    """

    # A capital with a small letter behind it begins a word like any other, or a month; a dash or an opening bracket
    # matters only in front of a digit or a currency's sign.
    trigger = re.compile(
        r"[\d$€£¥￥₹₽₩&+=%#№§°±−×÷≈≠≤≥]"
        r"|[A-Z](?![a-zß-öø-ÿ])|[ADFJMNOS](?=[a-u])|R(?=s?\Z|s[.\s\d])"
        r"|-(?=[\d$€£¥￥₹₽₩]|\Z)|\((?=\d|\Z)"
    )
    look_ahead = LOOK_AHEAD

    def __init__(self, language: str) -> None:
        super().__init__()
        self._language = language_of(language)

    def decide(self, text: str, at: int, before: str, *, final: bool) -> Replacement | Verdict:
        reader = Reader(text, at, before, final=final)
        try:
            found = self._read(reader)
            if found is None or extends(reader(found.end)) or before in _PREPENDED:
                return Verdict.NOTHING
            return Replacement(found.end, self._parted(found.text, before))
        except More:
            return Verdict.MORE

    def _read(self, reader: Reader) -> Reading | None:
        char, language = reader(0), self._language
        if char.isdecimal():
            if reader.before.isdecimal() or reader.before in money.SYMBOLS:
                return numbers.read(reader, 0, language)
            return (
                dates.read(reader, language)
                or times.read(reader, language)
                or phones.read(reader, language)
                or numbers.read(reader, 0, language)
            )
        if "A" <= char <= "Z":
            if is_word(reader.before):
                return None
            return (
                dates.month_first(reader, language)
                or money.in_front(reader, 0, language)
                or acronyms.read(reader, language)
            )
        if char in money.SYMBOLS:
            return money.in_front(reader, 0, language)
        if char in _MINUS:
            return self._minus(reader)
        if char == "(":
            return phones.read(reader, language)
        return (phones.read(reader, language) if char == "+" else None) or symbols.read(reader, language)

    def _minus(self, reader: Reader) -> Reading | None:
        before, language = reader.before, self._language
        if before.isdecimal() and money.begins(reader, 1):  # "$3-$5"
            return Reading(1, symbols.spaced(language.to, before, reader(1), language))
        if reader(0) == "-" and before and not before.isspace() and before not in "([{«“\"'=":
            return None
        if reader(1).isdecimal() and not is_word(before):
            return numbers.read(reader, 1, language, negative=True)
        if money.begins(reader, 1) and not is_word(before):
            return money.in_front(reader, 1, language, negative=True)
        return symbols.read(reader, language)

    def _parted(self, text: str, before: str) -> str:
        """Return words with a blank in front of them if a word ends there."""
        return f" {text}" if self._language.blank and is_word(before) and not text.startswith(" ") else text
