"""Words that depend on a number."""


def counted(number: int, noun: str) -> str:
    """Return so many of something: 1 turn, 2 turns."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
