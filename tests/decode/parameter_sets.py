"""H.264 and H.265 sequence parameter sets that say whatever a test wants, bit by bit."""

START = b"\0\0\0\1"


class Bits:
    """A writer of fixed and Exp-Golomb numbers."""

    def __init__(self) -> None:
        self._bits = ""

    def fixed(self, count: int, value: int) -> "Bits":
        self._bits += f"{value:0{count}b}"
        return self

    def golomb(self, *values: int) -> "Bits":
        for value in values:
            digits = f"{value + 1:b}"
            self._bits += "0" * (len(digits) - 1) + digits
        return self

    def unit(self, header: bytes) -> bytes:
        """A NAL unit: stop bit, alignment, and a 3 wherever a start code would arise."""
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        escaped = bytearray()
        zeros = 0
        for byte in int(bits, 2).to_bytes(len(bits) // 8):
            if zeros == 2 and byte <= 3:
                escaped.append(3)
                zeros = 0
            escaped.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return header + bytes(escaped)


def h264_set(
    width: int, height: int, shown: tuple[int, int] | None = None, *, interlaced: bool = False,
    profile: int = 66, scaling: bool = False, order_type: int = 2,
) -> bytes:  # fmt: skip
    """Multiples of 16 (32 in height where interlaced). shown: how much of it is to be seen."""
    bits = Bits().fixed(8, profile).fixed(8, 0).fixed(8, 62).golomb(0)
    if profile >= 100:
        bits.golomb(1, 0, 0).fixed(1, 0).fixed(1, scaling)
        for size in (16, 16) if scaling else ():
            bits.fixed(1, 1).golomb(*[1] * size)
        bits.fixed(6, 0) if scaling else None
    bits.golomb(0, order_type)
    if order_type == 0:
        bits.golomb(4)
    elif order_type == 1:
        bits.fixed(1, 0).golomb(2, 3, 2, 5, 6)
    bits.golomb(1).fixed(1, 0).golomb(width // 16 - 1, height // (32 if interlaced else 16) - 1)
    bits.fixed(1, not interlaced)
    if interlaced:
        bits.fixed(1, 0)
    bits.fixed(1, 1).fixed(1, shown is not None)
    if shown is not None:
        bits.golomb(0, (width - shown[0]) // 2, 0, (height - shown[1]) // 2)
    return bits.fixed(1, 0).unit(b"\x67")


def h264_picture_set() -> bytes:
    bits = Bits().golomb(0, 0).fixed(2, 0).golomb(0, 0, 0).fixed(3, 0).golomb(0, 0, 0)
    return bits.fixed(3, 0).unit(b"\x68")


def h264_slice() -> bytes:
    """The beginning of an IDR picture; what follows is noise, and so is the picture."""
    bits = Bits().golomb(0, 7, 0).fixed(4, 0).golomb(0).fixed(2, 0).golomb(0, 0)
    return bits.unit(b"\x65") + bytes(range(40, 120))


def h264_key_packet(sequence_set: bytes) -> bytes:
    """A packet that a decoder can begin with, behind start codes."""
    return b"".join(START + unit for unit in (sequence_set, h264_picture_set(), h264_slice()))


def hevc_set(width: int, height: int, *, sub_layers: int = 0, chroma: int = 1) -> bytes:
    bits = Bits().fixed(4, 0).fixed(3, sub_layers).fixed(1, 1).fixed(8, 1)
    bits.fixed(32, 0x60000000).fixed(48, 0).fixed(8, 93)
    if sub_layers:
        for layer in range(8):
            bits.fixed(2, 3 if layer < sub_layers else 0)
        for _ in range(sub_layers):
            bits.fixed(48, 1).fixed(48, 1)
    bits.golomb(0, chroma)
    if chroma == 3:
        bits.fixed(1, 0)
    return bits.golomb(width, height).fixed(1, 0).golomb(0, 0, 4).unit(b"\x42\x01")
