"""The commands of ``saystream dead``, their options and their help."""

from typing import Annotated

import typer

from saystream.compose.cli.options import ConfigOption, JsonOption, RedisOption, VerboseOption
from saystream.compose.cli.sentences import sentences

dead_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", show_default=False, help="Their ids, as `list` shows them.")
]


@dead_app.callback()
def dead() -> None:
    """Deal with turns that failed on every attempt.

    A turn that could not be spoken ends as failed and is kept, with the cause and as much of its text as had been sent
    by then, until somebody deals with it or the retention time is over.

    \b
    Examples:
      saystream dead list
      saystream dead show 0:1732201200000-0
      saystream dead redrive 0:1732201200000-0 --rest
      saystream dead drop --all --yes
    """


@dead_app.command("list")
@sentences
def list_(
    count: Annotated[
        int, typer.Option("--count", "-n", metavar="N", min=1, help="So many at most, newest first.")
    ] = 50,
    redis: RedisOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """List them: which turn, when it failed, and why.

    \b
    Examples:
      saystream dead list
      saystream dead list --count 1000 --json
    """
    from saystream.compose.cli import dead as does
    from saystream.compose.cli import running, target

    running.show_logs(verbose)
    settings, url = target.find(redis, config)
    running.finish(does.show_list(count, settings, url, json=json))


@dead_app.command()
@sentences
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `list` shows it.")],
    redis: RedisOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show one of them: its request, its text, and how much of it was spoken.

    \b
    Example:
      saystream dead show 0:1732201200000-0
    """
    from saystream.compose.cli import dead as does
    from saystream.compose.cli import running, target

    running.show_logs(verbose)
    settings, url = target.find(redis, config)
    running.finish(does.show_one(id_, settings, url, json=json))


@dead_app.command()
@sentences
def redrive(
    ids: IdsArgument = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them, oldest first.")] = False,
    rest: Annotated[
        bool, typer.Option("--rest", help="Say only what was not spoken, not all of the text again.")
    ] = False,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Also those of which there is only a part of the text.")
    ] = False,
    redis: RedisOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Say them again, each as a new turn of its session.

    One that is open again is a dead letter no more. Exit code 1 if one of them could not be said again; it stays. Where
    the producer had not sent all of the text when the turn failed, the rest of it is nowhere in Redis, and the turn
    would be cut off in mid-sentence: it is said again only with --incomplete.

    \b
    Examples:
      saystream dead redrive 0:1732201200000-0
      saystream dead redrive 0:1732201200000-0 --rest
      saystream dead redrive --all
      saystream dead redrive 0:1732201200000-0 --incomplete
    """
    from saystream.compose.cli import dead as does
    from saystream.compose.cli import running, target

    running.show_logs(verbose)
    settings, url = target.find(redis, config)
    running.finish(
        does.redrive(does.Chosen(ids or [], all=all_), settings, url, rest=rest, incomplete=incomplete, json=json)
    )


@dead_app.command()
@sentences
def drop(
    ids: IdsArgument = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them; needs --yes.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="They are gone for good, and that is wanted.")] = False,
    redis: RedisOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Forget them.

    Exit code 1 if one of them is not there.

    \b
    Examples:
      saystream dead drop 0:1732201200000-0
      saystream dead drop --all --yes
    """
    from saystream.compose.cli import dead as does
    from saystream.compose.cli import running, target

    running.show_logs(verbose)
    chosen = does.Chosen(ids or [], all=all_)
    does.check_drop(chosen, yes=yes)
    settings, url = target.find(redis, config)
    running.finish(does.drop(chosen, settings, url, json=json))
