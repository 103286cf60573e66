"""`inspect` for machines: the text, and beside it what is done to it."""

import orjson
import pytest

from saystream.common.settings import Settings
from saystream.compose.cli.inspect import inspect
from saystream.compose.cli.wording import counted
from tests.consumer.studio import studio_at


async def test_the_rules_for_a_text_are_not_the_text(redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with studio_at(redis_url) as studio:
        await studio.open("t", text={"markdown": False})
    await inspect("t", Settings(), redis_url, json=True)
    described = orjson.loads(capsys.readouterr().out)
    assert (described["text"], described["text_rules"]) == ("", {"markdown": False})


def test_one_is_no_plural() -> None:
    assert [counted(number, "turn") for number in (0, 1, 2)] == ["0 turns", "1 turn", "2 turns"]
