"""Clients of the API, as many as thousands of calls need, and how soon they are answered."""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import aws_client

_PAUSE_S = 0.05
_EXPECTED = {"ResourceInUseException", "ResourceNotFoundException"}  # a stop met a start


class Describers:
    """Asks for the state of a processor again and again; remembers how long that took."""

    def __init__(self, url: str, names: list[str], chance: random.Random) -> None:
        self._client = aws_client("rekognition", url)
        self._names = names
        self._chance = chance
        self._answers_ms: deque[float] = deque(maxlen=100_000)

    def step(self) -> None:
        began = time.perf_counter()
        self._client.describe_stream_processor(Name=self._chance.choice(self._names))
        self._answers_ms.append((time.perf_counter() - began) * 1000)

    def close(self) -> None:
        self._client.close()

    def take_ms(self) -> list[float]:
        """What was measured since this was asked for last, sorted."""
        taken = []
        while self._answers_ms:
            taken.append(self._answers_ms.popleft())
        return sorted(taken)


class Everything:
    """What people do to a daemon all day: look, enrol, search, delete, start and stop."""

    def __init__(
        self, url: str, names: list[str], photo: bytes, scratch: str, chance: random.Random
    ) -> None:
        self._rekognition = aws_client("rekognition", url)
        self._kinesis = aws_client("kinesis", url)
        self._video = aws_client("kinesisvideo", url)
        self._names = names
        self._photo = photo
        self._scratch = scratch  # a collection of its own, made and deleted
        self._chance = chance

    def close(self) -> None:
        for client in (self._rekognition, self._kinesis, self._video):
            client.close()

    def step(self) -> None:
        actions: list[tuple[int, Callable[[], Any]]] = [
            (30, lambda: self._rekognition.list_stream_processors()),
            (30, lambda: self._video.describe_stream(StreamName=self._name)),
            (30, self._read_records),
            (10, lambda: self._rekognition.list_faces(CollectionId="people")),
            (4, self._collection_of_a_moment),
            (2, self._stop_and_start),
        ]
        self._chance.choices([act for _, act in actions], [weight for weight, _ in actions])[0]()

    @property
    def _name(self) -> str:
        return self._chance.choice(self._names)

    def _read_records(self) -> None:
        iterator = self._kinesis.get_shard_iterator(
            StreamName=self._name,
            ShardId="shardId-000000000000",
            ShardIteratorType="LATEST",
        )["ShardIterator"]
        self._kinesis.get_records(ShardIterator=iterator)

    def _collection_of_a_moment(self) -> None:
        rekognition, name = self._rekognition, self._scratch
        rekognition.create_collection(CollectionId=name)
        indexed = rekognition.index_faces(CollectionId=name, Image={"Bytes": self._photo})
        rekognition.search_faces_by_image(CollectionId=name, Image={"Bytes": self._photo})
        ids = [record["Face"]["FaceId"] for record in indexed["FaceRecords"]]
        rekognition.delete_faces(CollectionId=name, FaceIds=ids)
        rekognition.delete_collection(CollectionId=name)

    def _stop_and_start(self) -> None:
        name = self._name
        self._rekognition.stop_stream_processor(Name=name)
        while self._status(name) not in {"STOPPED", "FAILED"}:
            time.sleep(_PAUSE_S)
        self._rekognition.start_stream_processor(Name=name)

    def _status(self, name: str) -> str:
        return str(self._rekognition.describe_stream_processor(Name=name)["Status"])


class Calling:
    """Runs steps on threads until it is left; counts calls and what was refused."""

    def __init__(self, *callers: Describers | Everything) -> None:
        self.calls = 0
        self.refused: Counter[str] = Counter()
        self._callers = callers
        self._over = threading.Event()

    def __enter__(self) -> "Calling":
        self._threads = [
            threading.Thread(target=self._run, args=(caller,), daemon=True)
            for caller in self._callers
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(120)
        for caller in self._callers:
            caller.close()

    def _run(self, caller: Describers | Everything) -> None:
        while not self._over.wait(_PAUSE_S):
            try:
                caller.step()
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code not in _EXPECTED:
                    self.refused[code] += 1
            except BotoCoreError as error:
                self.refused[type(error).__name__] += 1
            self.calls += 1
