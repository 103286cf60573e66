"""/ws/tts: one message holds a whole text, its answer ends with `final`; one request at a time.

(idle) ──text──▶ SPEAKING ──all sent: final──▶ (idle)
                  ├─ cancel: interrupted ────▶ (idle)
                  └─ error ──────────────────▶ (idle)
"""

from typing import Any

from saystream.compose.standin.kugelaudio.errors import Problem, invalid
from saystream.compose.standin.kugelaudio.messages import flag, gen_ms, text_of, told
from saystream.compose.standin.kugelaudio.settings import NATIVE_RATE, Settings, changed, updated
from saystream.compose.standin.kugelaudio.socket import Socket
from saystream.compose.standin.kugelaudio.speech import Chunk, Speech
from saystream.compose.standin.orders import Finish, Note, Order

LONGEST_TEXT = 10_000
"""Characters."""

_TEMPERATURE = 0.4  # here and on REST; elsewhere the engine's own counts
_TTFA_MS = 42.1  # of the documents' example


class Request(Speech):
    """A request of /ws/tts: its whole text is one chunk, so that the times of its words count from its first sample."""

    text = ""

    def say(self, text: str, flushes: int = 0) -> list[Order]:
        self.text = text
        self.characters = len(text)
        self.ended = True
        return [Note(self.key, text, flushes), *self.speak([text]), Finish(self.key)]

    def started(self, chunk: Chunk) -> list[Order]:
        return []

    def audio_suffix(self, number: int) -> bytes:
        return b"}"

    def completed(self, chunk: Chunk) -> list[Order]:
        stamps = self.timestamps(chunk)
        return self.words_of(chunk, told(**stamps)) if stamps else []

    def final(self) -> Order:
        """Its last message; the figures count the model's own samples, whatever was sent of them."""
        audio_s = self.audio_s
        debug = {"original_text": self.text, "ttfa_ms": _TTFA_MS, "speed": self.settings.speed}
        return told(
            final=True,
            chunks=self.messages,
            total_samples=round(audio_s * NATIVE_RATE),
            dur_ms=round(audio_s * 1000, 1),
            gen_ms=gen_ms(audio_s),
            rtf=round(gen_ms(1.0) / 1000, 3),
            debug=debug,
            **self.usage(),
        )


class OneShot(Socket[Request]):
    """A socket of /ws/tts. `update_settings` sets what later requests leave out; a request's own fields are its own."""

    default_settings = Settings(temperature=_TEMPERATURE)

    def obey(self, message: dict[str, Any]) -> list[Order]:
        if flag(message, "cancel"):
            orders = [order for request in list(self.speeches.values()) for order in self.dropped(request)]
            return [*orders, told(interrupted=True)]
        if "update_settings" in message:
            self.settings = updated(self.settings, message["update_settings"])
            return [told(settings_updated=True, settings=self.settings.generation())]
        if self.speeches:
            raise invalid("one request at a time: the one before is still being spoken")
        text = text_of(message)
        if not text.strip():
            raise invalid("text must not be empty")
        if len(text) > LONGEST_TEXT:
            raise Problem(413, f"text must not be longer than {LONGEST_TEXT} characters")
        request = Request(
            self.next_key(), self.new_id(), changed(self.settings, message), self.behaviour.flush_timeout_s
        )
        self.speeches[request.key] = request
        return [request.begin(message), *request.say(text)]

    def ended(self, speech: Request) -> list[Order]:
        return [speech.final()]
