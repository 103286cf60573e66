"""The options of ``saystream standin``."""

from pathlib import Path
from typing import Annotated

import typer

HostOption = Annotated[str, typer.Option("--host", help="The interface to listen on.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")]
SpeedOption = Annotated[
    float | None,
    typer.Option(
        "--speed", metavar="X", min=0.1, help="Seconds of audio sent in a second.  [default: inf, as fast as possible]"
    ),
]
DelayOption = Annotated[
    float | None, typer.Option("--delay-ms", metavar="MS", min=0, help="From the first word to the first audio.")
]
JitterOption = Annotated[
    float | None, typer.Option("--jitter-ms", metavar="MS", min=0, help="Up to so much more, at random.")
]
HandshakeOption = Annotated[
    float | None, typer.Option("--handshake-ms", metavar="MS", min=0, help="How long a client waits to be let in.")
]
FaultOption = Annotated[
    str | None, typer.Option("--fault", metavar="KIND", help="What goes wrong with requests: one of the kinds above.")
]
AfterOption = Annotated[
    int | None, typer.Option("--after", metavar="N", min=0, help="After so many audio frames of the request.")
]
CodeOption = Annotated[
    int | None, typer.Option("--code", metavar="N", help="Of the close (a WebSocket's) or the error (the vendor's).")
]
MessageOption = Annotated[str | None, typer.Option("--message", metavar="TEXT", help="Of the close or the error.")]
TimesOption = Annotated[
    int | None,
    typer.Option("--times", metavar="N", min=0, help="So many requests meet the fault.  [default: all of them]"),
]
DripOption = Annotated[
    int | None,
    typer.Option(
        "--drip", metavar="BYTES", min=1, help="Audio messages hold so many bytes at most; odd ones cut samples."
    ),
]
StreamsOption = Annotated[
    int | None,
    typer.Option(
        "--most-streams", metavar="N", min=1, help="One key may have so many requests open at once, at each vendor."
    ),
]
StatusOption = Annotated[
    int | None,
    typer.Option(
        "--upgrade-status", metavar="STATUS", help="Answer every upgrade with this HTTP status, such as 429 or 503."
    ),
]
DrainingOption = Annotated[bool, typer.Option("--draining", help="A rolling deploy: new sockets are closed with 1013.")]
KeyOption = Annotated[
    list[str] | None,
    typer.Option("--api-key", metavar="KEY", help="A key that is let in; may be repeated.  [default: test-key]"),
]
BehaviourOption = Annotated[
    Path | None, typer.Option("--behaviour", metavar="FILE", help="All of this from a TOML file; options win over it.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any field of the file, such as idle_turn_s=1; may be repeated."),
]
AnyoneOption = Annotated[
    bool,
    typer.Option("--control-by-anyone", help="Clients of other machines may use /standin/… too."),
]
