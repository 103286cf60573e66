"""Markdown's marks are taken out: what is left is what a reader would read.

Taken as it comes, line by line; nothing waits for the end of a paragraph:

- ``**``, ``__``, ``~~`` in front of a word are dropped at once. A single ``*`` or ``_`` waits for the one that closes
  it, up to the end of the line or 64 characters: ``*footnote``, ``2*3``, ``5 * 3``, ``snake_case`` stay.
- Headings and items of lists that end without punctuation get a full stop of their script, so that the voice pauses.
  The numbers of numbered lists are kept, they are words. Items begin with a `Pause`, if the rules want one.
- Links become their text, images their alternative text; marks of footnotes go. ``<https://…>`` loses its brackets.
- ``> `` and lines of ``---``, ``***``, ``___``, ``===`` are dropped.
- Fenced code is left out, announced by a word, or passed as `Verbatim`, as code between backticks is.
- A table begins with a line that begins with ``|``, if the line below it consists of dashes; commas join its cells.
- Tags pass (`tags`); what stands in ``<spell>`` is left alone. A backslash in front of punctuation is dropped.

Not known: code by indentation, links by reference other than ``[text][name]``, headings by underlining, HTML.
"""

import re
from collections.abc import Callable, Sequence
from typing import ClassVar

from saystream.common.text_rules import TextRules
from saystream.workers.text import tags
from saystream.workers.text.characters import UNSPACED, is_blank, is_mark, is_word
from saystream.workers.text.rewriter import Filter, Verdict
from saystream.workers.text.run import Item, Pause, Run, Stretch, Verbatim, spread

_LINE = 256  # so much of a line may decide what it is
_ROW = 1024
_EMPHASIS = 64
_CODE = 256
_LINK_TEXT = 256
_LINK = 1024

_HEADING = re.compile(r"#{1,6}(?=[ \t\n]|\Z)")
_ITEM = re.compile(r"[-*+][ \t]")
_NUMBER = re.compile(r"\d{1,3}[.)](?=[ \t])")
_PARTIAL_NUMBER = re.compile(r"\d{1,3}[.)]?\Z")
_BOX = re.compile(r"\[[ xX]\][ \t]")
_PARTIAL_BOX = re.compile(r"\[(?:[ xX]\]?)?\Z")
_RULE = re.compile(r"([-*_=])(?:[ \t]*\1){2,}[ \t]*(?:\n|\Z)")
_PARTIAL_RULE = re.compile(r"([-*_=])(?:[ \t]*\1)*[ \t]*\Z")
_FENCE = re.compile(r"`{3,}|~{3,}")
_CLOSING = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*(?:\n|\Z)")
_PARTIAL_CLOSING = re.compile(r"[ \t]*(?:`*|~*)[ \t]*\Z")
_DASHES = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*(?:\n|\Z)")
_PARTIAL_DASHES = re.compile(r"[ \t|:-]*\Z")
_BLANKS = re.compile(r"[ \t]+")

_SPECIAL = re.compile(r"[\n*_~`\[!<\\]")
_SPECIAL_IN_ROW = re.compile(r"[\n*_~`\[!<\\| \t]")
_CLOSERS = {
    "*": re.compile(rf"(?<=[^\s*])(?:\*|\*\*\*)(?!\*|(?![{UNSPACED}])\w)"),
    "_": re.compile(r"(?<=[^\s_])(?:_|___)(?![\w])"),
    "**": re.compile(r"(?<=[^\s*])\*{2,3}(?!\*)"),
}
_TEXT_OF_LINK = re.compile(r"\[(?:[^\[\]\n\\]|\\.|\[[^\[\]\n]*\])*\]")
_TARGET = re.compile(
    r"\([ \t]*(?:<[^<>\n]*>|(?:[^\s()<>]|\([^\s()]*\))*)(?:[ \t]+(?:\"[^\"\n]*\"|'[^'\n]*'|\([^()\n]*\)))?[ \t]*\)"
)
_NO_TARGET = re.compile(r"\([ \t]*(?:[^\s()<>]|\([^\s()]*\))+[ \t]+[^\s\"'()]")
_REFERENCE = re.compile(r"\[[^\[\]\n]{0,64}\]")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]{1,32}\]")
_AUTOLINK = re.compile(r"<(https?://[^\s<>]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+)>", re.IGNORECASE)
_PARTIAL_AUTOLINK = re.compile(r"<(?:https?:[^\s<>]*|[\w.+-]+(?:@[\w.-]*)?)\Z", re.IGNORECASE)
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_CLOSING_MARKS = frozenset(")]}\"'”’»」』）")
#: The full stop of scripts that have their own, by ranges.
_STOPS = (("\u0900", "\u097f", "।"), ("\u3040", "\u30ff", "。"), ("\u3400", "\u9fff", "。"), ("\u0600", "\u06ff", "."))


