"""Pure. What is asked and what the answer must look like: reads (functions 1-4), writes (5, 6, 15, 16, 22), both at once (23).

MODBUS Application Protocol V1.1b3, section 6. Coded by pymodbus but for what it has no plain form for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pymodbus.pdu import DecodePDU, bit_message, register_message

from edge_agent.model.blocks import Block
from edge_agent.model.points import Table
from edge_agent.protocols.modbus_frames import Expected

FUNCTIONS: dict[Table, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
MAX_BITS, MAX_REGISTERS = 2000, 125
MASK_WRITE, READ_WRITE = 22, 23
_MAX_READ_WRITE = 121
"""Registers that function 23 may write."""
_MOST_WRITTEN = {15: 1968, 16: 123}

_READ_REQUESTS = {
    1: bit_message.ReadCoilsRequest,
    2: bit_message.ReadDiscreteInputsRequest,
    3: register_message.ReadHoldingRegistersRequest,
    4: register_message.ReadInputRegistersRequest,
}
_replies = DecodePDU(is_server=False)


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring registers or bits of one table."""

    table: Table
    address: int
    count: int

    @classmethod
    def of(cls, block: Block) -> Self:
        """What the request of a block reads."""
        return cls(block.table, block.address, block.count)

    @property
    def is_bits(self) -> bool:
        """True for coils and discrete inputs."""
        return self.table in ("coil", "discrete")


def read_request(span: Span) -> bytes:
    """The PDU that asks for a span. Raises ValueError beyond the protocol's limits."""
    function = FUNCTIONS[span.table]
    if span.address + span.count > 0x10000:
        raise ValueError(f"{span.table} {span.address}+{span.count} goes beyond address 65535")
    return bytes((function,)) + bytes(_READ_REQUESTS[function](address=span.address, count=span.count).encode())


def read_expected(span: Span) -> Expected:
    """The reply that a span implies: function, byte count, data."""
    data = (span.count + 7) // 8 if span.is_bits else 2 * span.count
    return Expected(bytes((FUNCTIONS[span.table], data)), 2 + data)


def read_words(span: Span, pdu: bytes) -> tuple[int, ...]:
    """Registers (0-65535) or bits (0/1) of a reply that `read_expected` accepts."""
    reply = _replies.decode(pdu)
    if reply is None or not read_expected(span).accepts(pdu):
        raise ValueError("no reply to this request")
    if span.is_bits:
        return tuple(int(bit) for bit in reply.bits[: span.count])
    return tuple(reply.registers)


def write_request(function: int, address: int, values: Sequence[int]) -> bytes:
    """The PDU that writes coils (functions 5, 15) or registers (6, 16). Raises ValueError beyond the protocol's limits."""
    bits = [bool(value) for value in values]
    if not 1 <= len(values) <= _MOST_WRITTEN.get(function, 1) or address + len(values) > 0x10000:
        raise ValueError(f"function {function} cannot write {len(values)} values at {address}")
    match function:
        case 5:
            body = bit_message.WriteSingleCoilRequest(address=address, bits=bits).encode()
        case 6:
            body = register_message.WriteSingleRegisterRequest(address=address, registers=list(values)).encode()
        case 15:
            body = bit_message.WriteMultipleCoilsRequest(address=address, bits=bits).encode()
        case 16:
            body = register_message.WriteMultipleRegistersRequest(address=address, registers=list(values)).encode()
        case _:
            raise ValueError(f"function {function} writes nothing")
    return bytes((function,)) + bytes(body)


def masks_request(address: int, and_mask: int, or_mask: int) -> bytes:
    """The PDU of function 22: the register becomes (it AND and_mask) OR (or_mask AND NOT and_mask)."""
    return bytes((MASK_WRITE,)) + b"".join(number.to_bytes(2, "big") for number in (address, and_mask, or_mask))


def mask_request(address: int, mask: int, word: int) -> bytes:
    """The PDU that changes the bits of `mask` in one register to those of `word` (function 22), all others stay."""
    return masks_request(address, ~mask & 0xFFFF, word & mask)


def write_expected(request: bytes) -> Expected:
    """The reply to a write: its first five bytes again; of a mask write all seven."""
    length = 7 if request[0] == MASK_WRITE else 5
    return Expected(request[:length], length)


def read_write_request(span: Span, address: int, words: Sequence[int]) -> bytes:
    """The PDU that writes `words` from `address` on and then reads a span of holding registers (function 23).

    Raises ValueError beyond the protocol's limits.
    """
    if span.table != "holding":
        raise ValueError("function 23 reads holding registers")
    if not 1 <= len(words) <= _MAX_READ_WRITE or address + len(words) > 0x10000:
        raise ValueError(f"function 23 cannot write {len(words)} registers at {address}")
    written = b"".join(number.to_bytes(2, "big") for number in (address, len(words)))
    data = b"".join(word.to_bytes(2, "big") for word in words)
    return bytes((READ_WRITE,)) + read_request(span)[1:] + written + bytes((len(data),)) + data


def read_write_expected(span: Span) -> Expected:
    """The reply to function 23: byte count and the registers read."""
    return Expected(bytes((READ_WRITE, 2 * span.count)), 2 + 2 * span.count)


def read_write_words(span: Span, pdu: bytes) -> tuple[int, ...]:
    """Registers of a reply that `read_write_expected` accepts."""
    if not read_write_expected(span).accepts(pdu):
        raise ValueError("no reply to this request")
    return tuple(int.from_bytes(pdu[at : at + 2], "big") for at in range(2, len(pdu), 2))
