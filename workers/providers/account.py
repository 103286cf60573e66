"""An account with a vendor: its key, its address, and errors in which the key never stands."""

import os
import re
from urllib.parse import urlsplit, urlunsplit

from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

from saystream.common.errors import Action, InvalidSettings, Scope, VendorError
from saystream.common.settings import ProviderSettings

_MARKUP = re.compile(r"<[^<>]*>")
_MOST_CHARS = 200
#: A text may have been cut within the key; so many of its first characters tell nothing.
_UNTELLING = 5


class Account:
    """The key and what goes with it.

    Args:
        vendor: whose.
        name: of the section of the settings.
        settings: of that section.
        variable: the vendor's own environment variable for the key.
        prefix: in front of the key; says something to clients and is never sent.

    Attributes:
        key: as it is sent; stays out of logs.
        prefixed: whether the prefix was there.

    Raises:
        InvalidSettings: no key, or one that cannot be; a URL that is no WebSocket's.
    """

    def __init__(self, vendor: str, name: str, settings: ProviderSettings, variable: str, prefix: str = "") -> None:
        given = settings.api_key.get_secret_value() if settings.api_key else os.environ.get(variable, "")
        self.prefixed = bool(prefix) and given.strip().startswith(prefix)
        self.vendor, self.key = vendor, given.strip().removeprefix(prefix)
        if not self.key:
            raise InvalidSettings(f"providers.{name}: no API key: set providers.{name}.api_key or {variable}")
        if not self.key.isascii() or not self.key.isprintable() or " " in self.key:
            raise InvalidSettings(f"providers.{name}: the API key holds characters that no key has")
        if settings.url is not None and not _is_websocket(settings.url):
            raise InvalidSettings(f"providers.{name}.url is no WebSocket URL: write wss://host or ws://host:port")
        self._key = re.compile(re.escape(self.key), re.IGNORECASE)

    def said(self, text: object) -> str:
        """Return what a vendor said as one short line, without the key."""
        line = _MARKUP.sub(" ", self._key.sub("…", str(text)))
        line = " ".join("".join(char if char.isprintable() else " " for char in line).split())
        line = self._key.sub("…", line)
        for length in range(len(self.key) - 1, _UNTELLING, -1):
            if line.lower().endswith(self.key[:length].lower()):
                line = line[:-length] + "…"
                break
        return line if len(line) <= _MOST_CHARS else line[: _MOST_CHARS - 1] + "…"

    def error(self, text: object, code: object, scope: Scope, action: Action) -> VendorError:
        """Make an error of a vendor's words and code, both of which may be anything."""
        known = code if isinstance(code, int | str) and not isinstance(code, bool) else None
        if known is not None and self.said(known) != str(known):
            known = None
        return VendorError(self.vendor, self.said(text), code=known, scope=scope, action=action)

    def malformed(self, error: Exception) -> VendorError:
        """Say that a frame is not of the protocol; its contents stay out of it."""
        text = f"a frame that is not of the protocol: {type(error).__name__}"
        return self.error(text, None, Scope.SOCKET, Action.RECONNECT)

    def broken(self) -> VendorError:
        """Say that the connection has ended without a goodbye."""
        return self.error("the connection broke", None, Scope.SOCKET, Action.RECONNECT)

    def unasked(self) -> VendorError:
        """Say that the vendor has ended a stream that was not finished."""
        return self.error("ended the stream before the text had ended", None, Scope.STREAM, Action.RECONNECT)

    def refused(self, status: int, body: str) -> VendorError:
        """Say what an HTTP status instead of a WebSocket means."""
        scope, action = Scope.SOCKET, Action.FIX_CONFIGURATION  # 404 and the like: not the vendor's address
        if status in (401, 402, 403):
            scope = Scope.ACCOUNT
        elif status == 429:
            scope, action = Scope.ACCOUNT, Action.RETRY_LATER
        elif status == 408 or status >= 500:
            action = Action.RETRY_LATER
        return self.error(f"HTTP {status} {body}", status, scope, action)


def address(url: str | None, public: str, path: str) -> str:
    """Return where to connect: at the vendor's path, unless the settings give one of their own."""
    parts = urlsplit(url or public)
    return urlunsplit(parts._replace(path=path)) if parts.path in ("", "/") else url or public


def _is_websocket(url: str) -> bool:
    """Tell whether a URL can be connected to, by the library that does it; whether anybody is there shows later."""
    try:
        return bool(parse_uri(url).host) and url.isprintable() and " " not in url
    except (InvalidURI, ValueError):
        return False
