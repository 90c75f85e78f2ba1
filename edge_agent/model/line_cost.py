"""Pure. What a request costs on its line: wire time of both frames, silences, the device's turn-around, adapter and network.

    | silence or pause | request | turn-around (the reply's silence is in it) | reply | lag of adapter or network |

Frames (MODBUS over Serial Line V1.02, 2.5; MODBUS Messaging on TCP/IP V1.0b, 3.1). RTU: 8 bytes ask, 5 and the data answer.
ASCII: a colon, two characters a byte, CR LF; no silence is needed between frames. TCP: 7 bytes instead of address and CRC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_agent.model.points import Bus, Device, Framing, Serial, Table

_TCP_BYTE_US = 1.0
_FAST_BAUDRATE, _FAST_SILENCE_US = 19_200, 1750.0
USB_LAG_US = 1000.0
"""A USB adapter's, where nothing better is known: full speed USB is served once a millisecond."""
NETWORK_LAG_US = 2000.0
"""A round trip on a site's network, where nothing better is known."""
_FRAME_BYTES: dict[Framing, int] = {"rtu": 13, "rtu-over-tcp": 13, "ascii": 28, "tcp": 21}
"""Request and reply without the reply's data, in characters."""
_ASK_BYTES: dict[Framing, int] = {"rtu": 8, "rtu-over-tcp": 8, "ascii": 17, "tcp": 12}


def payload_bytes(table: Table, count: int) -> int:
    """Bytes of data in the reply to a request for `count` registers or bits."""
    return (count + 7) // 8 if table in ("coil", "discrete") else 2 * count


@dataclass(frozen=True, slots=True)
class DeviceCost:
    """What requests to one device cost."""

    fixed_us: float
    """Of a request, whatever it reads."""
    byte_us: float
    """Of each byte of data."""

    def of(self, table: Table, count: int) -> float:
        """Wire time of reading `count` registers or bits, us."""
        return self.fixed_us + payload_bytes(table, count) * self.byte_us


@dataclass(frozen=True, slots=True)
class Cost:
    """What requests cost on one line."""

    byte_us: float
    """Time of one character on the wire."""
    silence_us: float
    """Silence before each frame."""
    framing: Framing = "rtu"
    lag_us: float = 0.0
    """Of the adapter or the network, once an exchange."""

    def of_device(self, device: Device, measured_ms: float | None = None) -> DeviceCost:
        """For requests to a device. measured_ms: its turn-around with all lag, where that was measured; else the profile's word."""
        if measured_ms is None:
            answer_us = max(1000.0 * device.turnaround_ms, self.silence_us) + self.lag_us
        else:
            answer_us = max(1000.0 * measured_ms, self.silence_us)
        lead_us = max(1000.0 * device.pause_ms, self.silence_us)
        character = 2 if self.framing == "ascii" else 1
        return DeviceCost(lead_us + _FRAME_BYTES[self.framing] * self.byte_us + answer_us, character * self.byte_us)

    def reply_us(self, table: Table, count: int) -> float:
        """Time of a reply on the wire."""
        characters = _FRAME_BYTES[self.framing] - _ASK_BYTES[self.framing]
        return (characters + (2 if self.framing == "ascii" else 1) * payload_bytes(table, count)) * self.byte_us

    def silent_us(self, device: Device) -> float:
        """Time that a request costs which is not answered."""
        return max(1000.0 * device.pause_ms, self.silence_us) + _ASK_BYTES[self.framing] * self.byte_us + 1000.0 * device.timeout_ms

    def request_us(self, table: Table, count: int, turnaround_ms: float) -> float:
        """Wire time of reading `count` registers or bits from a device that needs no pause, with its turn-around."""
        return self.of_device(_ANY, turnaround_ms).of(table, count)

    def write_us(self, device: Device, registers: int) -> float:
        """Wire time of writing so many registers, about."""
        made = self.of_device(device)
        return made.fixed_us + 2 * (registers + 2) * made.byte_us


_ANY = Device("", 0, (), turnaround_ms=0)


def cost_of(bus: Bus, lag_us: float | None = None) -> Cost:
    """The cost of a bus. Serial: characters at its speed and 3.5 of them as silence (1.75 ms above 19200 bit/s).

    lag_us: of the adapter or the network, where it is known.
    """
    if not isinstance(bus.link, Serial):
        made = Cost(_TCP_BYTE_US, 0.0, bus.framing, NETWORK_LAG_US)
    else:
        line = bus.link
        byte_us = 1e6 * (1 + line.bytesize + (line.parity != "N") + line.stopbits) / line.baudrate
        silence_us = 3.5 * byte_us if line.baudrate <= _FAST_BAUDRATE else _FAST_SILENCE_US
        lag = NETWORK_LAG_US if line.port.startswith(("rfc2217://", "socket://")) else 0.0
        lag = USB_LAG_US if "USB" in line.port or "usb" in line.port or "ttyACM" in line.port else lag
        made = Cost(byte_us, 0.0 if bus.framing == "ascii" else silence_us, bus.framing, lag)
    return made if lag_us is None else replace(made, lag_us=lag_us)
