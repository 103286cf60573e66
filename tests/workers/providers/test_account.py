"""What all vendors share: the key that never shows, HTTP answers, options."""

import math
from typing import Any

import pytest

from saystream.common.errors import Action, InvalidSettings, Scope
from saystream.common.settings import ProviderSettings
from saystream.workers.providers import fields
from saystream.workers.providers.account import Account

KEY = "s3cret-key-of-ours"


def account(key: str = KEY) -> Account:
    return Account("vendor", "name", ProviderSettings(api_key=key), "VENDOR_API_KEY")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "said",
    [
        f"the key {KEY} is bad",
        f"THE KEY {KEY.upper()} IS BAD",
        f"bad\n{KEY}\x00key",
        f"<b>{KEY}</b>",
        "x" * 190 + KEY,
        f"{KEY}{KEY}",
        f"cut within {KEY[:-3]}",
        f"cut within {KEY[:6]}",
    ],
)
def test_a_vendors_words_hold_no_key_however_it_is_written_or_cut(said: str) -> None:
    assert KEY[:6].lower() not in account().said(said).lower()


def test_a_vendors_words_are_one_short_line_without_markup() -> None:
    page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n" + "nginx " * 100 + "</body></html>"
    said = account().said(page)
    assert said.startswith("502 Bad Gateway nginx")
    assert len(said) == 200
    assert "\n" not in said


def test_a_code_that_holds_the_key_or_is_no_code_is_left_out() -> None:
    for code in (KEY, f"E-{KEY}", ["x"], True, None):
        assert account().error("text", code, Scope.SOCKET, Action.RECONNECT).code is None
    assert account().error("text", "E1", Scope.SOCKET, Action.RECONNECT).code == "E1"


@pytest.mark.parametrize(
    ("status", "scope", "action"),
    [
        (200, Scope.SOCKET, Action.FIX_CONFIGURATION),
        (401, Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        (402, Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        (403, Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        (404, Scope.SOCKET, Action.FIX_CONFIGURATION),
        (408, Scope.SOCKET, Action.RETRY_LATER),
        (426, Scope.SOCKET, Action.FIX_CONFIGURATION),
        (429, Scope.ACCOUNT, Action.RETRY_LATER),
        (500, Scope.SOCKET, Action.RETRY_LATER),
        (503, Scope.SOCKET, Action.RETRY_LATER),
    ],
)
def test_an_http_status_says_what_can_be_done(status: int, scope: Scope, action: Action) -> None:
    error = account().refused(status, "why")
    assert (error.scope, error.action, error.code, error.text) == (scope, action, status, f"HTTP {status} why")


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown() -> None:
    assert account(f" {KEY}\n").key == KEY
    for key in ("two words", "new\nline", "schlüssel", "\x00"):
        with pytest.raises(InvalidSettings) as refused:
            account(key)
        assert key not in str(refused.value)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (fields.number(0.0, 1.0), (0, 1, 0.5), (-0.1, 1.1, True, "1", None, math.nan, math.inf)),
        (fields.whole(1, 9), (1, 9, 2.0), (0, 10, 1.5, "1", False, 10**400)),
        (fields.flag, (True, False), (0, "true", None)),
        (fields.text, ("x",), ("", 1, None)),
        (fields.one_of("a", "b"), ("a", "b"), ("c", 1, None)),
        (fields.list_of(fields.flag, 2), ([], [True], (True, False)), ([1], [True] * 3, True, "ab")),
        (fields.table(a=fields.flag), ({}, {"a": True}), ({"a": 1}, {"b": True}, [], None)),
    ],
)
def test_a_rule_takes_what_it_says_and_nothing_else(rule: fields.Rule, good: Any, bad: Any) -> None:
    for value in good:
        assert fields.read_fields("here", "V", {"f": value}, {"f": rule})
    for value in bad:
        with pytest.raises(InvalidSettings, match=r"^here\.f must be "):
            fields.read_fields("here", "V", {"f": value}, {"f": rule})
