"""Promise 1: every word once, in order; captions agree; who listens live loses none; what is accepted is there."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from saystream.common.events import Begin, End, OutputEvent, Splice
from saystream.common.states import State
from saystream.consumer import Event, Gap
from tests.chaos.case import Case, Consumer, Promise, Session, Turn, Violation, of_turn
from tests.chaos.plan import is_rewritten, said
from tests.chaos.recording import Recording, put_together, words_of

#: So many words may begin twice at a splice for a listener at the live edge; and of a text with addresses, where one is
#: begun again as a whole.
_TWICE, _TWICE_REWRITTEN = 1, 5


def check(case: Case, session: Session) -> Iterator[Violation]:
    """Find what is wrong with the words of a session's turns."""
    lines = list(session.lines())
    for turn in session.turns.values():
        for sentence in _accepted(case, turn):
            yield Violation(Promise.WORDS, session.id, turn.id, sentence)
        for where, line in lines:
            entries = of_turn(line, turn.id)
            if entries and not _is_told_lost(case, turn, line):
                for sentence in _recorded(turn, put_together(entries)):
                    yield Violation(Promise.WORDS, session.id, turn.id, f"in {where}: {sentence}")
        for consumer in session.consumers.values():
            for sentence in _live(case, consumer, turn):
                yield Violation(Promise.WORDS, session.id, turn.id, f"consumer {consumer.name}, live: {sentence}")


def _accepted(case: Case, turn: Turn) -> Iterator[str]:
    if not case.run.durable or turn.final is None:
        return
    there = sum(kind != "seal" for _, kind, _ in turn.final.tokens)
    if there < turn.acknowledged:
        yield f"{turn.acknowledged} token events were acknowledged, and {there} are there"


def _is_told_lost(case: Case, turn: Turn, line: list[Event]) -> bool:
    """Tell whether some of a turn has been trimmed, and whoever has not heard it was told so."""
    if not case.run.trimming:
        return False
    gaps = [event for event in line if isinstance(event, Gap)]
    told = any((gap.after or gap.before).number <= (turn.number or 0) <= gap.before.number for gap in gaps)
    return told or not isinstance(of_turn(line, turn.id)[0], Begin | End)


def _recorded(turn: Turn, recording: Recording) -> Iterator[str]:
    yield from _first(recording.problems)
    if recording.end is None:
        return  # who has not heard the end is another promise's
    words, faults = recording.decoded().words, list(recording.decoded().faults)
    expected, spoken = said(turn.text), [word.text for word in words]
    if recording.end.reason is State.DONE:
        if spoken != expected:
            yield f"{len(spoken)} words are spoken for the {len(expected)} of the text: {_difference(expected, spoken)}"
    elif spoken != expected[: len(spoken)]:
        yield f"the words are not the text's first ones: {_difference(expected, spoken)}"
    elif faults and (not words or faults[0].sample >= words[-1].last_sample):
        faults = faults[1:]  # the word in which it was cut off
    if faults:
        yield f"{len(faults)} words are broken, the first at sample {faults[0].sample}: {faults[0]}"
    if recording.end.samples != recording.samples:
        yield f"its end says {recording.end.samples} samples, and there are {recording.samples}"
    if (told := len(said(turn.text[: recording.end.spoken]))) > len(spoken):
        yield f"its end says that {told} words are spoken ({recording.end.spoken} characters), and {len(spoken)} are"
    if recording.end.reason is State.DONE and said(turn.text[recording.end.spoken :]):
        yield f"it is done, and its end says that only {recording.end.spoken} of {len(turn.text)} characters are spoken"
    if not is_rewritten(turn.text):  # else there are captions for pieces of a word, and of several words
        yield from _first(_captions(turn, recording))


def _first(sentences: Iterable[str]) -> Iterator[str]:
    """One mistake has many consequences: tell the first, and how many more there are."""
    all_of_them = list(sentences)
    if all_of_them:
        more = f" (and {len(all_of_them) - 1} more)" if len(all_of_them) > 1 else ""
        yield all_of_them[0] + more


def _captions(turn: Turn, recording: Recording) -> Iterator[str]:
    captions, words = recording.captions, recording.decoded().words
    for before, after in pairwise(captions):
        if after.start < before.end:
            yield f"captions {before} and {after} overlap"
    for caption in captions:
        told, first, last = turn.text[caption.start : caption.end], caption.first_sample, caption.last_sample
        there = [word.text for word in words if word.first_sample < last and first < word.last_sample]
        # What is reported and was cut off, or is of the word in which it was, has no whole word.
        if said(told) != there and (there or recording.end is None or recording.end.reason is State.DONE):
            yield f"the caption {caption} is that of {told!r}, and there {there} is spoken"
    covered = sum(len(said(turn.text[caption.start : caption.end])) for caption in captions)
    if recording.end is not None and recording.end.reason is State.DONE and covered < len(words):
        yield f"{len(words)} words are spoken, and captions tell of {covered}"


def _live(case: Case, consumer: Consumer, turn: Turn) -> Iterator[str]:
    """Play the turn as it comes, at the pace of life: what has been played when a splice comes cannot be taken back."""
    recording, voice, played, last_s = Recording(), "", 0.0, 0.0
    for heard in consumer.entries:
        event = heard.event
        if not isinstance(event, OutputEvent) or event.turn != turn.id:
            continue
        played = min(recording.samples, played + (heard.at_s - last_s) * recording.rate * case.run.pace)
        last_s = heard.at_s
        if isinstance(event, Splice) and event.offset < played:
            twice = words_of(bytes(recording.audio[2 * event.offset : 2 * int(played)]), recording.rate)
            begun = len(twice.words) + (1 if twice.faults else 0)
            most = _TWICE_REWRITTEN if is_rewritten(turn.text) else _TWICE
            if begun > most and voice not in case.run.late_voices:
                yield f"at the splice {event.cursor} {begun} words had begun that begin again: {twice.text!r}"
            played = event.offset
        if isinstance(event, Begin | Splice):
            voice = event.voice
        recording.add(event)


def _difference(expected: list[str], found: list[str]) -> str:
    at = next((at for at, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), None)
    at = min(len(expected), len(found)) if at is None else at
    return f"from word {at} on {expected[at : at + 4]} is {found[at : at + 4]}"
