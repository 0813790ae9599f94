"""The verdict can fail: a ledger that finds nothing wrong proves nothing until then."""

from dataclasses import replace

import pytest

from tests.chaos.film import number_in, picture
from tests.chaos.ledger import Arrival, Ledger
from tests.chaos.report import Row

KEYS = [(fragment, offset) for fragment in (7, 8, 9) for offset in (0, 200, 400)]


def at(key: tuple[int, int]) -> Arrival:
    media_ms = 1_000 * key[0] + key[1]
    return Arrival(key, media_ms // 200, media_ms, record_id=f"id of {key}")


ALL = [at(key) for key in KEYS]


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    for arrival in ALL:
        ledger.due(arrival.key, arrival.media_ms // 200, arrival.media_ms)
    return ledger


def test_everything_once_and_in_order_is_a_proof(ledger: Ledger) -> None:
    verdict = ledger.judge(ALL, repeats_max=0)
    assert verdict.is_proof
    assert (verdict.sampled, verdict.arrived, verdict.duplicated) == (9, 9, 0)


def test_nothing_due_is_no_proof() -> None:
    assert not Ledger().judge([], repeats_max=0).is_proof


@pytest.mark.parametrize("index", range(len(ALL)))
def test_any_record_that_is_lost_is_missed(ledger: Ledger, index: int) -> None:
    verdict = ledger.judge(ALL[:index] + ALL[index + 1 :], repeats_max=5)
    assert (verdict.lost, verdict.arrived) == (1, 8)
    assert verdict.examples == (f"lost {KEYS[index]}",)
    assert not verdict.is_proof


@pytest.mark.parametrize("index", range(len(ALL) - 1))
def test_any_two_that_are_swapped_are_noticed(ledger: Ledger, index: int) -> None:
    swapped = [*ALL[:index], ALL[index + 1], ALL[index], *ALL[index + 2 :]]
    verdict = ledger.judge(swapped, repeats_max=5)
    assert (verdict.out_of_order, verdict.lost) == (1, 0)
    assert not verdict.is_proof


def test_the_services_order_counts_and_not_the_numbers() -> None:
    ledger = Ledger()
    served = [*ALL[3:6], *ALL[:3]]
    for arrival in served:
        ledger.due(arrival.key, arrival.media_ms // 200, arrival.media_ms)
    assert ledger.judge(served, repeats_max=0).is_proof
    assert ledger.judge(ALL[:6], repeats_max=0).out_of_order == 3


def test_a_crash_may_repeat_records_of_one_fragment(ledger: Ledger) -> None:
    after_a_crash = ALL[:5] + ALL[3:]
    assert ledger.judge(after_a_crash, repeats_max=1).is_proof
    assert ledger.judge(after_a_crash, repeats_max=1).duplicated == 2
    assert ledger.judge(after_a_crash, repeats_max=0).stray == 2


def test_two_crashes_at_one_place_are_two(ledger: Ledger) -> None:
    twice = ALL[:5] + ALL[3:5] + ALL[3:]
    assert ledger.judge(twice, repeats_max=2).is_proof
    assert ledger.judge(twice, repeats_max=1).stray == 2
    assert ledger.judge([ALL[0], ALL[0], *ALL[0:]], repeats_max=1).stray == 1


def test_what_a_crash_repeats_of_a_second_fragment_is_stray(ledger: Ledger) -> None:
    verdict = ledger.judge(ALL[:5] + ALL[1:], repeats_max=1)
    assert (verdict.duplicated, verdict.stray) == (4, 2)
    assert not verdict.is_proof


def test_what_the_service_sends_again_may_adjoin_what_a_crash_repeats(ledger: Ledger) -> None:
    again = ALL[:5] + ALL[1:]
    assert ledger.judge(again, repeats_max=1, resent_max=1).is_proof
    assert ledger.judge(again, repeats_max=0, resent_max=1).stray == 2
    assert ledger.judge(ALL[:5] + ALL[3:], repeats_max=0, resent_max=1).is_proof
    twice = ALL[:5] + ALL[3:5] + ALL[1:]
    assert ledger.judge(twice, repeats_max=1, resent_max=1).stray == 2


@pytest.mark.parametrize(
    "spoilt",
    [
        replace(ALL[4], picture=99),
        replace(ALL[4], picture=None),
        replace(ALL[4], media_ms=ALL[4].media_ms + 200),
        replace(ALL[4], record_id=ALL[3].record_id),
    ],
    ids=["another picture", "nobody recognised", "another time", "another frame's id"],
)
def test_a_record_that_does_not_tell_the_truth_is_wrong(ledger: Ledger, spoilt: Arrival) -> None:
    verdict = ledger.judge([*ALL[:4], spoilt, *ALL[5:]], repeats_max=0)
    assert (verdict.lost, verdict.wrong) == (0, 1)
    assert not verdict.is_proof


def test_a_frame_that_comes_again_keeps_its_id(ledger: Ledger) -> None:
    verdict = ledger.judge([ALL[0], replace(ALL[0], record_id="new"), *ALL[1:]], repeats_max=1)
    assert verdict.wrong == 1


def test_a_record_of_a_frame_that_nobody_sent_is_wrong(ledger: Ledger) -> None:
    assert ledger.judge([*ALL, at((10, 0))], repeats_max=0).wrong == 1


def test_what_may_arrive_need_not(ledger: Ledger) -> None:
    ledger.allow((9, 400), None, ALL[8].media_ms)
    assert ledger.judge(ALL[:8], repeats_max=0).is_proof
    assert ledger.judge([*ALL[:8], replace(ALL[8], picture=None)], repeats_max=0).is_proof


def test_frames_of_fragments_without_an_acknowledgement_are_known_by_their_time() -> None:
    ledger = Ledger(picture_at=lambda media_ms: media_ms // 200)
    ledger.due(KEYS[8], ALL[8].media_ms // 200, ALL[8].media_ms)
    assert ledger.judge(ALL, repeats_max=0).is_proof
    assert ledger.judge([replace(ALL[0], picture=1), *ALL[1:]], repeats_max=0).wrong == 1
    assert ledger.judge([ALL[1], ALL[0], *ALL[2:]], repeats_max=0).out_of_order == 1


def test_a_row_fails_by_a_slow_recovery_a_failed_processor_or_a_missing_injection(
    ledger: Ledger,
) -> None:
    proof = ledger.judge(ALL, repeats_max=0)
    good = Row("kill -9", injected=2, asked=2, verdict=proof, recoveries_s=[1.0, 9.0])
    assert good.is_good
    assert not replace(good, recoveries_s=[1.0, 10.5]).is_good
    assert not replace(good, troubles=["cam-0 is FAILED: no such stream"]).is_good
    assert not replace(good, injected=1).is_good
    assert not replace(good, verdict=ledger.judge(ALL[1:], repeats_max=0)).is_good
    assert replace(good, injected=0, skipped="tmpfs cannot be mounted here").is_good


def test_a_picture_tells_its_number() -> None:
    from streamproc.engines.fake import FakeEngine

    for number in (0, 0x1234, 0xFFFF, 0x0F80):
        [faces] = FakeEngine().analyse([picture(number)])
        record = {
            "FaceSearchResponse": [
                {
                    "DetectedFace": {"BoundingBox": {"Left": face.box.left}},
                    "MatchedFaces": [
                        {"Face": {"ExternalImageId": f"{int(face.embedding.argmax()):x}"}}
                    ],
                }
                for face in faces
                if face.embedding is not None
            ]
        }
        assert number_in(record) == number
