"""Chooses the voice for a vendor's voice id."""

import re
from typing import Literal, TypeAlias

from saystream.compose.extras import how_to_install
from saystream.compose.standin import espeak
from saystream.compose.standin.marker import Marker
from saystream.compose.standin.sound import Voice

EngineChoice: TypeAlias = Literal["auto", "marker", "espeak"]
"""`auto`: the id decides; the others: every id is spoken by that voice."""

DEFAULT_LANGUAGE = "en"

_WELL_FORMED = re.compile(r"[\w .:+/-]{1,200}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]{2,})*")


class UnknownVoiceError(Exception):
    """The vendor is to say that it has no such voice."""


class VoiceUnavailableError(Exception):
    """This installation cannot speak the voice; the message says what is missing."""


async def open_voice(voice_id: str, engine: EngineChoice = "auto", marker_pace: float = 1.0) -> Voice:
    """Return the voice that speaks for `voice_id`.

    | voice id                         | voice                                     |
    | -------------------------------- | ----------------------------------------- |
    | begins with `unknown`            | refused, as the vendor refuses it         |
    | no vendor's id could look so     | likewise                                  |
    | `marker`, begins with `marker-`  | the marker voice                          |
    | `espeak-<language>`, `<language>`| espeak in it; the first refused if absent |
    | anything else                    | espeak in English                         |

    Raises:
        UnknownVoiceError: there is no such voice.
        VoiceUnavailableError: espeak is not installed, or does not start.
    """
    if voice_id.startswith("unknown") or not _WELL_FORMED.fullmatch(voice_id):
        raise UnknownVoiceError(voice_id)
    if engine == "marker" or (engine == "auto" and (voice_id == "marker" or voice_id.startswith("marker-"))):
        return Marker(marker_pace)
    wanted = voice_id.removeprefix("espeak-")
    language = wanted.lower() if _LANGUAGE.fullmatch(wanted.lower()) else DEFAULT_LANGUAGE
    try:
        return await espeak.open_voice(language)
    except espeak.LanguageError as error:
        if voice_id.startswith("espeak-"):
            raise UnknownVoiceError(voice_id) from error
        return await espeak.open_voice(DEFAULT_LANGUAGE)  # a name that only looked like a language
    except ImportError as error:
        raise VoiceUnavailableError(
            f"voice {voice_id!r} is real speech: install the extra `local` ({how_to_install('local')}), "
            "or ask for voice `marker`"
        ) from error
    except (espeak.EngineError, OSError) as error:
        raise VoiceUnavailableError(f"espeak-ng does not start: {error}") from error
