"""A WAV file that grows and shrinks, and is valid all the time.

The standard library's `wave` writes sizes when it closes, and cannot take samples back.
"""

import struct
from pathlib import Path
from types import TracebackType
from typing import Self

from saystream.common.audio import AudioFormat
from saystream.common.errors import InvalidInput

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_PCM = 1
#: The sizes in the header have 32 bits: about a day of 24 kHz mono.
MOST_BYTES = (1 << 32) - 1 - _HEADER.size
#: How much audio, in seconds, may be in the file that its header does not know of yet.
_HEADER_EVERY_S = 1.0


class WavFile:
    """A WAV file of 16-bit PCM, written as audio comes; a file that is there already is replaced.

    Writing blocks, for as long as the file system takes to cache a few kilobytes. The header is brought up to date once
    a second of audio, whenever something is taken back, and at the end: the file of a killed process can be played.

    Every method raises OSError if the file cannot be written.

    Args:
        path: the file.
        format: of the audio.
    """

    def __init__(self, path: Path, format: AudioFormat) -> None:
        self.path = path
        self.samples = 0
        self.format = format
        self._file = path.open("w+b")
        self._write_header()

    def __repr__(self) -> str:
        return f"<WavFile [{self.path.name}, {self.format}: {self.samples} samples]>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def become(self, format: AudioFormat) -> None:
        """Change the format of a file that has no samples yet; raises InvalidInput if it has."""
        if format == self.format:
            return
        if self.samples:
            raise InvalidInput(f"{self.path}: the file is {self.format} and cannot become {format}")
        self.format = format
        self._write_header()

    def write(self, sample: int, data: bytes) -> None:
        """Write audio at the end of the file, or past it: between them is silence.

        Raises:
            InvalidInput: the file would be larger than a WAV file can be.
        """
        assert sample >= self.samples, "what is there is taken back first"
        start = sample * self.format.sample_bytes
        if start + len(data) > MOST_BYTES:
            raise InvalidInput(f"{self.path}: a WAV file cannot hold more than 4 GiB")
        if sample > self.samples:
            self._file.truncate(_HEADER.size + start)  # longer than it was: the system fills in zeros
        self._file.seek(_HEADER.size + start)
        self._file.write(data)
        self.samples = sample + self.format.samples(len(data))
        if self.format.seconds(self.samples - self._in_header) >= _HEADER_EVERY_S:
            self._write_header()

    def truncate(self, sample: int) -> None:
        """Take back everything from ``sample`` on."""
        if sample < self.samples:
            self.samples = sample
            self._write_header()  # first: a header that promises more than there is would be wrong
            self._file.truncate(_HEADER.size + sample * self.format.sample_bytes)

    def close(self) -> None:
        """Bring the header up to date and close the file; closing it again does nothing."""
        if not self._file.closed:
            try:
                self._write_header()
            finally:
                self._file.close()

    def _write_header(self) -> None:
        width, rate, channels = self.format.sample_bytes, self.format.sample_rate, self.format.channels
        size = self.samples * width
        self._file.flush()  # the audio first, then the header that counts it
        self._file.seek(0)
        self._file.write(
            _HEADER.pack(
                b"RIFF", _HEADER.size - 8 + size, b"WAVE",
                b"fmt ", 16, _PCM, channels, rate, rate * width, width, 8 * width // channels,
                b"data", size,
            )
        )  # fmt: skip
        self._file.flush()
        self._in_header = self.samples
