"""Messages of gateways, as the intake hears them."""

from __future__ import annotations

import msgspec

from collector.domain.identity import GatewayId
from collector.intake.machine import Arrived
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.topics import Kind

NAME = GatewayId("site-1", "gw-1")
OTHER = GatewayId("site-1", "gw-2")
EPOCHS = ("1-00000000000000aa", "2-00000000000000bb")
T0 = 1_750_000_000_000


def data(epoch: str, lane: m.Lane, seq: int, low: int = 1, birth: str = "00", body: m.Body | None = None) -> bytes:
    return encoding.encode(m.Data(m.VERSION, epoch, lane, seq, low, birth, T0, body or m.Body()))


def birth(epoch: str, seq: int, low: int = 1, body: m.BirthBody | None = None) -> tuple[bytes, str]:
    """A birth's payload and hash."""
    raw, name = encoding.encode_birth_body(body or m.BirthBody("1", []))
    return encoding.encode(m.Birth(m.VERSION, epoch, "u", seq, low, name, "boot", T0, msgspec.Raw(raw))), name


def arrived(payload: bytes, kind: Kind = Kind.DATA, name: GatewayId = NAME, retained: bool = False) -> Arrived:
    return Arrived(f"waterworks/{name.site}/{name.gateway}/{kind}", name, kind, payload, retained)
