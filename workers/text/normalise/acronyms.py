"""Words in capitals: Roman numbers, acronyms that are spelled, and those that are said as words."""

from saystream.workers.text.normalise.languages.base import Language
from saystream.workers.text.normalise.numbers import roman
from saystream.workers.text.normalise.reader import Reader, is_word
from saystream.workers.text.normalise.spoken import Reading

_LONGEST = 6
_VOWELS = frozenset("AEIOUY")
#: Longer ones with a vowel are words (NASA, UNESCO, STOP), but for these.
_SPELLED = frozenset(
    "AARP ACLU HTML HTTP HTTPS IEEE ISBN ISDN LGBTQ NAACP NCAA NYPD LAPD OECD UCLA UNHCR USAF USSR USPS ESPN IPCC "
    "UUID OCDE SNCF ONGS".split()
)
#: Short ones that are words in any language.
_WORDS = frozenset("NASA NATO RAM ROM PIN SIM GIF LAN WAN ASAP BAFTA ZIP".split())
#: Without a vowel, but said in another way.
_SOUNDS = frozenset(
    "HM HMM HMMM MM MMM SH SHH SHHH PST PSST BRR BRRR GRR GRRR TSK PFFT MR MRS MS DR ST JR SR VS".split()
)
#: Roman numbers that are hardly anything else.
_ROMAN = frozenset("II III IV VI VII VIII IX XI XII XIII XIV XV XVI XVII XVIII XIX XX XXI XXII XXIII XXIV".split())


def read(reader: Reader, language: Language) -> Reading | None:
    """Read what begins with a capital."""
    if is_word(reader.before):
        return None
    end = 1
    while "A" <= reader(end) <= "Z":
        end += 1
        if end > _LONGEST:
            return None
    if end < 2:
        return None
    word = reader.text(0, end)
    behind = reader(end)
    if word in _ROMAN:
        rank = language.ordinals.read(reader, end)
        if rank is not None:
            return Reading(rank[0], language.ordinal(roman(word), rank[1]))
        if not is_word(behind):
            return Reading(end, language.cardinal(roman(word)))
    plural = behind == "s" and not is_word(reader(end + 1))
    if not plural and is_word(behind) and not behind.isdecimal():
        return None
    if behind and behind in "'’" and reader(end + 1) != "s" and is_word(reader(end + 1)):  # DON'T
        return None
    if not is_spelled(word, language):
        return None
    return Reading(end, " ".join(word))


def is_spelled(word: str, language: Language) -> bool:
    """Say whether a word in capitals is said letter by letter."""
    if word in _WORDS or word in _SOUNDS or word.lower() in language.small_words:
        return False
    return len(word) <= 3 or word in _SPELLED or _VOWELS.isdisjoint(word)
