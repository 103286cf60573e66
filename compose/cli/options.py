"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RedisOption = Annotated[
    str | None,
    typer.Option(
        "--redis",
        metavar="URL",
        envvar="SAYSTREAM_REDIS_URL",
        help="Where Redis is: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://. If not given: "
        "redis_url of the settings, else that of a running `saystream up`.",
    ),
]
#: Of `up`, which looks for no other one.
OwnRedisOption = Annotated[
    str | None,
    typer.Option(
        "--redis",
        metavar="URL",
        envvar="SAYSTREAM_REDIS_URL",
        help="Where Redis is, if a private one is not to be started. If not given: redis_url of the settings.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The settings.  [default: saystream.toml, if there is one here]"),
]
VerboseOption = Annotated[
    int,
    typer.Option(
        "--verbose", "-v", count=True, metavar="", show_default=False, help="Show logs; -vv shows all of them."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write one JSON object per line, for machines.")]
SpeedOption = Annotated[
    float,
    typer.Option(
        "--speed", metavar="X", min=0.1, help="Seconds of audio that the stand-in sends in a second; inf is possible."
    ),
]
SessionArgument = Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.")]
