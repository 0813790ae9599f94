"""Apply the revisions that a file lacks, with alembic driven from here.

No alembic.ini and no env.py: what they would say is the few lines below.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from streamproc.db.failures import damaged
from streamproc.db.revisions import Revisions, closing_engine

log = logging.getLogger(__name__)


def upgrade(path: Path, revisions: Revisions, revision: str | None, copy: Path | None) -> None:
    """All in one transaction: a crash in the middle leaves the file as it was. Blocks.

    revision is what the file has, copy where it lies as it was; both are for the log.
    """
    scripts = scripts_of(revisions)

    def missing(present: Any, _context: MigrationContext) -> Iterable[Any]:
        return scripts._upgrade_revs("head", present)

    with (
        closing_engine(path, foreign_keys=False) as engine,
        engine.begin() as connection,
    ):
        context = MigrationContext.configure(connection, opts={"fn": missing})
        with Operations.context(context):
            context.run_migrations()
        stray = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if stray is not None:
            raise damaged(str(path), f"a row of its table {stray[0]} refers to one that is missing")
    kept = f"; as it was before, it is kept in {copy}" if copy else ""
    log.info(
        "database %s upgraded from schema %s to %s%s",
        path, revision or "of the first release", revisions.head, kept,
    )  # fmt: skip


def scripts_of(revisions: Revisions) -> ScriptDirectory:
    folder = str(revisions.folder)
    return ScriptDirectory(folder, version_locations=[folder])
