"""Which voice speaks for a vendor's voice id."""

import pytest

from saystream.compose.standin.marker import Marker
from saystream.compose.standin.voices import UnknownVoiceError, open_voice


@pytest.mark.parametrize("voice_id", ["marker", "marker-7", "marker-anna"])
async def test_an_id_that_begins_with_marker_is_the_marker_voice(voice_id: str) -> None:
    assert isinstance(await open_voice(voice_id), Marker)


@pytest.mark.parametrize(
    "voice_id", ["YTpq7expH9539ERJ", "1071", "802e3bc2b27e49c2995d23ef70e6ac89", "Emma Two", "markers"]
)
async def test_every_other_id_that_a_vendor_could_have_is_real_speech(voice_id: str) -> None:
    assert not isinstance(await open_voice(voice_id), Marker)


@pytest.mark.parametrize("voice_id", ["", "unknown", "unknown-voice", "a\nb", "<script>", "x" * 201])
@pytest.mark.parametrize("engine", ["auto", "marker"])
async def test_an_id_that_none_could_have_is_unknown(voice_id: str, engine: str) -> None:
    with pytest.raises(UnknownVoiceError):
        await open_voice(voice_id, "marker" if engine == "marker" else "auto")
