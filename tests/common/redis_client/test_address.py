"""What a URL says, and that no error tells its secrets."""

import asyncio
import contextlib
import traceback
from collections.abc import Callable

import pytest
from redis.asyncio import ConnectionPool

from saystream.common.errors import InvalidInput
from saystream.common.redis_client import call, connect, without_password
from saystream.common.redis_client.address import Group, parse

PASSWORD = "do-not-show"  # noqa: S105


def group(url: str) -> Group:
    parsed = parse(url)
    assert parsed is not None
    return parsed


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h/",
        "redis://[::1]:6379/0",
        "redis://user:p%40w@h:1/2",
        "redis://h?password=pw&username=u&db=3&client_name=me&health_check_interval=30",
        "rediss://h:1/2?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=required&ssl_check_hostname=true",
        "rediss://h?ssl_certfile=a&ssl_keyfile=b&ssl_ciphers=c&ssl_ca_data=d",
        "unix:///tmp/redis.sock",
        "unix:///tmp/a@b.sock",
        "unix://me:pw@/tmp/redis.sock?db=1",
    ],
)
async def test_one_server_is_no_group_and_redis_py_understands_its_url(url: str) -> None:
    assert parse(url) is None
    make: Callable[[], object] = ConnectionPool.from_url(url).make_connection
    assert make()  # its constructor takes all of the options


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://localhost:notaport", "its port is no number from 1 to 65535; use redis://host:6379/0"),
        ("redis://localhost:0", "its port is no number"),
        ("redis://localhost:65536", "its port is no number"),
        ("redis://", "it names no host"),
        ("redis://:pw@/0", "it names no host"),
        ("redis://::1", "it names no host"),
        ("redis://h/notanumber", "its database is no number"),
        ("redis://h/0/1", "its database is no number"),
        ("redis://h?db=one", "its option db must be a whole number"),
        ("unix://tmp/redis.sock", "it names no path from the root"),
        ("unix://", "it names no path from the root"),
        ("redis+sentinel://a:1", "it does not say by which name"),
        ("redis+sentinel://a:1/m?sentinel_username=u", "its sentinel_username needs a sentinel_password"),
        ("redis+cluster://a:1/2", "a cluster has one database"),
        ("redis+cluster://a:1,b:x", "its port is no number"),
    ],
)
def test_a_wrong_part_is_named_and_no_password_is_spoken_of_where_there_is_none(url: str, why: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        connect(url)
    assert why in str(raised.value)
    assert ("password as" in str(raised.value)) == ("@" in url or "password=" in url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://h?protocol=3", "protocol is no option of it; the options are client_name, db, health_check_interval"),
        ("redis://h?sokcet_timeout=3", "sokcet_timeout is no option of it"),
        ("redis://h?socket_timeout=1", "socket_timeout is no option of it"),
        ("redis://h?%70rotocol=3", "protocol is no option of it"),
        ("redis://h?timeout=1&max_connections=1", "timeout is no option of it"),
        ("redis://h?decode_responses=True", "decode_responses is no option of it"),
        ("redis://h?sentinel_password=x", "sentinel_password is no option of it"),
        ("redis://h?health_check_interval=often", "its option health_check_interval must be a whole number"),
        ("redis://h?client_name=two%20words", "its option client_name must be a name"),
        ("redis://h?ssl_ca_certs=/etc/ca.pem", "its option ssl_ca_certs needs TLS"),
        ("rediss://h?ssl_cert_reqs=maybe", "its option ssl_cert_reqs must be none, optional or required"),
        ("rediss://h?ssl_ca_certs=", "its option ssl_ca_certs must be given"),
        ("unix:///r.sock?socket_keepalive=1", "socket_keepalive is no option of it"),
        ("redis+sentinel://a:1/m?db=1", "db is no option of it"),
        ("redis+sentinel://a:1/m?socket_timeout=1", "socket_timeout is no option of it"),
        ("redis+cluster://a:1?password=x", "password is no option of it"),
        ("redis+cluster://a:1?sentinel_password=x", "sentinel_password is no option of it"),
    ],
)
def test_an_option_that_does_not_go_with_our_client_is_refused_by_its_name(url: str, why: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        connect(url)
    assert why in str(raised.value)


async def test_options_of_a_single_server_do_what_they_say(redis_url: str) -> None:
    mark = "&" if "?" in redis_url else "?"
    async with contextlib.aclosing(connect(f"{redis_url}{mark}client_name=me&health_check_interval=1")) as redis:
        assert await call(redis, "CLIENT GETNAME") == "me"


async def test_a_part_of_a_password_is_never_looked_for_as_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lambda *given, **_: asked.append(given))
    with pytest.raises(InvalidInput, match="in a password as %2F"):
        async with contextlib.aclosing(connect(f"redis://:pass@{PASSWORD}/x@127.0.0.1:1")) as redis:
            await call(redis, "PING")
    assert not asked


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
        ("redis://h:port", "redis://host:6379/0"),
    ],
)
def test_a_wrong_url_is_answered_with_a_right_one(url: str, example: str) -> None:
    with pytest.raises(InvalidInput, match=r"is not a Redis URL: .*use ") as raised:
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
        f"redis+cluster://:{PASSWORD}#sharp@a:1",
        f"redis://:pass@{PASSWORD}/x@127.0.0.1:1",
        f"redis://:{PASSWORD}/slash@a:1",
        f"redis://:{PASSWORD}#sharp@a:1",
        f"redis://12#{PASSWORD}@a:1",
        f"redis://:[{PASSWORD}@a:1",
        f"redis://:question?{PASSWORD}@a:1",
        f"redis://:question?{PASSWORD}=x@a:1",
        f"redis://:{PASSWORD}:colon@a:1",
        f"redis://a:1?password=at@{PASSWORD}",
        f"unix://:{PASSWORD}/slash@/tmp/r.sock",
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
