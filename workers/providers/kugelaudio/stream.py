"""KugelAudio's `/ws/tts/stream`: one turn at a time, and the socket remembers its configuration.

What the vendor calls a session is opened by text and ended by a flush, or by 5 s without text. For us a stream of
speech may take several: a producer's flush in mid-turn ends one, and so does the vendor for want of text; the next
text opens the next one. The stream is finished when we have finished it and no session is open.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from saystream.common.errors import Action, Scope, VendorError
from saystream.workers.providers import reading
from saystream.workers.providers.account import Account
from saystream.workers.providers.base import (
    Failed,
    Finished,
    Frame,
    Protocol,
    Released,
    StreamKey,
    StreamSpec,
    VendorEvent,
    Warned,
)
from saystream.workers.providers.kugelaudio import config, errors
from saystream.workers.providers.kugelaudio.late import Late, letters
from saystream.workers.providers.kugelaudio.spoken import Spoken, usage


@dataclass(slots=True)
class _Session:
    """One session of the vendor's, as far as we know."""

    flushed: bool = False
    idle: bool = False  # the vendor ends it by itself: what was sent since may be in another one


@dataclass(slots=True)
class _Turn:
    key: StreamKey
    spoken: Spoken
    sessions: deque[_Session] = field(default_factory=deque)
    sent: list[str] = field(default_factory=list)
    blanks: str = ""  # are held until a word follows: whether blanks open a session, nobody says
    finishing: bool = False
    unsure: bool = False  # the vendor has ended a session by itself: which text was in it is not known

    def current(self) -> _Session:
        """Return the session that text goes to."""
        if not self.sessions or self.sessions[-1].flushed or self.sessions[-1].idle:
            self.sessions.append(_Session())
        return self.sessions[-1]

    @property
    def covered(self) -> bool:
        """Whether the chunks that the vendor has told of are all the text; False also where it has rewritten it."""
        return letters("".join(self.spoken.texts)) == letters("".join(self.sent))

    @property
    def may_hold_text(self) -> bool:
        """Whether an unflushed session is or may be open: text may have met the vendor's own end on its way."""
        return not self.sessions[-1].flushed if self.sessions else self.unsure and not self.covered

    @property
    def done(self) -> bool:
        return self.finishing and (not self.sessions or (self.unsure and self.covered))


