"""Pauses in KugelAudio's tags."""


def breaks(seconds: float) -> str | None:
    """Write a pause for KugelAudio, which knows 200, 400 and 500 ms: as few tags as come nearest."""
    hundreds = round(seconds * 10)
    if hundreds < 1:
        return None
    # One and three tenths cannot be made; all others are sums of 2, 4 and 5.
    hundreds = {1: 2, 3: 4}.get(hundreds, hundreds)
    parts: list[int] = []
    while hundreds:
        part = next(part for part in (5, 4, 2) if hundreds - part not in (1, 3) and part <= hundreds)
        parts.append(part)
        hundreds -= part
    return "".join(f'<break time="{part * 100}ms"/>' for part in parts)
