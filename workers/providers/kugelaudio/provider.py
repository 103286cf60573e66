"""An account with KugelAudio, and in which of two ways it is spoken to."""

import re
from enum import StrEnum

from saystream.common.errors import InvalidSettings, VendorError
from saystream.common.settings import ProviderSettings, VoiceSettings
from saystream.workers.providers import fields
from saystream.workers.providers.account import Account, address
from saystream.workers.providers.base import Cancel, Capabilities, Handshake, Protocol, Provider, StreamSpec
from saystream.workers.providers.kugelaudio import config
from saystream.workers.providers.kugelaudio.breaks import breaks
from saystream.workers.providers.kugelaudio.config import Defaults
from saystream.workers.providers.kugelaudio.multi import MultiProtocol
from saystream.workers.providers.kugelaudio.stream import StreamProtocol
from saystream.workers.text.lowering import TagRule

PUBLIC_URL = "wss://api.kugelaudio.com"
EU_URL = "wss://api.eu.kugelaudio.com"
#: A key that begins so belongs to the EU host; clients strip it (page on regions).
EU_PREFIX = "eu-"
KEY_VARIABLE = "KUGELAUDIO_API_KEY"
#: 16-bit mono; all but 24000 are resampled by the vendor.
SAMPLE_RATES = frozenset({8_000, 16_000, 22_050, 24_000, 44_100})
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,126}>")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


class Mode(StrEnum):
    """Which of the vendor's sockets is used."""

    STREAM = "stream"  # one turn at a time
    MULTI = "multi"  # several at once, each a context


_PATHS = {Mode.STREAM: "/ws/tts/stream", Mode.MULTI: "/ws/tts/multi"}
_OPTIONS: fields.Rules = {
    "mode": fields.one_of(*Mode),
    "model": fields.text,
    "word_timestamps": fields.flag,
    "holds_chars": fields.whole(0),
}
_OPTIONS_OF: dict[Mode, fields.Rules] = {
    Mode.STREAM: {"text_gap_s": fields.number(0.0, 3600.0)},
    Mode.MULTI: {"contexts": fields.whole(1), "keep_alive_s": fields.number(0.1, 3600.0)},
}


class KugelAudio(Provider):
    """An account with KugelAudio.

    Options: ``mode`` (``stream``), ``model`` (of voices that name none, ``kugel-3``), ``word_timestamps`` (true),
    ``holds_chars`` (300: text that the vendor may keep to itself, a long sentence); of ``stream`` ``text_gap_s`` (4.0:
    it ends a turn that gets no text for 5 s; 0: never mind); of ``multi`` ``contexts`` (20 on a socket) and
    ``keep_alive_s`` (10.0: it closes a context that hears nothing for 20 s).
    """

    vendor = "kugelaudio"

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        super().__init__(name, settings)
        where, given = f"providers.{name}.options", settings.options
        mode = fields.read_options(where, "KugelAudio", {"mode": given.get("mode", Mode.STREAM)}, _OPTIONS)["mode"]
        self.mode = Mode(mode)
        rules = {**_OPTIONS, **_OPTIONS_OF[self.mode]}
        options = fields.read_options(where, f"KugelAudio in mode {self.mode}", given, rules)
        self._account = Account(self.vendor, name, settings, KEY_VARIABLE, prefix=EU_PREFIX)
        self._defaults = Defaults(options.get("model", "kugel-3"), options.get("word_timestamps", True))
        multi = self.mode is Mode.MULTI
        self.capabilities = Capabilities(
            phrases=None,
            streams=options.get("contexts", 20) if multi else 1,
            turns=0,
            cancel=Cancel.ACKNOWLEDGED,
            word_times=self._defaults.word_timestamps,
            sample_rates=SAMPLE_RATES,
            holds_chars=options.get("holds_chars", 300),
            text_gap_s=None if multi else options.get("text_gap_s", 4.0) or None,
            keep_alive_s=options.get("keep_alive_s", 10.0) if multi else None,
            unspoken=_TAG,
            tags=TagRule(breaks, spell=True),
        )

    def binding(self, spec: StreamSpec) -> str:
        shared = config.shared_by_contexts if self.mode is Mode.MULTI else config.not_to_be_taken_back
        return shared(config.wanted(spec, self._defaults))

    def handshake(self, binding: str) -> Handshake:
        public = EU_URL if self._account.prefixed else PUBLIC_URL
        return Handshake(
            address(self.settings.url, public, _PATHS[self.mode]),
            {"X-API-Key": self._account.key},  # never in the query, which stands in access logs
        )

    def protocol(self) -> Protocol:
        kind = MultiProtocol if self.mode is Mode.MULTI else StreamProtocol
        return kind(self._account, self._defaults)

    def refused(self, status: int, body: str) -> VendorError:
        return self._account.refused(status, body)

    def check(self, name: str, voice: VoiceSettings) -> None:
        rules = config.STREAM_SETTINGS if self.mode is Mode.STREAM else config.VOICE_SETTINGS
        where = f"voices.{name}"
        given = fields.read_fields(f"{where}.settings", f"KugelAudio in mode {self.mode}", voice.settings, rules)
        if voice.language is not None and not _LANGUAGE.fullmatch(voice.language):
            raise InvalidSettings(f"{where}.language: KugelAudio takes ISO 639-1 codes such as 'de', not 'de-DE'")
        if given.get("dictionary_ids") and "project_id" not in given:
            raise InvalidSettings(f"{where}.settings.dictionary_ids: KugelAudio needs their project_id, too")
