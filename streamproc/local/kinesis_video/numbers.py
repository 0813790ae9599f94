"""Fragment numbers, as Kinesis Video makes them.

A number is a 157-bit integer, written in decimal (read out of recorded streams):

    bit 156      1
    bits 92..155 sequence number of the stream
    bits 28..91  server timestamp, milliseconds since the epoch
    bits 0..27   random

The sequence rises by 1 per fragment and every session starts a new block of 1000, so numbers
rise strictly in the order of arrival, whatever the wall clock does. Up to a sequence of 1.7e18
a number has 47 digits: the order of the texts is the order of the numbers.

Knows integers and texts; where the next block is remembered is the caller's affair.
"""

import random
from collections.abc import Callable
from typing import Final

BLOCK: Final = 1000

_DIGITS: Final = 47
_TOP_BIT: Final = 1 << 156
_RANDOM_BITS: Final = 28


def fragment_number(sequence: int, server_ms: int, random_bits: int = 0) -> str:
    return str(_TOP_BIT | sequence << 92 | server_ms << _RANDOM_BITS | random_bits)


def comparable(number: str) -> str:
    """Bring any decimal of a client into a form whose text order is its numeric order among
    our own numbers: one with more digits than ours stands behind them all."""
    digits = number.lstrip("0").rjust(_DIGITS, "0")
    return digits if len(digits) == _DIGITS else "9" * _DIGITS


def before(number: str) -> str:
    """The greatest number below one of ours."""
    return str(int(number) - 1)


class NumberSequence:
    """The numbers of one stream. Blocks are reserved ahead, so a restart never goes back.

    blocks is how many blocks were ever reserved. While wants_block is true the caller reserves
    one more, stores that, and tells it with reserved().
    """

    def __init__(self, blocks: int, bits: Callable[[int], int] = random.getrandbits) -> None:
        self._blocks = blocks
        self._next = blocks * BLOCK + 1
        self._bits = bits
        self.last = before(fragment_number(self._next, 0))
        """No later number is at or below this one."""

    @property
    def wants_block(self) -> bool:
        """True if the next number lies beyond what is reserved."""
        return self._next > self._blocks * BLOCK

    def start_session(self) -> None:
        """Leave the rest of the block to nobody: the next number opens a new one."""
        self._next = self._blocks * BLOCK + 1

    def reserved(self, blocks: int) -> None:
        """So many blocks are reserved now, on disk."""
        self._blocks = blocks

    def next(self, server_ms: int) -> str:
        """The number of a fragment that begins now; wants_block must be False."""
        assert not self.wants_block, "reserve a block before numbering a fragment"
        self.last = fragment_number(self._next, server_ms, self._bits(_RANDOM_BITS))
        self._next += 1
        return self.last
