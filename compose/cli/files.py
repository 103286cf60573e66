"""Files that a user names: what is wrong with one is said before anything is done."""

import os
from pathlib import Path

from saystream.common.errors import InvalidInput


def read_text(option: str, path: Path) -> str:
    """Read a text; raises InvalidInput, naming the option."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{option} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{option} {path} is not a text in UTF-8: {error}") from error


def check_writable(option: str, path: Path) -> None:
    """Make sure that a file can be written; one that is there stays as it is. Raises InvalidInput."""
    is_new = not os.path.lexists(path)
    try:
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise InvalidInput(f"{option} {path}: {error.strerror}") from error
