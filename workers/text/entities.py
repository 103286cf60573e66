"""HTML entities become the characters that they stand for.

Named (``&amp;``) and numbered (``&#39;``, ``&#x27;``) ones with their semicolon; without it (``AT&T``) they are text.
"""

import html
import re
from html.entities import html5

from saystream.workers.text.clean import clean
from saystream.workers.text.rewriter import Replacement, Rewriter, Verdict

_ENTITY = re.compile(r"&(?:#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6})|[A-Za-z][A-Za-z0-9]{0,31});")
_PARTIAL = re.compile(r"&(?:#(?:[0-9]{0,7}|[xX][0-9a-fA-F]{0,6})|[A-Za-z][A-Za-z0-9]{0,31})?\Z")


class Entities(Rewriter):
    """Replaces entities. A decoded character is text: ``&lt;break/&gt;`` is no tag, ``&#42;`` no mark of emphasis."""

    trigger = re.compile("&")
    look_ahead = 34

    def decide(self, text: str, at: int, before: str, *, final: bool) -> Replacement | Verdict:
        found = _ENTITY.match(text, at)
        if found is None:
            return Verdict.MORE if _PARTIAL.match(text, at) else Verdict.NOTHING
        name = found[0]
        if name[1] != "#" and name[1:] not in html5:
            return Verdict.NOTHING
        return Replacement(len(name), clean(" ".join(html.unescape(name).split("\n"))))
