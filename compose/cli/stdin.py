"""Text from standard input as it comes: neither the end of a line nor the end of the input is waited for."""

import asyncio
import codecs
import contextlib
import os
import threading
from collections.abc import AsyncIterator

_CHUNK_BYTES = 4096
#: Chunks read ahead; then reading waits, and so does whoever writes to us.
_AHEAD = 16


async def arriving(file: int = 0) -> AsyncIterator[str]:
    """Give the text that can be read from a file descriptor, as UTF-8, as soon as it can be read.

    What is not UTF-8 becomes U+FFFD. The reading thread is a daemon: it may wait for ever, and nobody waits for it. (An
    event loop would watch the file for us, but makes it non-blocking for everyone who shares it, such as the shell.)
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody listens any more
            while room.acquire():
                try:
                    chunk: bytes | OSError = os.read(file, _CHUNK_BYTES)
                except OSError as error:
                    chunk = error
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)
                if not chunk or isinstance(chunk, OSError):
                    return

    threading.Thread(target=read, name="standard input", daemon=True).start()
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while True:
        chunk = await chunks.get()
        room.release()
        if isinstance(chunk, OSError):
            raise chunk
        if text := decoder.decode(chunk, final=not chunk):
            yield text
        if not chunk:
            return