class StreamProtocol(Protocol):
    """One connection to `/ws/tts/stream`."""

    def __init__(self, account: Account, defaults: config.Defaults) -> None:
        self._account, self._defaults = account, defaults
        self._config = config.Sticky()
        self._late = Late()
        self._opened = 0
        self._turn: _Turn | None = None
        self._cancels: deque[StreamKey | None] = deque()  # not acknowledged yet; None is no stream's
        self._astray = False  # frames of a turn that is over may still come
        self._pending: list[VendorEvent] = []

    def prepare(self, spec: StreamSpec) -> list[Frame]:
        return [] if self._turn else self._configure(config.wanted(spec, self._defaults))

    def open(self, spec: StreamSpec) -> tuple[StreamKey, list[Frame]]:
        self._opened += 1
        frames: list[Frame] = []
        if self._astray:
            # A cancel is acknowledged even with nothing to cancel, and nothing of before comes behind the answer.
            self._astray = False
            frames.append(self._cancel(None))
        fields = config.wanted(spec, self._defaults)
        key = f"s{self._opened}"
        spoken = Spoken(key, fields["sample_rate"], fields["word_timestamps"], self._account, self._late)
        self._turn = _Turn(key, spoken)
        return key, frames + self._configure(fields)

    def text(self, stream: StreamKey, text: str) -> list[Frame]:
        turn = self._of(stream)
        return self._feed(turn, text) if turn else []

    def flush(self, stream: StreamKey, text: str) -> list[Frame]:
        turn = self._of(stream)
        return self._feed(turn, text, flush=True) if turn else []

    def finish(self, stream: StreamKey, text: str) -> list[Frame]:
        turn = self._of(stream)
        if turn is None:
            return []
        turn.finishing = True
        frames = self._feed(turn, text, flush=True)
        if not frames and turn.may_hold_text:
            frames = [_frame({"flush": True})]
            if not turn.sessions:
                turn.sessions.append(_Session())
            turn.sessions[-1].flushed = True
        self._pending += self._ended()
        return frames

    def cancel(self, stream: StreamKey) -> list[Frame]:
        turn = self._of(stream)
        if turn is None:
            return []
        self._turn = None
        if not turn.sessions and not turn.unsure:  # nothing was said, or all of it is spoken
            self._pending.append(Released(stream))
            return []
        turn.spoken.session_lost()
        return [self._cancel(stream)]

    def pending(self) -> list[VendorEvent]:
        events, self._pending = self._pending, []
        return events

    def receive(self, frame: Frame) -> list[VendorEvent]:
        try:
            return self._read(reading.mapping(orjson.loads(frame)))
        except VendorError as error:
            return [Failed(None, error)]
        except reading.MALFORMED as error:
            return [Failed(None, self._account.malformed(error))]

    def closed(self, code: int | None, reason: str) -> VendorError:
        return errors.of_close(self._account, code, reason)

    # to the vendor

    def _of(self, stream: StreamKey) -> _Turn | None:
        return self._turn if self._turn and self._turn.key == stream else None

    def _cancel(self, stream: StreamKey | None) -> Frame:
        self._cancels.append(stream)
        # The pages say that the configuration stays; the official SDK sends it again after a cancel.
        self._config.doubt()
        return _frame({"cancel": True})

    def _configure(self, fields: Mapping[str, Any]) -> list[Frame]:
        return [_frame(message) for message in self._config.messages(fields)]

    def _feed(self, turn: _Turn, text: str, *, flush: bool = False) -> list[Frame]:
        message: dict[str, Any] = {}
        text, turn.blanks = turn.blanks + text, ""
        if text.strip():
            message["text"] = text
            turn.sent.append(text)
            turn.current()
        else:
            turn.blanks = text
        if flush and turn.sessions and not turn.sessions[-1].flushed and not turn.sessions[-1].idle:
            message["flush"] = turn.sessions[-1].flushed = True
        return [_frame(message)] if message else []

    # from the vendor

    def _read(self, message: Mapping[str, Any]) -> list[VendorEvent]:
        if message.get("error") or message.get("error_code"):
            return self._error(message)
        if message.get("interrupted"):
            return self._interrupted()
        if self._cancels:  # of a turn that is over
            self._late.passed(message)
            return []
        if message.get("warning"):
            return self._warning(message)
        if message.get("session_closed"):
            return self._session_closed(message)
        if self._turn is None:
            self._late.passed(message)
            return []
        return self._turn.spoken.read(message)

    def _error(self, message: Mapping[str, Any]) -> list[VendorEvent]:
        error = errors.of_frame(self._account, message)
        if error.scope in (Scope.ACCOUNT, Scope.SOCKET):
            return [Failed(None, error)]
        self._config.doubt()
        if self._cancels:
            return []
        if self._turn is None:  # it is about the preparation: the turn that needs it will be told again
            return [Warned(str(error))]
        return self._fail(self._turn, error)

    def _interrupted(self) -> list[VendorEvent]:
        if self._cancels:
            stream = self._cancels.popleft()
            return [] if stream is None else [Released(stream)]
        if self._turn is None:
            return []
        error = self._account.error("interrupted a turn unasked", None, Scope.STREAM, Action.RECONNECT)
        return self._fail(self._turn, error)

    def _fail(self, turn: _Turn, error: VendorError) -> list[VendorEvent]:
        # Text that was under way behind the error may open a session that belongs to nobody. Nothing more is owed: what
        # is said once more in the next turn, word for word, must not be taken for words that came late.
        self._late.session_ended({})
        self._turn, self._astray = None, True
        return [Failed(turn.key, error)]

    def _warning(self, message: Mapping[str, Any]) -> list[VendorEvent]:
        if self._turn and self._turn.sessions:
            self._turn.sessions[0].idle = True
        return [Warned(self._account.said(message["warning"]))]

    def _session_closed(self, message: Mapping[str, Any]) -> list[VendorEvent]:
        events, turn = usage(message), self._turn
        if turn is None:
            return events
        events += turn.spoken.session_ended()
        session = turn.sessions.popleft() if turn.sessions else _Session()
        if not session.flushed:
            turn.unsure = True
            events.append(Warned("the vendor ended a turn for want of text; it goes on in another of the vendor's"))
        elif session.idle:  # our flush and the vendor's own end met: the flush will be answered by itself
            turn.unsure = True
            if not turn.covered:
                turn.sessions.appendleft(_Session(flushed=True))
        return events + self._ended()

    def _ended(self) -> list[VendorEvent]:
        turn = self._turn
        if turn is None or not turn.done:
            return []
        self._turn, self._astray = None, self._astray or turn.unsure
        return [Finished(turn.key)]


def _frame(message: Mapping[str, Any]) -> str:
    return orjson.dumps(message).decode()
