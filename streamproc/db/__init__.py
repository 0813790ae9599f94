"""One SQL database: connections, transactions, what "written" means, and its schema's history.

A store opens its file in one line. Without a history, what is missing is created:

    database = await Database.open_file(path, metadata)

With one (the rule for a store that a release has shipped), an older file is upgraded first:

    REVISIONS = Revisions(Path(__file__).parent / "revisions")
    database = await Database.open_file(path, metadata, REVISIONS)

The folder holds one script per revision, r0001_first_release.py, r0002_..., written for
alembic: `revision`, `down_revision`, `upgrade()` with `from alembic import op`. To change a
schema: change the MetaData and add the next script; revisions.py says what a script may do, and
tests/test_migrations.py fails until the two agree.
"""

from streamproc.db.database import Database
from streamproc.db.revisions import Revisions
from streamproc.db.writer import compiled

__all__ = ["Database", "Revisions", "compiled"]
