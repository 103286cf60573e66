"""How other commands of the same user find a running ``saystream up``: a small file that it holds locked.

The file lies in ``$XDG_RUNTIME_DIR``, else in the directory for temporary files. Only its owner may read it, because a
Redis URL may hold a password. It counts only while somebody holds its lock, which no death of a process leaves behind.
"""

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import orjson

#: Why a place is not announced: somebody else's is.
TAKEN: Final = "Another one is up already."


class Place(NamedTuple):
    """Where a running saystream is."""

    redis_url: str
    shards: int


def path() -> Path:
    """Return the file of this user."""
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "saystream.json"
    return Path(tempfile.gettempdir()) / f"saystream-{os.getuid()}.json"


@contextlib.contextmanager
def lit(place: Place) -> Iterator[str]:
    """Announce a place for as long as the block lasts; gives "", or a sentence that says why it is not announced.

    That is no error (another one is announced, or the directory cannot be written): it can be named by its URL.
    """
    with contextlib.ExitStack() as stack:
        try:
            why = _announce(place, stack)
        except OSError as error:
            why = f"The other commands cannot find it, for {path()} cannot be used: {error.strerror or error}."
        yield why


def _announce(place: Place, stack: contextlib.ExitStack) -> str:
    file = _open(os.O_RDWR | os.O_CREAT)
    stack.enter_context(contextlib.closing(_Descriptor(file)))
    if not _lock(file, fcntl.LOCK_EX):
        return TAKEN
    stack.callback(path().unlink, missing_ok=True)
    os.ftruncate(file, 0)
    os.write(file, orjson.dumps(place._asdict()))
    return ""


def find() -> Place | None:
    """Return the place that is announced, if one is."""
    try:
        file = _open(os.O_RDWR)
    except OSError:
        return None
    with contextlib.closing(_Descriptor(file)):
        if _lock(file, fcntl.LOCK_SH):
            return None  # whoever announced it is gone
        try:
            return Place(**orjson.loads(os.read(file, 4096)))
        except (ValueError, TypeError):  # it is being written at this moment
            return None


class _Descriptor:
    """An open file, to be closed; closing it gives up its lock."""

    def __init__(self, file: int) -> None:
        self.file = file

    def close(self) -> None:
        os.close(self.file)


def _open(flags: int) -> int:
    """Open the file if it is ours alone: in a directory for everyone, somebody else could have put it there."""
    file = os.open(path(), flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    status = os.fstat(file)
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        os.close(file)
        raise PermissionError("it belongs to somebody else, or others may use it")
    return file


def _lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
