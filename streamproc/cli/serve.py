"""streamproc serve: run the daemon in the foreground, as systemd would."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from streamproc.config import load_config, parse_assignment
from streamproc.heap import pause_collector


def serve(
    config: Annotated[
        Path | None, typer.Option(help="TOML file; config/streamproc.toml shows every key.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one [4600].")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of databases and recordings.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="insightface or dlib [insightface].")] = None,
    pack: Annotated[
        str | None, typer.Option(help="InsightFace pack, by name or folder [buffalo_sc].")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Any key of the config file."),
    ] = None,
) -> None:
    """Run the daemon: Rekognition's API, the processors and the embedded streams."""
    pause_collector()  # until everything is there
    from streamproc.daemon import run
    from streamproc.loading import end_beside_load

    overrides: dict[str, dict[str, Any]] = {}
    for text in assignments or ():
        table, key, value = parse_assignment(text)
        overrides.setdefault(table, {})[key] = value
    options = {
        ("server", "host"): host,
        ("server", "port"): port,
        ("storage", "data_dir"): data_dir,
        ("engine", "name"): engine,
        ("engine", "pack"): pack,
    }
    for (table, key), value in options.items():
        if value is not None:
            overrides.setdefault(table, {})[key] = value
    asyncio.run(run(load_config(config, overrides)))
    end_beside_load()
