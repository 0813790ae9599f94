"""The tables of jobs, what they found and whom to tell, and their rows as values.

Plain SQL types that SQLite and PostgreSQL share. Knows no statement.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from streamproc.db import Revisions
from streamproc.jobs.merge import merged
from streamproc.model.job import Group, Item, JobKind, JobSpec, JobStatus, JobView
from streamproc.model.video import ObjectRef, VideoMetadata

REVISIONS: Final = Revisions(Path(__file__).parent / "revisions")
# SQLite makes only INTEGER an alias of its row id.
_Key = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()
jobs = Table(
    "jobs",
    metadata,
    Column("key", _Key, primary_key=True),  # in the order in which they were asked for
    Column("id", String(64), nullable=False, unique=True),
    Column("region", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("token", String(64)),  # ClientRequestToken
    Column("status", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("progress", Float(53), nullable=False),
    Column("starts", Integer, nullable=False),  # those that never ended
    Column("created_at", Float(53), nullable=False),
    Column("finished_at", Float(53)),
    Column("video", JSON(none_as_null=True)),  # VideoMetadata, once it is known
    Column("model_version", String(255), nullable=False),
    UniqueConstraint("region", "kind", "token"),
    Index("jobs_by_status", "status", "region"),
    Index("jobs_by_time", "region", "created_at", "id"),
    Index("jobs_by_end", "finished_at"),
    sqlite_autoincrement=True,  # a key is never used twice, so nothing mistakes new for old
)
items = Table(
    "items",
    metadata,
    Column("key", _Key, primary_key=True),  # in the order in which they were found
    Column("job", _Key, ForeignKey("jobs.key"), nullable=False),
    Column("aggregation", String(16), nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("sort_key", Text, nullable=False),
    Column("confidence", Float(53), nullable=False),
    Column("group", Integer),
    Column("body", Text, nullable=False),  # JSON, which is made and read off the event loop
    sqlite_autoincrement=True,
)
# Each of the two orders is an index of its own, so that a page is read from its place on.
Index("items_by_time", items.c.job, items.c.aggregation, items.c.timestamp_ms, items.c.key)
Index(
    "items_by_key",
    items.c.job,
    items.c.aggregation,
    items.c.sort_key,
    items.c.confidence.desc(),
    items.c.timestamp_ms,
    items.c.key,
)
groups = Table(
    "item_groups",
    metadata,
    Column("job", _Key, ForeignKey("jobs.key"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("listed", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Column("sort_key", Text, nullable=False),
)
notices = Table(
    "notices",
    metadata,
    Column("key", _Key, primary_key=True),  # in the order in which jobs ended
    Column("job", _Key, ForeignKey("jobs.key"), nullable=False, unique=True),
    Column("region", String(32), nullable=False),
    Column("topic_arn", Text, nullable=False),
    Column("role_arn", Text, nullable=False),
    Column("message", Text, nullable=False),
    Index("notices_by_destination", "region", "topic_arn", "role_arn", "key"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job that has not ended."""

    key: int  # in the order in which they were asked for; never used twice
    id: str
    spec: JobSpec
    starts: int  # how often a daemon ended in it, not of its own will


def spec_values(spec: JobSpec) -> dict[str, Any]:
    """What JSON keeps of a spec."""
    return {
        "region": spec.region,
        "kind": spec.kind.value,
        "video": asdict(spec.video),
        "parameters": dict(spec.parameters),
        "job_tag": spec.job_tag,
        "topic_arn": spec.topic_arn,
        "role_arn": spec.role_arn,
    }


def as_stored(spec: JobSpec) -> JobSpec:
    """The spec as it comes back from disk, to be compared with one that has."""
    return spec_of(json.loads(json.dumps(spec_values(spec))))


def job_values(job_id: str, spec: JobSpec, token: str | None, created_at: float) -> dict[str, Any]:
    """The row of a new job."""
    return {
        "id": job_id,
        "region": spec.region,
        "kind": spec.kind.value,
        "spec": spec_values(spec),
        "token": token,
        "status": JobStatus.IN_PROGRESS.value,
        "message": "",
        "progress": 0.0,
        "starts": 0,
        "created_at": created_at,
        "model_version": "",
    }


def item_values(job: int, found: Iterable[Item]) -> list[dict[str, Any]]:
    return [
        {
            "job": job,
            "aggregation": item.aggregation.value,
            "timestamp_ms": item.timestamp_ms,
            "sort_key": item.sort_key,
            "confidence": item.confidence,
            "group": item.group,
            "body": _json(item.body),
        }
        for item in found
    ]


def group_values(job: int, judged: Iterable[Group]) -> list[dict[str, Any]]:
    return [
        {
            "job": job,
            "number": group.number,
            "listed": group.body is not None,
            "body": _json(group.body or {}),
            "sort_key": group.sort_key,
        }
        for group in judged
    ]


def members_of(timestamp_ms: int, body: str, group_body: str | None) -> dict[str, Any]:
    """An item as it is answered, of what is stored of it and of its group."""
    members = json.loads(body)
    if group_body is not None:
        members = merged(members, json.loads(group_body))
    return {"Timestamp": timestamp_ms, **members}


def view_of(row: Row[Any]) -> JobView:
    return JobView(
        id=row.id,
        spec=spec_of(row.spec),
        status=JobStatus(row.status),
        message=row.message,
        progress=row.progress,
        created_at=row.created_at,
        finished_at=row.finished_at,
        metadata=None if row.video is None else VideoMetadata(**row.video),
        model_version=row.model_version,
    )


def spec_of(values: dict[str, Any]) -> JobSpec:
    special = {"kind": JobKind(values["kind"]), "video": ObjectRef(**values["video"])}
    return JobSpec(**{**values, **special})


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
