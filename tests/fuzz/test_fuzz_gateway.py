"""A short run of the gateway's fuzzer against a live daemon."""

from random import Random

from tests.conftest import DaemonFactory
from tests.fuzz import gateway
from tests.fuzz.requests import RAW, Known, RequestMaker


def test_no_request_is_too_much(start_daemon: DaemonFactory) -> None:
    daemon = start_daemon()
    tally = gateway.fuzz(daemon, seed=4, inputs=400, seconds=600.0)
    assert not tally.findings, tally.findings
    assert tally.inputs == 400
    assert tally.accepted > 20
    assert len(tally.refused) > 5
    # What is hardly HTTP, each once.
    visitor = gateway.Visitor(daemon.url)
    assert not any(b" 500 " in visitor.raw(data)[:20] for data in RAW)
    assert daemon.client("rekognition").list_collections()["CollectionIds"]
    assert daemon.stop() == 0


def test_every_operation_that_is_served_takes_its_turn() -> None:
    maker = RequestMaker(gateway.SERVICES, Known({}), Random(1))
    told = {maker.request(number).told for number in range(maker.operations)}
    assert len(told) == maker.operations > 60
    assert {"kinesis-video-media.PutMedia", "rekognition.IndexFaces"} <= told
