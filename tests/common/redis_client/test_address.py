"""What a URL says, and that no error tells its secrets."""

import traceback

import pytest

from saystream.common.errors import InvalidInput
from saystream.common.redis_client import connect, without_password
from saystream.common.redis_client.address import Group, parse

PASSWORD = "do-not-show"  # noqa: S105


def group(url: str) -> Group:
    parsed = parse(url)
    assert parsed is not None
    return parsed


@pytest.mark.parametrize("url", ["redis://h", "rediss://h:1/2", "unix:///tmp/redis.sock"])
def test_one_server_is_no_group(url: str) -> None:
    assert parse(url) is None


def test_a_url_names_sentinels_and_the_primary() -> None:
    watched = group("redis+sentinel://a:1,b,[::1]:3,[::2]/mymaster/5")
    assert (watched.kind, watched.name, watched.database) == ("sentinel", "mymaster", 5)
    assert watched.members == (("a", 1), ("b", 26379), ("::1", 3), ("::2", 26379))
    assert watched.server(("c", 4)) == "redis://c:4/5"
    assert watched.sentinel(("::1", 3)) == "redis://[::1]:3"


def test_a_url_names_members_of_a_cluster() -> None:
    members = group("redis+cluster://a:1,b")
    assert (members.kind, members.members) == ("cluster", (("a", 1), ("b", 6379)))
    assert members.server(("c", 4)) == "redis://c:4/0"


def test_the_password_is_for_the_servers_and_the_sentinels_have_their_own() -> None:
    url = "redis+sentinel://user:p%40w@a:1/mymaster?sentinel_password=s%2Fw&health_check_interval=3&sentinel_username=u"
    assert group(url).server(("b", 2)) == "redis://user:p%40w@b:2/0?health_check_interval=3"
    assert group(url).sentinel(("a", 1)) == "redis://u:s%2Fw@a:1?health_check_interval=3"
    assert group("redis+sentinel://user:pw@a:1/mymaster").sentinel(("a", 1)) == "redis://a:1"


@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
def test_tls_is_spoken_with_all_of_them_or_with_none(kind: str) -> None:
    url = f"rediss+{kind}://a:1" + ("/mymaster" if kind == "sentinel" else "")
    assert group(url).server(("b", 2)) == "rediss://b:2/0"
    assert group(url).sentinel(("a", 1)) == "rediss://a:1"


@pytest.mark.parametrize(
    ("url", "example"),
    [
        ("redis+sentinel://a:1,b:2", "redis+sentinel://host:26379"),
        ("redis+sentinel://a:1/mymaster/five", "redis+sentinel://host:26379"),
        ("redis+sentinel:///mymaster", "redis+sentinel://host:26379"),
        ("redis+cluster://a:1/0", "redis+cluster://host:6379"),
        ("redis+cluster://a:x", "redis+cluster://host:6379"),
        ("redis+cluster://a:1,", "redis+cluster://host:6379"),
        ("redis+cluster://", "redis+cluster://host:6379"),
        ("redis+else://a:1", "redis+cluster://"),
    ],
)
def test_a_wrong_url_is_answered_with_a_right_one(url: str, example: str) -> None:
    with pytest.raises(InvalidInput, match="is not a Redis URL: use ") as raised:
        connect(url)
    assert example in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        f"redis+sentinel://user:{PASSWORD}@a:port/mymaster",
        f"redis+sentinel://user:{PASSWORD}@a:1",
        f"redis+sentinel://:{PASSWORD}/slash@a:1/mymaster",
        f"redis+sentinel://:{PASSWORD}@at@a:1/mymaster",
        f"redis+sentinel://a:port/mymaster?sentinel_password={PASSWORD}",
        f"redis+sentinel://a:1/mymaster?sentinel_password={PASSWORD}/slash",
        f"redis+cluster://:{PASSWORD}:colon@a:1",
        f"redis+cluster://:{PASSWORD}?question@a:1",
        f"redis+cluster://:question?{PASSWORD}@a:x",
        f"redis+cluster://:{PASSWORD}://scheme@a:1",
        f"redis+sentinel://a:1/mymaster?sentinel_password=at@{PASSWORD}",
        f"redis+cluster://user:{PASSWORD}@a:1/0",
    ],
)
def test_no_password_is_shown_in_an_error_or_its_traceback(url: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        connect(url)
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))


def test_a_url_without_its_password_says_where_and_how() -> None:
    url = f"rediss+sentinel://u:{PASSWORD}@a:1,b:2/mymaster/1?sentinel_password={PASSWORD}"
    assert without_password(url) == "rediss+sentinel://a:1,b:2/mymaster/1"
    assert repr(connect(url)) == "<Client of rediss+sentinel://a:1,b:2/mymaster/1>"
