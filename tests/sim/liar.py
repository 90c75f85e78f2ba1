"""Pure. Somebody who lies: receipts for what was never sent, sequences at the end of all numbers, bytes that are no message.

What he says must cost bounded work and delete nothing. He cannot say what only the collector can know: a receipt for a message
that was sent and is not durable could be told from a true one by nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.topics import Kind
from edge_agent.delivery.receipts import AHEAD
from tests.sim.broker import Broker
from tests.sim.county import SimCollector
from tests.sim.gateway import SimGateway
from tests.sim.world import World

STRANGER = "gw-x"
"""A gateway that nobody built: it has no readings."""
END = encoding.MAX_SEQUENCE
STRANGER_BIRTH = encoding.encode_birth_body(m.BirthBody("nobody", []))


class Liar:
    """See the module."""

    def __init__(self, world: World, broker: Broker, collector: SimCollector, gateways: Sequence[SimGateway]) -> None:
        self._world, self._broker, self._collector, self._gateways = world, broker, collector, gateways

    def lie(self) -> None:
        """Says one untruth."""
        chance = self._world.chance
        said = chance.choice((self._receipt, self._receipt, self._garbage, self._sequence))
        self._world.note(f"a lie: {said()}")

    def _receipt(self) -> str:
        gateway = self._world.chance.choice(self._gateways)
        courier = gateway.courier
        if courier is None:
            return "nobody hears it"
        chance = self._world.chance
        epoch, lane = courier.holding.epoch, chance.choice(m.LANES)
        held = sorted(courier.holding.outbox.lanes)
        # a broker may bring it again when this run is an earlier one, of which less than AHEAD beyond what is held is believed
        claims = [m.LaneReceipt(epoch, lane, courier.holding.last_seq(lane) + 2 * AHEAD + chance.randrange(1000))]
        claims.append(m.LaneReceipt(epoch, lane, END))
        claims.append(m.LaneReceipt(epoch, lane, 0, [(2 + 4 * n, 3 + 4 * n) for n in range(31)] + [(END - 2, END)]))
        claims.append(m.LaneReceipt("4294967295-00000000000000ab", lane, END))
        if held:
            old_epoch, old_lane = chance.choice(held)
            claims.append(m.LaneReceipt(old_epoch, old_lane, END))
        claim = chance.choice(claims)
        log = chance.choice((self._collector.log.log_id, "log-forged"))
        self._broker.route(gateway.name, Kind.RECEIPT, encoding.encode(m.Receipt(m.VERSION, log, [claim])))
        return f"a receipt to {gateway.name} of {claim.e} {claim.l} {claim.upto}"

    def _introduce(self) -> None:
        """The stranger's birth, so that not all he says waits for it in the log."""
        raw, name = STRANGER_BIRTH
        birth = m.Birth(m.VERSION, "0-0000000000000000", m.URGENT, 1, 1, name, "boot", self._world.now_ms, msgspec.Raw(raw))
        self._broker.route(STRANGER, Kind.BIRTH, encoding.encode(birth))

    def _garbage(self) -> str:
        chance = self._world.chance
        payload = chance.choice(
            (b"", b"{", b"\x78\x9c", chance.randbytes(60), b'{"v":1,"k":"d","s":9223372036854775808}', b"{}" * 9000)
        )
        name = chance.choice([STRANGER, *(gateway.name for gateway in self._gateways)])
        kind = chance.choice((Kind.DATA, Kind.BIRTH, Kind.RECEIPT, Kind.STATUS, Kind.TIME))
        self._broker.route(name, kind, payload)
        return f"{len(payload)} bytes of no message on {name}/{kind}"

    def _sequence(self) -> str:
        chance = self._world.chance
        seq = chance.choice((END, END - 1, 1 << 40, 5))
        low = chance.choice((1, seq))
        epoch = f"{chance.randrange(4)}-00000000000000{chance.randrange(16):02x}"
        self._introduce()
        birth = chance.choice((STRANGER_BIRTH[1],) * 9 + ("00000000000000ff",))
        body = m.Body(events=[m.Event(0, "lie")]) if chance.random() < 0.5 else m.Body()
        data = m.Data(m.VERSION, epoch, chance.choice(m.LANES), seq, low, birth, self._world.now_ms, body)
        self._broker.route(STRANGER, Kind.DATA, encoding.encode(data))
        return f"sequence {seq}, lowest held {low}, of a stranger"
