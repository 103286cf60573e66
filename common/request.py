"""What a turn asks for, checked at the door."""

from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from saystream.common.errors import InvalidRequest
from saystream.common.ids import SessionId, TurnId, TurnRef, new_turn_id, session_id, turn_id
from saystream.common.text_rules import TextRules

#: What to do with a new turn while the session speaks: put it behind, interrupt everything, or refuse it.
OnBusy = Literal["queue", "interrupt", "refuse"]

_Name = Annotated[str, Field(min_length=1, max_length=128)]


_YEAR_MS = 366 * 86_400_000


def _text_rules(given: dict[str, Any]) -> dict[str, Any]:
    """Check switches; return those that were given."""
    return TextRules.model_validate(given).model_dump(exclude_unset=True)


class TurnRequest(BaseModel):
    """The request for a turn.

    Args:
        session: the listener's line of speech.
        turn: the turn's id; made here if not given. Opening the same id again with the same request changes nothing.
        voice: a name from the operator's settings.
        on_busy: what happens while another turn of the session speaks.
        start_within_ms: if it cannot start to speak so soon, the turn ends as ``expired``; 0 means whenever.
        text: switches of `TextRules`, over those of the voice.
        metadata: anything short that consumers should find at the turn's beginning (32 entries, 1,024 characters each).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    session: Annotated[SessionId, AfterValidator(session_id)]
    turn: Annotated[TurnId, AfterValidator(turn_id)] = Field(default_factory=new_turn_id)
    voice: _Name = "default"
    on_busy: OnBusy = "queue"
    start_within_ms: Annotated[int, Field(ge=0, le=_YEAR_MS)] = 0
    text: Annotated[dict[str, Any], AfterValidator(_text_rules)] = {}
    metadata: Annotated[dict[_Name, Annotated[str, Field(max_length=1024)]], Field(max_length=32)] = {}

    @classmethod
    def check(cls, **fields: Any) -> Self:
        """Make a request; raises InvalidRequest with a sentence that names each wrong field."""
        try:
            request = cls(**fields)
            request.canonical()
        except ValidationError as error:
            raise InvalidRequest(describe(error)) from error
        except TypeError as error:  # half of a surrogate pair, which has no bytes
            raise InvalidRequest(f"a text of the request cannot be written: {error}") from error
        return request

    @property
    def ref(self) -> TurnRef:
        return TurnRef(self.session, self.turn)

    def canonical(self) -> bytes:
        """Return the request as JSON, the same bytes for equal requests."""
        return orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS)


def describe(error: ValidationError) -> str:
    """Say in one sentence which fields are wrong, where, and why."""
    return "; ".join(
        (".".join(str(part) for part in item["loc"]) + ": " if item["loc"] else "")
        + item["msg"].removeprefix("Value error, ")
        for item in error.errors(include_url=False, include_input=False)
    )
