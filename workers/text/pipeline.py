"""The filters in their order: what a turn's text goes through on its way to the vendor.

The order, and why:

1. `clean`: all others see composed characters and one kind of blank.
2. `markdown`: it alone knows what is code, so it comes before tags, and passes code as `Verbatim`; tags pass through it
   untouched, links lose their URLs before anybody speaks them, and marks around words are gone before words are looked
   at.
3. `tags`: before entities, so that ``&lt;break/&gt;`` is text. From here on all is text or a mark.
4. `entities`: behind Markdown, so that ``&#42;`` is a star; before emoji, which may be written as entities.
5. `emoji`.
6. `replacements`: what the settings say wins over all that saystream would make of a word or an address.
7. `addresses`.
8. `normalise`: last, so that it finds numbers in what was replaced, too.

**Cost.** Most tokens are a piece of a word. If no filter holds anything back and nothing in a token, nor in the letter
that waits in front of it (see `clean`), is of interest to any filter, the token passes by all of them.
"""

import re
from collections.abc import Sequence

from saystream.common.errors import InvalidSettings
from saystream.common.text_rules import TextRules
from saystream.workers.text.addresses import Addresses
from saystream.workers.text.clean import Clean
from saystream.workers.text.emoji import Emoji
from saystream.workers.text.entities import Entities
from saystream.workers.text.markdown import Markdown
from saystream.workers.text.replacements import Replacements
from saystream.workers.text.rewriter import Filter
from saystream.workers.text.run import Item, Run
from saystream.workers.text.tags import Tags

#: Longer pieces of text go through in parts, so that no filter copies much text for each of its finds.
_PART = 1024


class Pipeline:
    """What is done to one turn's text; to be fed from the text's first character.

    Args:
        rules: the switches.
        language: the voice's, ISO 639-1, perhaps with a region.
    """

    def __init__(self, rules: TextRules, language: str | None) -> None:
        self._clean = Clean()
        self._blocks = _Chain([Markdown(rules)] if rules.markdown else [])
        self._words = _Chain(_word_filters(rules, language))
        self._suspects = _either(Clean.suspects, self._blocks.suspects, self._words.suspects)

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._clean.waiting) + self._blocks.held + self._words.held

    def feed(self, text: str) -> list[Item]:
        """Take text; give out what is decided with it."""
        if not text:
            return []
        clean = self._clean
        seen = clean.waiting + text
        if self._blocks.calm and self._words.calm and clean.calm and self._suspects.search(seen) is None:
            run = clean.pass_plain(seen)
            if not run.text:
                return []
            self._blocks.passed = self._words.passed = run.text[-1]
            return [run]
        if len(text) <= _PART:
            return self._filtered(text)
        given: list[Item] = []
        for at in range(0, len(text), _PART):
            given += self._filtered(text[at : at + _PART])
        return given

    def flush(self) -> list[Item]:
        """Give out all that is held back: the producer flushes, or no more comes."""
        return list(self._words.flush(self._blocks.flush(self._clean.flush())))

    def settle(self) -> list[Item]:
        """Give out what is held back and whole as it stands, such as a last letter or full stop: the LLM pauses."""
        return list(self._words.settle(self._blocks.settle(self._clean.flush())))

    def _filtered(self, text: str) -> list[Item]:
        clean = self._clean
        seen = clean.waiting + text
        runs: Sequence[Item]
        if clean.calm and Clean.suspects.search(seen) is None:
            run = clean.pass_plain(seen)
            runs = [run] if run.text else []
        else:
            runs = clean.feed(text)
        items = self._words.feed(self._blocks.feed(runs))
        return items if isinstance(items, list) else list(items)


class _Chain:
    """Filters one behind the other; what interests none of them is not fed to any."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = filters
        self.suspects = _either(*(filter_.suspects for filter_ in filters)) if filters else _NOTHING
        self.calm = self._is_calm()
        self.passed = ""  # the last character that went past, as long as the filters have not been told

    @property
    def held(self) -> int:
        return sum(filter_.held for filter_ in self._filters)

    def feed(self, items: Sequence[Item]) -> Sequence[Item]:
        if self.calm:
            search = self.suspects.search
            for item in items:
                if type(item) is not Run or search(item.text) is not None:
                    break
            else:
                if items:
                    self.passed = items[-1].text[-1]  # type: ignore[union-attr]  # they are all runs
                return items
        self._catch_up()
        for filter_ in self._filters:
            items = filter_.feed(items)
        self.calm = self._is_calm()
        return items

    def flush(self, items: Sequence[Item]) -> Sequence[Item]:
        self._catch_up()
        for filter_ in self._filters:
            items = [*filter_.feed(items), *filter_.flush()]
        self.calm = self._is_calm()
        return items

    def settle(self, items: Sequence[Item]) -> Sequence[Item]:
        self._catch_up()
        for filter_ in self._filters:
            items = [*filter_.feed(items), *filter_.settle()]
        self.calm = self._is_calm()
        return items

    def _is_calm(self) -> bool:
        return all(filter_.calm for filter_ in self._filters)

    def _catch_up(self) -> None:
        if self.passed:
            for filter_ in self._filters:
                filter_.pass_by(self.passed)
            self.passed = ""


def _word_filters(rules: TextRules, language: str | None) -> list[Filter]:
    filters: list[Filter] = [Tags(rules.tags)]
    if rules.entities:
        filters.append(Entities())
    if rules.emoji == "skip":
        filters.append(Emoji())
    if rules.replacements:
        filters.append(Replacements(rules.replacements))
    if rules.addresses:
        filters.append(Addresses(language))
    if rules.normalise:
        from saystream.workers.text.normalise import Normaliser  # its libraries and tables are not needed by others

        if language is None:
            raise InvalidSettings("text.normalise needs the voice's language: 5.10 is said in another way in each")
        filters.append(Normaliser(language))
    return filters


def _either(*patterns: re.Pattern[str] | None) -> re.Pattern[str]:
    """Return a pattern that finds what any of these finds; None finds everything."""
    if any(pattern is None or pattern.flags & ~re.UNICODE for pattern in patterns):
        return re.compile("")
    return re.compile("|".join(f"(?:{pattern.pattern})" for pattern in patterns if pattern is not None))


_NOTHING = re.compile("(?!)")
