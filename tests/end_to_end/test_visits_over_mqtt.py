"""A labelled clip through everything, to a consumer behind a real broker that dies meanwhile.

People turn, are covered, cross and come back; the consumer hears one enter and one exit of each
visit, and no other. STREAMPROC_OUTAGE_S=60 keeps the broker away for at least so many seconds.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import cv2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamproc.cli.demo_video import encode
from streamproc.model.media import Image
from tests.api.test_own_events import ask
from tests.events.clips import (
    DEMO_ENROLLED,
    DEMO_LABELS,
    TURNS,
    TURNS_LABELS,
    Label,
    cast_of,
    check,
    demo_frames,
)
from tests.peers.mosquitto import Mosquitto, Subscriber, subscriber

EVENTS = "streamproc/us-east-1/cam/events"
OUTAGE_S = float(os.environ.get("STREAMPROC_OUTAGE_S", "0"))
OUTAGE_EVENTS = 3  # of visits, told while the broker is away
PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class Film:
    """A clip, and what has to be told of it."""

    file: Path
    frames: int
    fps: int
    enrolled: Mapping[str, Image]
    labels: Sequence[Label]
    engine: str
    options: tuple[str, ...] = ()


def turns(request: pytest.FixtureRequest, file: Path) -> Film:
    testdata: Path = request.getfixturevalue("testdata")
    cast, fps = cast_of(testdata), 5
    pictures = [picture for _, picture in TURNS.frames(cast, fps)]
    encode(file, pictures, fps)
    enrolled = {name: cast[name][0] for name in ("alice", "bob")}
    pack = ("--set", f"engine.pack={testdata / 'models' / 'mbf_arcface'}")
    return Film(file, len(pictures), fps, enrolled, TURNS_LABELS, "insightface", pack)


def demo(_: pytest.FixtureRequest, file: Path) -> Film:
    fps = 4
    pictures = [picture for _, picture in demo_frames(fps)]
    encode(file, pictures, fps)
    enrolled = {person.name: person.portrait() for person in DEMO_ENROLLED}
    return Film(file, len(pictures), fps, enrolled, DEMO_LABELS, "dlib")


@pytest.fixture(params=[turns, demo], ids=["turns", "demo"])
def film(request: pytest.FixtureRequest, tmp_path: Path) -> Film:
    found: Film = request.param(request, tmp_path / "clip.mp4")
    return found


@pytest.fixture(name="broker")
def running_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker", remembers=True).start()
    yield broker
    broker.kill()


def test_each_visit_is_heard_of_once_though_the_broker_dies_meanwhile(
    film: Film, broker: Mosquitto, rig_with: Callable[..., Any], run_cli: Callable[..., Any],
    wait_until: Callable[..., Any],
) -> None:  # fmt: skip
    with subscriber(broker, EVENTS) as consumer, ThreadPoolExecutor() as camera:
        broker.save()  # that there is this consumer, who misses nothing then
        rig = rig_with(
            "--set", f"mqtt.url={broker.url}", "--set", f"processors.analysis_fps={film.fps}",
            "--set", f"processors.analysis_fps_min={film.fps}", *film.options, engine=film.engine,
        )  # fmt: skip
        for name, portrait in film.enrolled.items():
            rig.enrol(cv2.imencode(".png", portrait)[1].tobytes(), name)
        rig.create(*rig.streams())
        rig.start()
        sending = camera.submit(
            run_cli, "put-media", str(film.file), "--stream", "cam", "--fast",
            "--endpoint-url", rig.daemon.url,
        )  # fmt: skip

        wait_until(lambda: visits_of(heard_by(consumer)), PATIENCE_S, lambda: rig.daemon.log)
        wait_until(lambda: has_died_in_peace(broker, consumer, rig), PATIENCE_S)
        gone_at = time.monotonic()
        wait_until(lambda: newest_id(rig) >= delivered(rig) + OUTAGE_EVENTS, PATIENCE_S)
        wait_until(lambda: time.monotonic() - gone_at >= OUTAGE_S, PATIENCE_S + OUTAGE_S)
        before, outage_s = delivered(rig), time.monotonic() - gone_at
        waiting = newest_id(rig) - before
        assert len(consumer.heard) == before
        broker.start()

        sent = sending.result(PATIENCE_S)
        assert sent.returncode == 0, sent.stderr
        wait_until(lambda: analysed(rig) >= film.frames, PATIENCE_S, lambda: analysed(rig))
        rig.rekognition.stop_stream_processor(Name="cam")
        rig.await_status("STOPPED")
        wait_until(lambda: len(consumer.heard) >= newest_id(rig), PATIENCE_S)
        print(f"{before} events before, {waiting} in {outage_s:.1f} s without a broker, "
              f"{newest_id(rig)} in all")  # fmt: skip

        heard = heard_by(consumer)
        assert [event["Id"] for event in heard] == list(range(1, newest_id(rig) + 1))
        assert heard == ask(rig.daemon.url, "ListStreamprocEvents", After=0, MaxResults=1000)[
            "Events"
        ]  # fmt: skip
        assert {event["Reason"] for event in heard if event["Event"] == "exit"} == {"left"}
        check(in_clip(visits_of(heard), began_at(rig)), film.labels)


def heard_by(consumer: Subscriber) -> list[dict[str, Any]]:
    return [message.json for message in consumer.heard]


def has_died_in_peace(broker: Mosquitto, consumer: Subscriber, rig: Any) -> bool:
    """Whether the broker could be killed having acknowledged all that it had passed on: the rest
    would be told again, with the same Ids, and here they are counted."""
    broker.freeze()
    if delivered(rig) != len(consumer.heard):
        broker.thaw()
        return False
    broker.kill()
    return True


def delivered(rig: Any) -> int:
    """Events that the broker has acknowledged."""
    with urlopen(f"{rig.daemon.url}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    return int(
        next(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "streamproc_outlet_events_delivered_total"
        )
    )


def newest_id(rig: Any) -> int:
    return int(ask(rig.daemon.url, "ListStreamprocEvents", MaxResults=1)["NewestId"])


def analysed(rig: Any) -> int:
    [processor] = ask(rig.daemon.url, "ListStreamprocProcessors")["Processors"]
    return int(processor["FramesAnalysed"])


def began_at(rig: Any) -> float:
    """When the clip began, told from the archive alone."""
    archive = rig.daemon.client("kinesis-video-archived-media")
    pages = archive.get_paginator("list_fragments").paginate(StreamName="cam")
    fragments = [fragment for page in pages for fragment in page["Fragments"]]
    return float(min(fragment["ProducerTimestamp"].timestamp() for fragment in fragments))


def visits_of(heard: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The events of each visit, in order of their enters."""
    visits: dict[str, list[dict[str, Any]]] = {}
    for event in heard:
        if event["Event"] != "state":
            visits.setdefault(event["VisitId"], []).append(event)
    return list(visits.values())


def in_clip(
    visits: Sequence[Sequence[dict[str, Any]]], began: float
) -> list[tuple[str, float, float | None]]:
    """Who, from when to when; each with one enter, then updates, then one exit."""
    found: list[tuple[str, float, float | None]] = []
    for events in visits:
        kinds = [event["Event"] for event in events]
        assert kinds == ["enter", *["update"] * (len(kinds) - 2), "exit"], events
        enter_s, *_, exit_s = (
            datetime.fromisoformat(event["At"]).timestamp() - began for event in events
        )
        found.append((events[-1]["Person"]["Name"], enter_s, exit_s))
    return found
