"""What an attempt publishes: words are not lost on their way to the line."""

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.events import Word
from saystream.workers.line import ENTRY_BYTES, OutboxFull
from saystream.workers.output import Output
from saystream.workers.timeline import Timeline
from tests.workers.test_writer import Stage


@pytest.mark.parametrize("at_the_end", [False, True])
async def test_words_that_find_the_line_full_wait_for_the_next_time(at_the_end: bool) -> None:
    """Only the timer that tells of them hears that it is full, and it may have room again before there is audio."""
    stage = Stage()
    timeline = Timeline(AudioFormat())
    async with stage.writer:
        line = stage.line(most_bytes=ENTRY_BYTES)
        output = Output(line, "t")
        output.checkpoint(timeline)
        output.words([Word("hello", 0, 5, 0, 0)])
        with pytest.raises(OutboxFull):
            output.checkpoint(timeline)
        await line.drained()
        if at_the_end:
            output.close(timeline)
        else:
            output.publish_words(timeline)
        await line.drained()
        assert stage.expected(2)
