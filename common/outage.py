"""What a log tells of an absence: its beginning and its end, not every try in between."""

import logging
from weakref import WeakSet


class Outage:
    """Loops that try again and again what fails meanwhile for all of them.

    The first failure is a warning. What follows, of whichever loop, is for those who debug, until all of them are well.

    Args:
        log: of the module whose loops they are.
        again: said when all are well, such as "turns are taken again".
    """

    def __init__(self, log: logging.Logger, again: str) -> None:
        self._log, self._again = log, again
        self._failing: WeakSet[object] = WeakSet()  # a loop that ends does not fail for ever

    def failed(self, loop: object, sentence: str, *args: object) -> None:
        """Tell that a try of a loop has failed."""
        self._log.log(logging.DEBUG if self._failing else logging.WARNING, sentence, *args)
        self._failing.add(loop)

    def succeeded(self, loop: object) -> None:
        """Take note that a try of a loop has succeeded."""
        if self._failing:
            self._failing.discard(loop)
            if not self._failing:
                self._log.info("= %s", self._again)

    def __repr__(self) -> str:
        return f"<Outage [{len(self._failing)} failing]>"
