"""The languages in which text can be normalised."""

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

from saystream.common.errors import InvalidSettings
from saystream.workers.text.normalise.languages.base import Language

#: Languages, by their tag without a region: the module and class of each.
LANGUAGES = {
    "ar": "arabic.Arabic",
    "de": "german.German",
    "en": "english.English",
    "es": "spanish.Spanish",
    "fr": "french.French",
    "hi": "hindi.Hindi",
    "ja": "japanese.Japanese",
    "pt": "portuguese.Portuguese",
    "zh": "chinese.Chinese",
}


@lru_cache(64)
def language_of(tag: str) -> Language:
    """Return what is known of a language, such as "de" or "en-GB".

    Raises:
        InvalidSettings: nothing is known of it, or what it needs is not installed.
    """
    name, _, region = tag.replace("_", "-").partition("-")
    place = LANGUAGES.get(name.lower())
    if place is None:
        raise InvalidSettings(
            f'Text of the language "{tag}" cannot be normalised: there are {", ".join(LANGUAGES)}. '
            "Choose a vendor that does it, or leave normalise out."
        )
    module, _, kind = place.partition(".")
    build: Callable[[str], Language] = getattr(import_module(f"{__name__}.{module}"), kind)
    return build(region.upper())
