"""The command streamproc: where every subcommand is mounted and every error becomes a line.

Heavy libraries are imported inside the commands, so that --help answers at once.
"""

import sys
from typing import Annotated

import typer
from rich.console import Console

from streamproc import __version__
from streamproc.cli.audit import audit
from streamproc.cli.backup import backup, restore
from streamproc.cli.cameras import cameras
from streamproc.cli.collections import collections
from streamproc.cli.demo import demo
from streamproc.cli.doctor import doctor
from streamproc.cli.events import events
from streamproc.cli.jobs import jobs
from streamproc.cli.keys import keys
from streamproc.cli.models import models
from streamproc.cli.processors import processors
from streamproc.cli.put_media import put_media
from streamproc.cli.serve import serve
from streamproc.cli.streams import streams
from streamproc.cli.tail import tail
from streamproc.cli.terminal import harmless
from streamproc.cli.watch import watch
from streamproc.errors import StreamprocError

BEGIN, LOOK, FEED, KEEP = "Begin", "See and change", "By hand", "Keep in order"

app = typer.Typer(
    help="Watches live video for people you know, through Amazon Rekognition's own API.",
    epilog="Exit codes: 0 done, 1 failed (standard error says why and what mends it), 2 wrong "
    "usage, 130 ended by Ctrl-C. Endpoint, region and credentials come from the environment that "
    "AWS tools use; without any, the daemon on this machine is meant.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(rich_help_panel=BEGIN)(demo)
app.command(rich_help_panel=BEGIN)(serve)
app.command(rich_help_panel=BEGIN)(watch)
app.command(rich_help_panel=BEGIN)(doctor)
app.add_typer(cameras, name="cameras", rich_help_panel=LOOK)
app.add_typer(collections, name="collections", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(events)
app.add_typer(jobs, name="jobs", rich_help_panel=LOOK)
app.add_typer(processors, name="processors", rich_help_panel=LOOK)
app.add_typer(streams, name="streams", rich_help_panel=LOOK)
app.command("put-media", rich_help_panel=FEED)(put_media)
app.command(rich_help_panel=FEED)(tail)
app.add_typer(models, name="models", rich_help_panel=KEEP)
app.add_typer(keys, name="keys", rich_help_panel=KEEP)
app.add_typer(audit, name="audit", rich_help_panel=KEEP)
app.command(rich_help_panel=KEEP)(backup)
app.command(rich_help_panel=KEEP)(restore)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"streamproc {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; a failure with a name is one line and exit code 1."""
    try:
        app()
    except StreamprocError as error:
        # soft_wrap: a terminal may break the line, we do not.
        line = harmless(f"streamproc: {error}")
        Console(stderr=True).print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
