"""What is said of extras is so: they exist, and each place says how they are installed everywhere."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from saystream.compose.cli.player import CannotPlay, Player
from saystream.compose.extras import how_to_install

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_readme_names_extras_that_there_are_and_tells_what_they_add() -> None:
    there = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = {extra for some in re.findall(r"pip install '\S*\[(\S+)\]'", README) for extra in some.split(",")}
    assert {"local", "play", "normalise"} <= named <= set(there)
    _, _, table = README.partition("| extra | adds |")
    assert {"local", "play", "normalise"} == set(
        re.findall(r"^\| `(\w+)` \|", table.partition("\n\n")[0], re.MULTILINE)
    )


def test_a_missing_extra_is_installed_in_a_checkout_and_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert how_to_install("x") == "pip install 'saystream[x]', or in a checkout pip install '.[x]'"
    monkeypatch.setitem(sys.modules, "miniaudio", None)
    with pytest.raises(CannotPlay, match=re.escape(how_to_install("play"))):
        Player()
