"""Nobody who follows a stream misses that there is more of it."""

import asyncio

from streamproc.local.kinesis_video.live import Pulse


async def test_a_beat_wakes_everybody_who_waits() -> None:
    pulse = Pulse()
    waiting = [asyncio.create_task(pulse.behind(pulse.beats)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    pulse.beat()
    async with asyncio.timeout(60):
        await asyncio.gather(*waiting)


async def test_a_beat_between_looking_and_waiting_is_not_missed() -> None:
    pulse = Pulse()
    beats = pulse.beats
    pulse.beat()
    async with asyncio.timeout(60):
        await pulse.behind(beats)


async def test_who_gave_up_waiting_disturbs_nobody() -> None:
    pulse = Pulse()
    leaving, staying = (asyncio.create_task(pulse.behind(pulse.beats)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait({leaving})
    assert len(pulse._waiting) == 1
    pulse.beat()
    async with asyncio.timeout(60):
        await staying
    assert not pulse._waiting
    assert (await asyncio.gather(leaving, return_exceptions=True))[0] is not None
