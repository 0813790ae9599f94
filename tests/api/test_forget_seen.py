"""Who was seen is named by nobody once the answer is there that their faces are deleted."""

from pathlib import Path
from typing import Any, cast

import pytest

from streamproc.api import ApiServices
from streamproc.errors import StoreUnavailable
from streamproc.web.live import LiveViews
from tests.end_to_end.policed import REGION, policed_daemon

ALL = {"Effect": "Allow", "Action": "rekognition:*", "Resource": "*"}


def test_a_deletion_reaches_the_live_views_of_its_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(LiveViews, "forget", lambda _, region: told.append(region))
    with policed_daemon(tmp_path) as daemon:
        client = daemon.client("rekognition", daemon.key(ALL))
        client.create_collection(CollectionId="people")
        # Faces that are gone too: an earlier call may have ended before this.
        client.delete_faces(CollectionId="people", FaceIds=["f" * 8 + "-0000" * 3 + "-" + "0" * 12])
        assert told == [REGION]
        client.delete_collection(CollectionId="people")
        assert set(told[1:]) == {REGION}


class _Events:
    """An event service on a disk that takes nothing."""

    def __init__(self, told: list[Any]) -> None:
        self._told = told

    async def forget(self, *what: Any) -> None:
        self._told.append(what)
        raise StoreUnavailable("faces-seen/: read-only")


class _Views:
    def __init__(self, told: list[Any]) -> None:
        self._told = told

    def forget(self, region: str) -> None:
        self._told.append(region)


async def test_views_forget_behind_events_and_whatever_those_meet_with() -> None:
    told: list[Any] = []
    none = cast("Any", None)
    services = ApiServices(none, none, none, none, none, none, none, none,
                           events=cast("Any", _Events(told)), views=_Views(told))  # fmt: skip
    with pytest.raises(StoreUnavailable):
        await services.forget_seen(REGION, "people", ["f-1"])
    assert told == [(REGION, "people", ["f-1"]), REGION]
