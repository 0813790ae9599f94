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
from streamproc.cli.collections import collections
from streamproc.cli.demo import demo
from streamproc.cli.doctor import doctor
from streamproc.cli.jobs import jobs
from streamproc.cli.keys import keys
from streamproc.cli.models import models
from streamproc.cli.put_media import put_media
from streamproc.cli.serve import serve
from streamproc.cli.tail import tail
from streamproc.cli.terminal import harmless
from streamproc.errors import StreamprocError

app = typer.Typer(
    help="Watches live video for people you know, through Amazon Rekognition's own API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(demo)
app.command("put-media")(put_media)
app.command()(tail)
app.command()(doctor)
app.command()(backup)
app.command()(restore)
app.add_typer(audit, name="audit")
app.add_typer(collections, name="collections")
app.add_typer(jobs, name="jobs")
app.add_typer(keys, name="keys")
app.add_typer(models, name="models")


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