class Markdown(Filter):
    """Takes the marks out.

    Args:
        rules: what is done with code, tables and lists.
    """

    suspects = _SPECIAL

    def __init__(self, rules: TextRules) -> None:
        self._rules = rules
        self._waiting = Stretch()
        self._given: list[Item] = []
        self._before = ""  # the last character of the source
        self._last = ""  # the last character that was passed on
        self._in_line, self._at_line = self._text, self._line  # bound once: they are compared for each token
        self._mode: Callable[[str, bool], bool] = self._at_line
        self._open: set[str] = set()  # marks of emphasis that are to be closed
        self._cuts: list[tuple[int, int]] = []  # what is dropped when the text has come there: (left, characters)
        self._needs_stop = False  # the line is a heading, an item or a row
        self._box = False  # an item's box may come
        self._table = False  # the last line was a row
        self._row = False
        self._fence = ""
        self._fresh = False  # in code: a line begins
        self._spelled = 0
        self._inline: dict[str, Callable[[str, bool], bool]] = {
            "\n": self._end_of_line,
            "*": self._emphasis,
            "_": self._emphasis,
            "~": self._emphasis,
            "`": self._code,
            "[": self._link,
            "!": self._image,
            "<": self._tag,
            "\\": self._escape,
            "|": self._cell,
            " ": self._before_cell,
            "\t": self._before_cell,
        }

    @property
    def held(self) -> int:
        return len(self._waiting.text)

    @property
    def calm(self) -> bool:
        return not self._waiting.text and self._mode is self._in_line and not self._row

    def pass_by(self, last: str) -> None:
        self._before = self._last = last

    def feed(self, items: Sequence[Item]) -> list[Item]:
        for item in items:
            if isinstance(item, Run):
                self._waiting.append(item)
                self._decide(final=False)
            else:
                self._decide(final=True)
                self._given.append(item)
        return self._take_given()

    def flush(self) -> list[Item]:
        self._decide(final=True)
        return self._take_given()

    def settle(self) -> list[Item]:
        """Give out emphasis, code or a link that is closed: nothing that follows is likely to change it."""
        if self._mode is self._in_line and self._waiting.text[-1:] in ("*", "_", "~", "`", ")", "]"):
            self._decide(final=True)
        return self._take_given()

    def _take_given(self) -> list[Item]:
        given, self._given = self._given, []
        return given

    def _decide(self, *, final: bool) -> None:
        while self._waiting.text and self._mode(self._waiting.text, final):
            pass

    # What is done with text

    def _pass(self, chars: int) -> bool:
        if chars:
            self._before = self._last = self._waiting.text[chars - 1]
            self._given += self._waiting.take(chars)
            self._shift(chars)
        return True

    def _drop(self, chars: int) -> bool:
        if chars:
            self._before = self._waiting.text[chars - 1]
            self._waiting.take(chars)
            self._shift(chars)
        return True

    def _say(self, chars: int, text: str) -> bool:
        """Replace text."""
        self._before, self._last = self._waiting.text[chars - 1], text[-1:] or self._last
        self._given += spread(self._waiting.replace(chars, text))
        self._shift(chars)
        return True

    def _quote(self, chars: int) -> bool:
        """Pass text that is not looked at again."""
        if chars:
            self._before = self._last = self._waiting.text[chars - 1]
            self._given += [Verbatim(*run) for run in self._waiting.take(chars)]
            self._shift(chars)
        return True

    def _shift(self, chars: int) -> None:
        if self._cuts:
            self._cuts = [(left - chars, length) for left, length in self._cuts if left >= chars]

    def _cut(self, left: int, chars: int) -> None:
        """Drop something later."""
        self._cuts = sorted([*self._cuts, (left, chars)])

    # Lines

    def _line(self, text: str, final: bool) -> bool:
        """At the beginning of a line, or of what stands behind a mark of a list or a quote."""
        at = _first(text)
        if at >= _LINE:
            return self._pass(_LINE)
        if at == len(text):
            return self._pass(at) if final else False
        char = text[at]
        if char != "|" and self._table:
            self._table = False
        if char == "[" and self._box:
            if _BOX.match(text, at):
                self._box = False
                return self._drop(at + 4)
            if not final and _PARTIAL_BOX.match(text, at):
                return False
        self._box = False
        kind = self._kinds.get(char)
        if kind is not None:
            return kind(self, text, at, final)
        if char.isdigit():
            return self._numbered(text, at, final)
        return self._paragraph(at)

    def _paragraph(self, at: int) -> bool:
        self._mode = self._in_line
        return self._pass(at)

    def _block(self, *, needs_stop: bool) -> None:
        self._open.clear()
        self._needs_stop = needs_stop
        self._last = ""

    def _empty(self, text: str, at: int, final: bool) -> bool:
        self._pass(at)
        self._block(needs_stop=False)
        return self._end_of_line(text, final)

    def _heading(self, text: str, at: int, final: bool) -> bool:
        found = _HEADING.match(text, at)
        if found is None:
            return self._paragraph(at)
        if found.end() == len(text) and not final:
            return False
        self._block(needs_stop=True)
        self._drop(found.end())
        if self._waiting.text[:1] in (" ", "\t"):
            self._drop(1)
        self._mode = self._in_line
        return True

    def _item_or_rule(self, text: str, at: int, final: bool) -> bool:
        seen = text[at : at + _LINE]
        rule = _RULE.match(seen)
        if rule is not None and (final or rule.end() < len(seen) or seen[rule.end() - 1] == "\n"):
            self._block(needs_stop=False)
            ended = seen[rule.end() - 1] == "\n"
            self._drop(at + rule.end() - ended)
            if ended:
                self._end_of_line(self._waiting.text, final)
            return True
        if not final and (len(seen) == 1 or (len(seen) < _LINE and _PARTIAL_RULE.match(seen))):
            return False
        if _ITEM.match(seen) is None:
            return self._paragraph(at)
        self._pause_before_item(at)
        self._block(needs_stop=True)
        self._box = True
        return self._drop(2)

    def _pause_before_item(self, at: int) -> None:
        """Drop the blanks in front of an item, and pause."""
        self._drop(at)
        start = self._waiting.start
        if self._rules.list_pause_ms and start:  # before the first word there is nothing to pause after
            self._given.append(Pause(self._rules.list_pause_ms / 1000, start, start))

    def _numbered(self, text: str, at: int, final: bool) -> bool:
        found = _NUMBER.match(text, at)
        if found is None:
            if not final and _PARTIAL_NUMBER.match(text, at):
                return False
            return self._paragraph(at)
        self._pause_before_item(at)
        self._block(needs_stop=True)
        self._mode = self._in_line
        return self._pass(found.end() - at)

    def _quoted(self, text: str, at: int, final: bool) -> bool:
        following = text[at + 1 : at + 2]
        if not following and not final:
            return False
        if not is_blank(following) and following != ">":
            return self._paragraph(at)
        return self._drop(at + (2 if following in (" ", "\t") else 1))

    def _fence_or_code(self, text: str, at: int, final: bool) -> bool:
        seen = text[at : at + _LINE]
        found = _FENCE.match(seen)
        if found is None:
            if not final and seen == seen[0] * len(seen) and len(seen) < 3:
                return False
            return self._paragraph(at)
        end = seen.find("\n")
        if "`" in seen[found.end() : end if end >= 0 else len(seen)] and seen[0] == "`":
            return self._paragraph(at)
        if end < 0 and not final and len(seen) < _LINE:
            return False
        self._block(needs_stop=False)
        self._fence, self._mode, self._fresh = found[0], self._fenced, end >= 0
        chars = at + (end + 1 if end >= 0 else len(seen))
        if self._rules.code == "announce":
            return self._say(chars, f"{self._rules.code_word}\n")
        return self._drop(chars)

    def _fenced(self, text: str, final: bool) -> bool:
        """In fenced code."""
        if self._fresh:
            seen = text[:_LINE]
            found = _CLOSING.match(seen)
            if found is not None and found[1].startswith(self._fence):
                if final or seen[found.end() - 1] == "\n":
                    self._mode = self._at_line
                    return self._drop(found.end())
                if len(seen) < _LINE:
                    return False
            elif not final and len(seen) < _LINE and _PARTIAL_CLOSING.match(seen):
                return False
        end = text.find("\n") + 1
        self._fresh = end > 0
        chars = end or len(text)
        return self._quote(chars) if self._rules.code == "speak" else self._drop(chars)

    def _row_or_text(self, text: str, at: int, final: bool) -> bool:
        if not self._table:
            begins = self._begins_table(text[at : at + _ROW], final)
            if begins is None:
                return False
            if not begins:
                return self._paragraph(at)
            self._table = True
            self._block(needs_stop=False)
            if self._rules.tables == "announce":
                self._mode = self._skipped_row
                return self._say(at + 1, f"{self._rules.table_word}\n")
        elif self._rules.tables == "speak":
            seen = text[at : at + _LINE]
            dashes = _DASHES.match(seen)
            if dashes is not None and (final or seen[dashes.end() - 1] == "\n"):
                return self._drop(at + dashes.end())
            if not final and len(seen) < _LINE and _PARTIAL_DASHES.match(seen):
                return False
        if self._rules.tables == "speak":
            self._block(needs_stop=True)
            self._row, self._mode = True, self._in_line
            return self._drop(at + 1)
        self._mode = self._skipped_row
        return True

    def _begins_table(self, seen: str, final: bool) -> bool | None:
        """Tell whether a row of dashes follows the line; None if more text decides."""
        end = seen.find("\n") + 1
        undecided = None if not final and len(seen) < _ROW else False
        if not end:
            return undecided
        dashes = _DASHES.match(seen, end)
        if dashes is not None and (final or seen[dashes.end() - 1] == "\n"):
            return True
        return undecided if _PARTIAL_DASHES.match(seen, end) else False

    def _skipped_row(self, text: str, final: bool) -> bool:
        end = text.find("\n") + 1
        if end:
            self._mode = self._at_line
        return self._drop(end or len(text))

    _kinds: ClassVar[dict[str, Callable[["Markdown", str, int, bool], bool]]] = {
        "\n": _empty,
        "#": _heading,
        "-": _item_or_rule,
        "*": _item_or_rule,
        "+": _item_or_rule,
        "_": _item_or_rule,
        "=": _item_or_rule,
        ">": _quoted,
        "`": _fence_or_code,
        "~": _fence_or_code,
        "|": _row_or_text,
    }

    # Inside a line

    def _text(self, text: str, final: bool) -> bool:
        limit = len(text)
        if self._cuts:
            limit, length = self._cuts[0]
            if not limit:
                del self._cuts[0]
                return self._drop(length)
        found = (_SPECIAL_IN_ROW if self._row else _SPECIAL).search(text, 0, limit)
        if found is None:
            return self._pass(limit)
        if found.start():
            return self._pass(found.start())
        return self._inline[text[0]](text, final)

    def _end_of_line(self, text: str, final: bool) -> bool:
        stop = self._stop() if self._needs_stop else ""
        self._mode, self._needs_stop, self._row, self._box = self._at_line, False, False, False
        return self._say(1, f"{stop}\n") if stop else self._pass(1)

    def _stop(self) -> str:
        """Return what ends a line that has no punctuation at its end."""
        last = self._last
        if not (last.isalnum() or is_mark(last) or last in _CLOSING_MARKS) or not last:
            return ""
        return next((stop for first, end, stop in _STOPS if first <= last <= end), ".")

    def _emphasis(self, text: str, final: bool) -> bool:
        char, before = text[0], self._before
        chars = next((at for at in range(1, 4) if text[at : at + 1] != char), 4)
        if chars == 4 or before == char or (char == "~" and chars == 3):
            return self._pass(1)
        following = text[chars : chars + 1]
        if not following and not final:
            return False
        if chars == 1:
            return self._pass(1) if char == "~" else self._single(text, before, following, final)
        double = char * 2
        if double in self._open:
            self._open -= {double, char} if chars == 3 else {double}
            return self._drop(chars)
        if is_blank(following):
            return self._pass(chars)
        if is_word(before) and is_word(following):
            if char != "*" or before.isdigit() or following.isdigit():
                return self._pass(chars)
            opens = self._closes(double, text, chars, final)
            if not opens:
                return False if opens is None else self._pass(chars)
        self._open |= {double, char} if chars == 3 else {double}
        return self._drop(chars)

    def _single(self, text: str, before: str, following: str, final: bool) -> bool:
        char = text[0]
        if char in self._open and not is_blank(before) and not is_word(following):
            self._open.discard(char)
            return self._drop(1)
        if char in self._open or is_blank(following) or is_word(before):
            return self._pass(1)
        opens = self._closes(char, text, 1, final)
        if opens is None:
            return False
        if not opens:
            return self._pass(1)
        self._open.add(char)
        return self._drop(1)

    def _closes(self, mark: str, text: str, chars: int, final: bool) -> bool | None:
        """Tell whether emphasis is closed on its line, or goes on for long; None if more text decides."""
        seen = text[: _EMPHASIS + 4]
        full = len(seen) == _EMPHASIS + 4
        end = seen.find("\n")
        line = seen if end < 0 else seen[: end + 1]
        found = _CLOSERS[mark].search(line, chars)
        if found is not None and (final or full or found.end() < len(line)):
            return True
        if end >= 0 or final:
            return False
        return True if full else None

    def _code(self, text: str, final: bool) -> bool:
        chars = next((at for at in range(1, 4) if text[at : at + 1] != "`"), 4)
        if chars == 4 or self._before == "`":
            return self._pass(1)
        seen = text[:_CODE]
        if len(seen) == chars and not final:
            return False
        end = seen.find("\n")
        line = seen if end < 0 else seen[:end]
        close = _BACKTICKS[chars].search(line, chars)
        waits = not final and end < 0 and len(seen) < _CODE
        if close is None or (close.end() == len(line) and waits):
            return False if waits else self._pass(chars)
        self._drop(chars)
        self._quote(close.start() - chars)
        return self._drop(chars)

    def _image(self, text: str, final: bool) -> bool:
        # Behind a word it is an exclamation mark, which does not wait for what follows.
        if len(text) == 1 and not final and (is_blank(self._before) or self._before == "["):
            return False
        if text[1:2] != "[" or not (is_blank(self._before) or self._before == "["):
            return self._pass(1)
        return self._link(text, final, image=1)

    def _link(self, text: str, final: bool, image: int = 0) -> bool:
        seen = text[image : image + _LINK_TEXT]
        if (footnote := _FOOTNOTE.match(seen)) is not None:
            return self._drop(image + footnote.end())
        label = _TEXT_OF_LINK.match(seen)
        if label is None:
            waits = not final and len(seen) < _LINK_TEXT and "\n" not in seen
            return False if waits else self._pass(1 + image)
        end = image + label.end()
        if end == len(text) and not final:
            return False
        target = self._target(text, end, final, named=any(char.isalpha() for char in label[0]))
        if target is None:
            return False
        if not target:
            return self._pass(1 + image)
        self._cut(end - 1, 1 + target)
        return self._drop(1 + image)

    def _target(self, text: str, at: int, final: bool, *, named: bool) -> int | None:
        """Return the length of where a link leads, 0 if it is no link, None if more text decides."""
        seen = text[at : at + _LINK]
        waits = not final and len(seen) < _LINK
        if seen[:1] == "(":
            if (found := _TARGET.match(seen)) is not None:
                return found.end()
            if not waits and len(seen) == _LINK and not _BLANK.search(seen):
                return _LINK  # the beginning of a very long one: better than to read it all
            return None if waits and "\n" not in seen and not _NO_TARGET.match(seen) else 0
        if seen[:1] == "[" and named and not is_word(self._before):
            if (found := _REFERENCE.match(seen)) is not None:
                return found.end()
            return None if waits and len(seen) < 66 and "\n" not in seen else 0
        return 0

    def _tag(self, text: str, final: bool) -> bool:
        seen = text[: tags.LONGEST]
        if (autolink := _AUTOLINK.match(seen)) is not None:
            self._drop(1)
            self._pass(autolink.end() - 2)
            return self._drop(1)
        length = tags.scan(text, 0, self._before, final=final)
        if length is Verdict.MORE:
            return False
        if isinstance(length, int):
            name, opened = text[1:6].lower(), text[:length]
            self._pass(length)
            if name == "spell" and not opened.endswith("/>") and not is_word(opened[6]):
                self._mode, self._spelled = self._spell, 0
            return True
        if not final and len(seen) < tags.LONGEST and _PARTIAL_AUTOLINK.match(seen):
            return False
        return self._pass(1)

    def _spell(self, text: str, final: bool) -> bool:
        """In ``<spell>``, for as long as the filter of tags is."""
        left = tags.LONGEST - self._spelled
        begun = text.find("<", 0, left)
        if begun:
            chars = min(begun if begun > 0 else len(text), left)
            self._spelled += chars
            self._pass(chars)
        elif len(text) < 8 and not final and "</spell".startswith(text.lower()):
            return False
        elif text[:7].lower() == "</spell":
            self._mode = self._in_line
        else:
            self._spelled += 1
            self._pass(1)
        if self._spelled >= tags.LONGEST:
            self._mode = self._in_line
        return True

    def _escape(self, text: str, final: bool) -> bool:
        if len(text) == 1 and not final:
            return False
        if text[1:2] in _PUNCTUATION:
            self._drop(1)
            return self._quote(1)
        return self._drop(1) if text[1:2] == "\n" else self._pass(1)

    def _cell(self, text: str, final: bool) -> bool:
        blanks = _BLANKS.match(text[:_LINE], 1)
        end = blanks.end() if blanks else 1
        if end == len(text) and not final and end < _LINE:
            return False
        if text[end : end + 1] in ("\n", ""):
            return self._drop(end)
        return self._say(end, ", " if self._stop() else " ")

    def _before_cell(self, text: str, final: bool) -> bool:
        blanks = _BLANKS.match(text[:_LINE])
        assert blanks is not None
        end = blanks.end()
        if end == len(text) and not final and end < _LINE:
            return False
        return self._drop(end) if text[end : end + 1] == "|" or self._before == "|" else self._pass(end)


_BACKTICKS = {chars: re.compile(f"(?<!`)`{{{chars}}}(?!`)") for chars in (1, 2, 3)}
_BLANK = re.compile(r"\s")
_NOT_BLANK = re.compile(r"[^ \t]")


def _first(text: str) -> int:
    """Return where the first character stands that is no blank."""
    found = _NOT_BLANK.search(text)
    return len(text) if found is None else found.start()
