"""The event of a certificate that ends soon."""

from __future__ import annotations

import time
from pathlib import Path

from edge_agent.certificate_watch import LOOK_MS, CertificateWatch
from edge_agent.model.points import Broker, Tls
from edge_agent.standing import Standing
from tests.support.certificates import DAY_S, Authority


def test_it_is_told_once_again_when_renewed_and_never_without_a_clock(tmp_path: Path) -> None:
    ca = Authority(tmp_path / "ca")
    soon, later = ca.issue("gw-1", ends_s=40 * DAY_S), ca.issue("gw-1", ends_s=300 * DAY_S)
    file = tmp_path / "gw.pem"
    file.write_bytes(soon.cert.read_bytes())
    watch = CertificateWatch([Broker("a"), Broker("b", tls=Tls(str(ca.cert), str(file), str(soon.key)))])
    assert watch.look(0, None) == []
    assert watch.ending is None
    now_ms = int(time.time() * 1000)
    assert watch.look(0, now_ms) == []
    assert watch.ending is not None
    (event,) = watch.look(LOOK_MS, now_ms + 15 * DAY_S * 1000)
    assert (event.kind, event.on, dict(event.about)["days"]) == ("link.certificate", True, 24)
    assert "gw.pem ends on" in event.reason
    assert watch.look(LOOK_MS + 1, now_ms + 15 * DAY_S * 1000) == []
    assert watch.look(2 * LOOK_MS, now_ms + 32 * DAY_S * 1000) == [], "told already; it stands"
    file.write_bytes(later.cert.read_bytes())
    (over,) = watch.look(3 * LOOK_MS, now_ms + 45 * DAY_S * 1000)
    assert (over.kind, over.on) == ("link.certificate", False)


def test_without_tls_there_is_nothing_to_tell() -> None:
    assert CertificateWatch([Broker("a")]).look(0, 1_800_000_000_000) == []


def test_it_is_told_again_when_a_week_is_left_and_when_it_has_ended(tmp_path: Path) -> None:
    ca = Authority(tmp_path / "ca")
    issued = ca.issue("gw-1", ends_s=40 * DAY_S)
    watch, standing = CertificateWatch([Broker("b", tls=Tls(str(ca.cert), str(issued.cert), str(issued.key)))]), Standing()
    now_ms = int(time.time() * 1000)
    said = []
    for day in range(45):
        for event in standing.note(watch.look(day * DAY_S * 1000, now_ms + day * DAY_S * 1000)):
            said.append((day, event.on, event.reason))
    assert [(day, on) for day, on, _ in said] == [(10, True), (33, True), (40, True)]
    assert said[1][2].endswith("in 6 days")
    assert "has ended on" in said[2][2]
    (stands,) = standing.open()
    assert (stands.reason, stands.taken_ms) == (said[2][2], 10 * DAY_S * 1000), "since when it stands does not change"
