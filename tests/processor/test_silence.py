"""Video that does not come is told, and taken back when it does."""

import asyncio

from streamproc.clock import FakeClock
from streamproc.processor.silence import SilenceWatch


async def test_silence_is_told_with_its_length_and_taken_back() -> None:
    clock, told = FakeClock(), list[str]()
    watch = SilenceWatch(60.0, clock, told.append)
    task = asyncio.create_task(watch.run())
    watch.listening()
    await clock.advance(59)
    assert told == []
    await clock.advance(2)
    assert told == [
        "No video has come for 60 s: is the camera on, and does it send to this stream?"
    ]
    watch.listening()  # asked again after a pause in waiting: it is the same silence
    await clock.advance(60)
    assert told[-1].startswith("No video has come for 120 s")
    watch.heard()
    assert told[-1] == ""
    watch.heard()
    assert len(told) == 3
    task.cancel()


async def test_a_reader_that_is_busy_itself_hears_no_silence() -> None:
    clock, told = FakeClock(), list[str]()
    watch = SilenceWatch(60.0, clock, told.append)
    task = asyncio.create_task(watch.run())
    for _ in range(10):
        watch.listening()
        await clock.advance(30)
        watch.heard()
        await clock.advance(200)
    assert told == []
    task.cancel()
