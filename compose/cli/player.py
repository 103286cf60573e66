"""Playing a session on this machine's loudspeaker, by miniaudio (extra `play`)."""

import asyncio
import threading
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self

from saystream.common.audio import AudioFormat
from saystream.common.errors import SaystreamError
from saystream.common.events import Begin, End
from saystream.common.states import State
from saystream.compose.extras import how_to_install
from saystream.consumer import Assembler, Drop, Event, Put

#: How often we look whether all has been played, in seconds.
_LOOK_S = 0.02
#: What the device holds itself, in seconds.
_DEVICE_S = 0.2


class CannotPlay(SaystreamError):
    """There is nothing to play on."""


class Buffer:
    """The audio of one turn that has not been played: written by the listener, read by the device's thread."""

    def __init__(self, format: AudioFormat) -> None:
        self.format = format
        self.played = 0
        self._data = bytearray()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Buffer [{self.played} samples played, {self.waiting} wait]>"

    @property
    def waiting(self) -> int:
        """How many samples are still to be played."""
        return self.format.samples(len(self._data))

    def apply(self, edit: Put | Drop) -> None:
        """Write audio at its offset, or drop what lies past it; what has been played stays played."""
        with self._lock:
            if isinstance(edit, Drop):
                del self._data[max(0, edit.offset - self.played) * self.format.sample_bytes :]
                return
            if edit.data and not self.played and not self._data:
                self.played = edit.offset  # who joins a turn in its middle does not sit through what was before
            end = self.played + self.waiting
            skipped = max(0, end - edit.offset) * self.format.sample_bytes
            self._data.extend(bytes(max(0, edit.offset - end) * self.format.sample_bytes))
            self._data.extend(edit.data[skipped:])

    def take(self, samples: int) -> bytes:
        """Take audio to play: fewer samples where there are no more."""
        with self._lock:
            data = bytes(self._data[: samples * self.format.sample_bytes])
            del self._data[: len(data)]
            self.played += self.format.samples(len(data))
            return data


class Player:
    """Plays turns as they come. A context manager.

    Raises:
        CannotPlay: miniaudio is not installed, or there is no device.
    """

    def __init__(self) -> None:
        try:
            import miniaudio
        except ImportError as error:
            raise CannotPlay(f"--play needs the extra `play`: {how_to_install('play')}") from error
        self._miniaudio: Any = miniaudio
        self._device: Any = None
        self._buffer: Buffer | None = None
        self._turn: Assembler | None = None

    def __repr__(self) -> str:
        return f"<Player {self._buffer or 'waits for a turn'}>"

    def __enter__(self) -> Self:
        self._open(AudioFormat())  # now, so that a machine without a device says so before anything is waited for
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    @property
    def position(self) -> int:
        """How many samples of the present turn have been played."""
        return self._buffer.played if self._buffer else 0

    @property
    def place(self) -> tuple[str, int] | None:
        """The turn that is played, and its first sample that has not been; None before the first turn."""
        return (self._turn.turn, self._buffer.played) if self._turn and self._buffer else None

    async def take(self, event: Event) -> None:
        """Take a listener's next event; the end of a turn waits until all of it has been played."""
        match event:
            case Begin():
                self._turn = Assembler(event.turn)
                if self._buffer is None or self._buffer.format != event.format:
                    self._close()
                    self._open(event.format)
                self._buffer = Buffer(event.format)
            case End(reason=State.INTERRUPTED) if self._buffer:
                self._buffer.apply(Drop(self._buffer.played))  # silence means silence, here too
        if self._turn and self._buffer and (edit := self._turn.add(event)):
            self._buffer.apply(edit)
        if isinstance(event, End):
            await self._played()

    async def _played(self) -> None:
        """Wait until all that has come has been taken by the device, which sounds a moment longer."""
        while self._buffer and self._buffer.waiting:  # noqa: ASYNC110 - the device's thread has no event to set
            await asyncio.sleep(_LOOK_S)
        await asyncio.sleep(_DEVICE_S)

    def _open(self, format_: AudioFormat) -> None:
        try:
            self._device = self._miniaudio.PlaybackDevice(
                output_format=self._miniaudio.SampleFormat.SIGNED16,
                nchannels=format_.channels,
                sample_rate=format_.sample_rate,
                buffersize_msec=round(_DEVICE_S * 1000),
                app_name="saystream",
            )
            feed = self._feed()
            next(feed)
            self._device.start(feed)
        except self._miniaudio.MiniaudioError as error:
            raise CannotPlay(
                f"there is no loudspeaker to play on: {error.args[0]}; --out FILE records instead"
            ) from error

    def _close(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def _feed(self) -> Generator[bytes, int, None]:
        """What the device's thread asks for audio; silence where there is none."""
        samples = yield b""
        while True:
            buffer = self._buffer
            samples = yield buffer.take(samples) if buffer else b""
