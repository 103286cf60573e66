"""The commands, their options and their help. What a command needs is imported when it runs: help is there at once."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from saystream.compose.cli import standin_options as options
from saystream.compose.cli.dead_commands import dead_app
from saystream.compose.cli.options import (
    ConfigOption,
    JsonOption,
    OwnRedisOption,
    RedisOption,
    SessionArgument,
    SpeedOption,
    VerboseOption,
)
from saystream.compose.cli.sentences import sentences

app = typer.Typer(
    name="saystream",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.add_typer(dead_app, name="dead")


class OnBusy(StrEnum):
    """What happens while another turn of the session speaks."""

    QUEUE = "queue"
    INTERRUPT = "interrupt"
    REFUSE = "refuse"


class Engine(StrEnum):
    """Which of the stand-in's voices speaks."""

    AUTO = "auto"
    ESPEAK = "espeak"
    MARKER = "marker"


def main() -> None:
    """Run the command line."""
    _open_closed_streams()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:
        from saystream.compose.cli.running import report

        sys.exit(report(error))


def _open_closed_streams() -> None:
    """Have three standard streams: a socket that gets the number of a closed one (``2>&-``) is a fault to libuv."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - it gets the lowest free number


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"saystream {version('saystream')}")
        raise typer.Exit


@app.callback()
def saystream(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """LLM tokens in, speech out.

    \b
    Hear what it does, with nothing to set up:
      saystream demo

    \b
    Or run everything on this machine, and talk to it from another terminal:
      saystream up
      saystream listen kitchen
      saystream say --session kitchen "Dinner is ready."

    \b
    Exit codes: 0 done, 1 failed, 2 what was given cannot be used, 70 a fault of saystream's own,
    130 Ctrl-C, 141 nobody reads the output any more, 143 SIGTERM (services end with 0).
    """


@app.command()
@sentences
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The recording.")] = Path("demo.wav"),
    speed: SpeedOption = 4.0,
    tokens_per_second: Annotated[
        float, typer.Option("--tokens-per-second", metavar="N", min=0.1, help="How fast the text is written.")
    ] = 40.0,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Watch a text being spoken while it is written.

    Starts a private Redis, a stand-in for the vendor and a worker, shows the words as they are spoken, leaves a
    recording, and ends everything after about half a minute. All of it happens on this machine: saystream.toml and the
    environment are not read.

    \b
    Examples:
      saystream demo
      saystream demo --speed 1 --out slow.wav
    """
    from saystream.compose.cli import running
    from saystream.compose.cli.demo import Demo
    from saystream.compose.cli.demo import demo as show

    running.show_logs(verbose)
    order = Demo(out, speed, tokens_per_second, json=json, still=verbose > 0)
    running.finish(show(order))


