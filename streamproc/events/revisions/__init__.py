"""The history of the schema: one script per revision, for db/revisions.py."""