@app.command()
@sentences
def up(
    speed: SpeedOption = 4.0,
    redis: OwnRedisOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Run everything on this machine.

    Starts Redis, a stand-in for the vendors and a worker, and runs until Ctrl-C. Redis is a private one in memory,
    unless --redis or the settings name another. The voices are default and narrator (English), marker (tones that tests
    can read), kugelaudio and fishaudio, all of them the stand-in's, and those of saystream.toml: these are spoken by
    their own vendors, also where they have the same name, and it says so. While it runs, the other commands of the same
    user find it without --redis.

    \b
    Examples:
      saystream up
      saystream up --redis redis://localhost:6379/0 --speed 1
    """
    from saystream.compose.cli import running, target
    from saystream.compose.cli.up import up as run

    running.show_logs(verbose)
    settings = target.read(redis, config)
    running.serve(lambda stop: run(stop, settings, speed, json=json))


@app.command()
@sentences
def worker(redis: RedisOption = None, config: ConfigOption = None, verbose: VerboseOption = 0) -> None:
    """Speak turns, until told to stop.

    The voices are those of saystream.toml. SIGTERM or Ctrl-C: takes no more turns, and hands those that are running to
    another worker, each at the end of a word (worker.hand_off_s); where there is no other, it finishes them
    (worker.drain_s). A second one: gives them back at once. Exit code 0 after SIGTERM, 130 after Ctrl-C.

    \b
    Examples:
      saystream worker --redis redis://localhost:6379/0
      SAYSTREAM_WORKER__SLOTS=50 saystream worker --config saystream.toml
    """
    from saystream.compose.cli import running, target
    from saystream.compose.cli.services import work

    running.show_logs(verbose + 1)
    settings, url = target.find(redis, config)
    running.serve(lambda stop: work(stop, settings, url))


@app.command()
@sentences
def say(
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", show_default=False, help="What to say; standard input if not given."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="Say what is in a file; - is standard input.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", "-s", metavar="ID", help="Whose line of speech.  [default: a new one]")
    ] = None,
    voice: Annotated[
        str, typer.Option("--voice", metavar="NAME", help="A voice of the workers' settings.")
    ] = "default",
    on_busy: Annotated[
        OnBusy, typer.Option("--on-busy", help="While another turn of the session speaks: wait, interrupt it, or fail.")
    ] = OnBusy.QUEUE,
    turn: Annotated[
        str | None,
        typer.Option(
            "--turn", metavar="ID", help="The turn's id; saying the same text again with it says nothing twice."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Record it as a WAV file.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return when the text is sent.")] = False,
    redis: RedisOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Say a text, and wait until it is spoken.

    Standard input is spoken as it comes, while it is still being written; the turn is opened when there is a first
    word. Ctrl-C interrupts the speech. The exit code is 0 if all of it was spoken, 1 if it was interrupted or failed,
    or there was nothing to say. --turn, with --session, is for whoever does not know whether it was said: with another
    text than the first time it fails.

    \b
    Examples:
      saystream say "Hello, world."
      some-llm | saystream say --session kitchen
      saystream say --file story.txt --voice narrator --out story.wav
    """
    from saystream.compose.cli import running, target
    from saystream.compose.cli.say import Say
    from saystream.compose.cli.say import say as speak

    running.show_logs(verbose)
    settings, url = target.find(redis, config)
    order = Say(
        text=" ".join(text) if text else None,
        file=file,
        session=session,
        turn=turn,
        voice=voice,
        on_busy=on_busy.value,
        wait=not no_wait,
        out=out,
        json=json,
        still=verbose > 0,
    )
    running.finish(speak(order, settings, url))


@app.command()
@sentences
def listen(
    session: SessionArgument,
    start: Annotated[
        str, typer.Option("--from", metavar="live|beginning|CURSOR", help="Where to start; --json shows cursors.")
    ] = "live",
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop when the present or next turn ends.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Record it as a WAV file.")] = None,
    play: Annotated[bool, typer.Option("--play", help="Play it (needs the extra `play`).")] = False,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Who listens: what NAME has not read is not trimmed.")
    ] = None,
    redis: RedisOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Follow a session's words as they are spoken.

    One line is one turn. What is lost on the way is reported, never skipped in silence. With --name it says each second
    where it is, so that what it has not read is kept for it (limits.held_s, limits.held_bytes). With --play it says how
    far the loudspeaker is, so that `saystream interrupt` tells what was heard.

    \b
    Examples:
      saystream listen kitchen
      saystream listen kitchen --play
      saystream listen kitchen --from beginning --until-end --out first.wav
      saystream listen kitchen --json --from 1048577-12 --name kitchen-display
    """
    from saystream.compose.cli import running, target
    from saystream.compose.cli.listen import Listen, follow

    running.show_logs(verbose)
    settings, url = target.find(redis, config)
    order = Listen(session, start, out, name=name, play=play, until_end=until_end, json=json)
    running.finish(follow(order, settings, url))


@app.command()
@sentences
def interrupt(
    session: SessionArgument,
    turn: Annotated[
        str | None, typer.Option("--turn", metavar="ID", help="This turn alone, not all that speaks and waits.")
    ] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits; what speaks goes on.")] = False,
    redis: RedisOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Silence a session.

    Says how far each of its turns had come, and what of it was heard, if a player tells what it plays. When it has
    returned, nothing more of them is published.

    \b
    Examples:
      saystream interrupt kitchen
      saystream interrupt kitchen --waiting
      saystream interrupt kitchen --turn 5f2c…
    """
    from saystream.compose.cli import running, target
    from saystream.compose.cli.interrupt import Silence
    from saystream.compose.cli.interrupt import interrupt as silence

    running.show_logs(verbose)
    settings, url = target.find(redis, config)
    running.finish(silence(Silence(session, turn, waiting_only=waiting, json=json), settings, url))


@app.command()
@sentences
def inspect(
    turn: Annotated[str, typer.Argument(metavar="TURN", help="The turn's id.")],
    redis: RedisOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show what is known of a turn.

    Its state, its times, and how much of its text is spoken.

    \b
    Example:
      saystream inspect 5f2c… --json
    """
    from saystream.compose.cli import running, target
    from saystream.compose.cli.inspect import inspect as show

    running.show_logs(verbose)
    settings, url = target.find(redis, config)
    running.finish(show(turn, settings, url, json=json))


@app.command()
@sentences
def pool(
    once: Annotated[bool, typer.Option("--once", help="Show it once.")] = False,
    redis: RedisOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show the connections to the vendors, of all workers.

    For each account, each of its bindings (a model, say) and each worker:

    \b
      active, idle, opening, of  connections in use, ready and on their way, of so many
      waiting                    streams that wait for a connection
      streams                    streams that the account allows, over all workers
      queued                     streams that wait for one of these
      breaker                    open: the vendor fails and is not asked for a while; half-open: it is being tried
      warm                       streams that found a connection ready
      hedges                     streams that raced a late first one

    A worker that takes no more turns and is about to end is marked as draining; one that has not reported for 2.5 s,
    with the age of its figures. Columns for which a terminal is too narrow are left out, and named below.

    On a terminal, and with --json, it is shown each second until Ctrl-C. Exit code 1 if it is shown once and no worker
    reports.

    \b
    Examples:
      saystream pool
      saystream pool --once --json
    """
    from saystream.compose.cli import running, target
    from saystream.compose.cli.pool import Watch
    from saystream.compose.cli.pool import pool as show

    running.show_logs(verbose)
    settings, url = target.find(redis, config)
    running.finish(show(Watch(once=once, json=json), settings, url))


@app.command()
@sentences
def standin(
    host: options.HostOption = "127.0.0.1",
    port: options.PortOption = 8900,
    engine: Annotated[
        Engine, typer.Option("--engine", help="Which voice speaks; auto goes by the voice id.")
    ] = Engine.AUTO,
    speed: options.SpeedOption = None,
    delay_ms: options.DelayOption = None,
    jitter_ms: options.JitterOption = None,
    handshake_ms: options.HandshakeOption = None,
    fault: options.FaultOption = None,
    after: options.AfterOption = None,
    code: options.CodeOption = None,
    message: options.MessageOption = None,
    times: options.TimesOption = None,
    drip: options.DripOption = None,
    most_streams: options.StreamsOption = None,
    upgrade_status: options.StatusOption = None,
    draining: options.DrainingOption = False,
    api_key: options.KeyOption = None,
    behaviour: options.BehaviourOption = None,
    set_: options.SetOption = None,
    control_by_anyone: options.AnyoneOption = False,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Stand in for the TTS vendors.

    Speaks the protocols of Gradium, KugelAudio and Fish Audio at their paths, until Ctrl-C. What goes wrong is told by
    these options, by a file, or while it runs at http://HOST:PORT/standin, also for one connection alone.

    \b
    Kinds of faults:
      close          the socket is closed with --code and --message
      cut, reset     it ends without a goodbye, or by a TCP reset
      silence        it is half-open: nothing is sent or answered any more
      stall          the request falls silent, and the socket is well
      error          the vendor reports --code and --message
      malformed      one audio message comes cut in half
      no-audio       the request ends well, and without a sound
      no-tail        and without its last words
      no-end         its terminal message never comes
      limit          it is refused as one too many
      unknown-voice  it is refused for its voice

    \b
    Examples:
      saystream standin
      saystream standin --speed 1 --delay-ms 200 --jitter-ms 100
      saystream standin --fault close --after 3 --code 1011 --times 2
      saystream standin --most-streams 5 --drip 7 --set idle_turn_s=1
      saystream standin --behaviour bad-day.toml --speed 4
    """
    from saystream.compose.cli import running, services
    from saystream.compose.standin import StandIn

    running.show_logs(verbose)
    behaves = services.behaviour(
        behaviour,
        set_ or [],
        {
            "speed": speed,
            "first_audio_delay_s": _seconds(delay_ms),
            "first_audio_jitter_s": _seconds(jitter_ms),
            "handshake_delay_s": _seconds(handshake_ms),
            "fault.kind": fault,
            "fault.after_frames": after,
            "fault.code": code,
            "fault.message": message,
            "faulty_requests": times,
            "drip_bytes": drip,
            "most_streams": most_streams,
            "upgrade_status": upgrade_status,
            "draining": draining or None,
            "api_keys": api_key or None,
        },
    )
    server = StandIn(host, port, behaves, engine.value, control_by_anyone=control_by_anyone)
    running.serve(lambda stop: services.stand_in(stop, server, json=json))


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000


@app.command("version")
def version_() -> None:
    """Show the version.

    \b
    Example:
      saystream version
    """
    _version(True)
