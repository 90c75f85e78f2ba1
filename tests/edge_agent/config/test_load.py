from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.common.problem import ProblemError
from edge_agent.config.load import LoadedSite, load_site
from edge_agent.contract.encoding import encode
from edge_agent.contract.message import Limits, Text
from edge_agent.contract.roles import ROLES
from edge_agent.model.link_health import link_points
from edge_agent.model.points import Broker, Serial, Tcp, Tls

REPOSITORY = Path(__file__).parents[3]
HEAD = "site: dawan\ngateway: gw-1\nmqtt: {brokers: [{host: 127.0.0.1}]}\n"
PANEL = HEAD + "buses:\n  - {id: lan, tcp: {host: 127.0.0.1}, devices: [{id: panel, profile: waterworks/panel}]}\n"
FULL = """
site: dawan
gateway: gw-1
name: {zh: 大湾, en: Dawan}
mqtt:
  root: county/water
  version: 3.1.1
  username: gw-1
  password_file: secret
  keepalive: 30 s
  brokers:
    - {host: a.example, tls: {ca: ca.pem, cert: /etc/c.pem, key: k.pem}}
    - {host: 127.0.0.1, port: 1884, version: 5, username: "", password_file: /run/p, keepalive: 1 min}
delivery: {batch: 2 s, batch_readings: 50, window: 1 s, in_flight: 4, resend: 3 s, max_bytes: 8 MiB, max_age: 2 d,
  receipt_hold: 0 s, newest_first: true,
  confirm: puback}
equipment:
  - {id: pump-1, name: {zh: 泵, en: pump}, nameplate: {rated_current_a: 15.2}, fed_by: [meter]}
buses:
  - id: line
    serial: {url: "rfc2217://127.0.0.1:4000", baudrate: 19200, parity: E, stopbits: 2, bytesize: 7}
    probe_budget: 0.05
    devices:
      - id: meter
        unit: 7
        name: {zh: 表, en: meter}
        requests: {max_registers: 10, max_bits: 8, pause: 5 ms, timeout: 300 ms, turnaround: 9 ms, retries: 2, gaps: false,
          holes: [{table: input, first: 3, last: 5}]}
        points:
          - {id: v, table: input, address: 0x0A, type: f32, order: CDAB, scale: 0.1, offset: -1, unit: V, role: mains.voltage,
             period: 500 ms, lane: u, group: g, name: {zh: 压, en: voltage},
             limits: {low_low: 1, low: 2, high: 3, high_high: 4, range_low: 0, range_high: 5}}
          - {id: off, table: coil, address: 1, enabled: false}
          - {id: trip, table: holding, address: 2, bit: 3, role: pump.fault, texts: {"1": {zh: 跳, en: t}}, signs: {"1": overload}}
          - {id: code, table: holding, address: 3, type: u32, mask: 0xFF00, kind: code, sentinels: [65535], decimals: 0}
  - id: lan
    tcp: {host: 10.0.0.9, port: 1502, connect_timeout: 1 s}
    framing: rtu-over-tcp
    devices:
      - {id: probe, profile: generic/level-probe, unit: 9, part_of: pump-1, fed_by: [meter], period: 3 s, points: [
          {id: level, role: well.level, scale: 0.01, limits: {low: 1}},
          {id: decimals, period: 2 h}, {id: range-zero, enabled: false},
          {id: extra, table: discrete, address: 0}]}
"""


def load(tmp_path: Path, text: str, **environment: str) -> LoadedSite:
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    return load_site(tmp_path / "site.yaml", None, environment)


def refused(tmp_path: Path, text: str, **environment: str) -> list[tuple[str, str]]:
    with pytest.raises(ProblemError) as caught:
        load(tmp_path, text, **environment)
    return [(problem.code, problem.where.replace(f"{tmp_path}/", "")) for problem in caught.value.problems]


def test_the_example_is_right() -> None:
    loaded = load_site(REPOSITORY / "examples" / "site.yaml", None, {})
    assert loaded.site.site == "dawan"
    assert [series.i for series in loaded.birth.series] == list(range(len(loaded.birth.series)))


def test_everything_a_running_agent_needs_can_be_said(tmp_path: Path) -> None:
    site = load(tmp_path, FULL).site
    assert site.name == Text("大湾", "Dawan")
    tls = Tls(f"{tmp_path}/ca.pem", "/etc/c.pem", f"{tmp_path}/k.pem")
    assert site.brokers == (
        Broker("a.example", 8883, "3.1.1", "gw-1", f"{tmp_path}/secret", tls, 30, "county/water"),
        Broker("127.0.0.1", 1884, "5", "", "/run/p", None, 60, "county/water"),
    )
    d = site.delivery
    assert (d.batch_ms, d.batch_readings, d.window_ms, d.in_flight, d.resend_ms) == (2000, 50, 1000, 4, 3000)
    assert (d.max_bytes, d.max_age_ms, d.receipt_hold_ms, d.newest_first, d.confirm) == (8 << 20, 172_800_000, 0, True, "puback")
    line, lan = site.buses
    assert (line.link, line.framing, line.probe_budget) == (Serial("rfc2217://127.0.0.1:4000", 19200, "E", 2, 7), "rtu", 0.05)
    assert (lan.link, lan.framing) == (Tcp("10.0.0.9", 1502, 1000), "rtu-over-tcp")
    meter = line.devices[0]
    assert (meter.unit, meter.max_registers, meter.max_bits, meter.pause_ms, meter.timeout_ms) == (7, 10, 8, 5, 300)
    assert (meter.turnaround_ms, meter.retries, meter.gaps, meter.holes) == (9, 2, False, (("input", 3, 5),))
    v, trip, code = meter.points
    assert (v.series, v.address, v.type, v.order, v.scale, v.offset, v.unit, v.role) == (
        0,
        10,
        "f32",
        "CDAB",
        0.1,
        -1,
        "V",
        "mains.voltage",
    )
    assert (v.period_ms, v.lane, v.group, v.name, v.limits) == (500, "u", "g", Text("压", "voltage"), Limits(1, 2, 3, 4, 0, 5))
    assert (trip.mask, trip.kind, trip.type, trip.texts, trip.signs) == (
        8,
        "bool",
        "u16",
        {"1": Text("跳", "t")},
        {"1": "overload"},
    )
    assert (code.mask, code.kind, code.sentinels, code.decimals) == (0xFF00, "code", (65535,), 0)


def test_the_site_file_overrides_the_profile_point_by_point(tmp_path: Path) -> None:
    probe = load(tmp_path, FULL).site.buses[1].devices[0]
    points = {point.id: point for point in probe.points}
    assert list(points) == ["unit-code", "decimals", "level", "range-full", "extra"]
    level = points["level"]
    assert (level.role, level.scale, level.decimals, level.unit, level.address) == ("well.level", 0.01, None, "m", 4)
    assert level.limits == Limits(low=1)
    assert (points["decimals"].period_ms, level.period_ms, points["unit-code"].period_ms) == (7_200_000, 3000, 3000)
    assert (probe.part_of, probe.fed_by, probe.timeout_ms, probe.profile_version) == ("pump-1", ("meter",), 500, "2")


def test_the_birth_tells_series_devices_and_equipment(tmp_path: Path) -> None:
    loaded = load(tmp_path, FULL)
    birth = loaded.birth
    assert [(d.id, d.bus, d.profile, d.part_of, d.fed_by) for d in birth.devices] == [
        ("pump-1", "", "", "", ["meter"]), ("meter", "line", "", "", []),
        ("probe", "lan", "generic/level-probe", "pump-1", ["meter"]),
    ]  # fmt: skip
    assert [(s.i, s.device, s.point) for s in birth.series] == [
        (p.series, p.device, p.id)
        for bus in loaded.site.buses
        for device in bus.devices
        for p in (*device.points, *link_points(device))
    ]
    assert birth.receipt_hold_ms == 0
    assert encode(birth) == encode(load(tmp_path, FULL).birth)


def test_series_keep_their_number_when_something_is_added_at_the_end(tmp_path: Path) -> None:
    before = load(tmp_path, PANEL).birth.series
    after = load(tmp_path, PANEL.replace("panel}]", "panel}, {id: more, unit: 2, profile: waterworks/panel}]")).birth.series
    assert after[: len(before)] == before


def test_site_d_is_laid_over_the_file_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "site.d").mkdir()
    (tmp_path / "site.d" / "20.yaml").write_text("gateway: gw-3\n")
    (tmp_path / "site.d" / "10.yaml").write_text("gateway: gw-2\nbuses: [{id: lan, tcp: {port: 777}}]\n")
    (tmp_path / "site.d" / "note.txt").write_text("gateway: gw-9\n")
    site = load(tmp_path, PANEL).site
    assert site.gateway == "gw-3"
    assert site.buses[0].link == Tcp("127.0.0.1", 777)
    (tmp_path / "site.d" / "20.yaml").write_text("gatewy: gw-3\n")
    assert refused(tmp_path, PANEL) == [("CFG007", "site.d/20.yaml:1:1")]


def test_the_environment_comes_last(tmp_path: Path) -> None:
    site = load(
        tmp_path, PANEL, EDGE_AGENT_MQTT__BROKERS__0__PORT="1999", EDGE_AGENT_BUSES__0__DEVICES__0__UNIT="5", EDGE_AGENT_HOME="x"
    ).site
    assert (site.brokers[0].port, site.buses[0].devices[0].unit) == (1999, 5)


def test_a_variable_that_means_nothing_is_an_error(tmp_path: Path) -> None:
    assert refused(tmp_path, PANEL, EDGE_AGENT_MQT__ROOT="x") == [("CFG007", "EDGE_AGENT_MQT__ROOT")]
    assert refused(tmp_path, PANEL, EDGE_AGENT_MQTT__BROKERS__3__HOST="x") == [("CFG012", "EDGE_AGENT_MQTT__BROKERS__3__HOST")]
    assert refused(tmp_path, PANEL, EDGE_AGENT_MQTT__ROOTS="x") == [("CFG007", "EDGE_AGENT_MQTT__ROOTS")]
    assert refused(tmp_path, PANEL, EDGE_AGENT_MQTT__ROOT="012") == [("CFG003", "EDGE_AGENT_MQTT__ROOT")]


def test_a_broken_profile_is_told_once_with_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "profiles" / "acme").mkdir(parents=True)
    (tmp_path / "profiles" / "acme" / "x.yaml").write_text("profile: 1\nmaker: Acme\n")
    text = PANEL.replace("waterworks/panel}", "acme/x}, {id: b, profile: acme/x}")
    (tmp_path / "site.yaml").write_text(text)
    with pytest.raises(ProblemError) as caught:
        load_site(tmp_path / "site.yaml", [tmp_path / "profiles"], {})
    assert [problem.what for problem in caught.value.problems] == [
        f"The key `{key}` is missing." for key in ("model", "title", "source", "verified", "protocol", "points")
    ]


def test_full_width_characters_are_folded(tmp_path: Path) -> None:
    text = (
        PANEL.replace("dawan", "ｄａｗａｎ")
        .replace("id: panel", "id: ｐａｎｅｌ, unit: １２, part_of: ｐ－１")
        .replace("buses:", "equipment: [{id: p-1}]\nbuses:")
    )
    site = load(tmp_path, text).site
    assert (site.site, site.buses[0].devices[0].id, site.buses[0].devices[0].unit) == ("dawan", "panel", 12)
    assert site.buses[0].devices[0].part_of == "p-1"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "waterworks/../panel", "WATERWORKS/PANEL"])
def test_a_profile_name_never_leaves_its_folder(tmp_path: Path, name: str) -> None:
    assert [code for code, _ in refused(tmp_path, PANEL.replace("waterworks/panel", name))] == ["CFG030"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("table: holding, type: bool", "CFG031"),
        ("table: coil, type: u16", "CFG031"),
        ("table: holding, bit: 16", "CFG031"),
        ("table: holding, bit: 1, mask: 2", "CFG031"),
        ("table: holding, type: f32, mask: 1", "CFG031"),
        ("table: input, role: pump.fault", "CFG024"),
        ("table: input, unit: m, role: water.ph", "CFG024"),
        ("table: input, role: mains.power-factor, unit: V", "CFG024"),
        ("table: holding, limits: {low: 3, high: 2}", "CFG019"),
        ("table: holding, scale: .nan", "CFG008"),
        ("table: holding, period: 10", "CFG018"),
        ("table: holding, period: 25 h", "CFG009"),
        ("table: holding, unit: bananas", "CFG022"),
        ("table: holding, role: pump.banana", "CFG023"),
        ("table: holding, texts: {1: x}", "CFG008"),
        ("table: holding, name: x", "CFG008"),
    ],
)
def test_a_point_that_cannot_be_is_refused(tmp_path: Path, said: str, code: str) -> None:
    text = HEAD + f"buses:\n  - {{id: b, tcp: {{host: h}}, devices: [{{id: d, points: [{{id: p, address: 1, {said}}}]}}]}}\n"
    assert [found for found, _ in refused(tmp_path, text)] == [code]


def test_points_without_a_usable_id_are_said_each(tmp_path: Path) -> None:
    points = "[{table: coil, address: 1}, {id: 5, table: coil, address: 2}, 7]"
    text = HEAD + f"buses:\n- {{id: b, tcp: {{host: h}}, devices: [{{id: d, points: {points}}}]}}\n"
    assert [code for code, _ in refused(tmp_path, text)] == ["CFG006", "CFG008", "CFG008"]


@pytest.mark.parametrize(
    ("link", "unit", "codes"),
    [
        ("serial: {port: /dev/ttyUSB0}", 247, []),
        ("serial: {port: /dev/ttyUSB0}", 248, ["CFG009"]),
        ("serial: {port: /dev/ttyUSB0}", 300, ["CFG009"]),
        ("serial: {port: /dev/ttyUSB0}", 0, ["CFG009"]),
        ("tcp: {host: h}", 255, []),
        ("tcp: {host: h}", 256, ["CFG009"]),
        ("tcp: {host: h}", -1, ["CFG009"]),
    ],
)
def test_a_unit_address_has_the_range_of_its_link(tmp_path: Path, link: str, unit: int, codes: list[str]) -> None:
    text = HEAD + f"buses:\n  - {{id: b, {link}, devices: [{{id: panel, profile: waterworks/panel, unit: {unit}}}]}}\n"
    if codes:
        assert [code for code, _ in refused(tmp_path, text)] == codes
    else:
        assert load(tmp_path, text).site.buses[0].devices[0].unit == unit


def test_a_device_whose_points_are_all_off_is_said(tmp_path: Path) -> None:
    text = (
        HEAD + "buses:\n- {id: b, tcp: {host: h}, devices: [{id: d, points: [{id: p, table: coil, address: 1, enabled: false}]}]}\n"
    )
    assert [code for code, _ in refused(tmp_path, text)] == ["CFG029"]


@pytest.mark.parametrize("said", ["root: a//b", "root: a/+/b", "root: A", "keepalive: 1 s", "version: 4"])
def test_mqtt_values_are_bounded(tmp_path: Path, said: str) -> None:
    text = PANEL.replace("mqtt: {", f"mqtt: {{{said}, ")
    assert [code for code, _ in refused(tmp_path, text)] == ["CFG009"]


def test_link_series_stand_behind_the_points_of_their_device_and_can_be_switched_off(tmp_path: Path) -> None:
    birth = load(tmp_path, PANEL).birth
    assert [s.i for s in birth.series] == list(range(len(birth.series)))
    told = [s for s in birth.series if s.point.startswith("link-")]
    assert [(s.device, s.point, s.role, s.unit, s.kind) for s in told] == [
        ("panel", "link-timeouts", "link.timeouts", "", "counter"),
        ("panel", "link-errors", "link.errors", "", "counter"),
        ("panel", "link-exceptions", "link.exceptions", "", "counter"),
        ("panel", "link-turnaround", "link.turnaround", "ms", "number"),
        ("panel", "link-turnaround-p95", "link.turnaround-p95", "ms", "number"),
    ]
    assert all(s.role in ROLES and s.name is not None and s.name.zh and s.name.en for s in told)
    without = load(tmp_path, PANEL + "link_series: false\n").birth
    assert [s.point for s in without.series] == [s.point for s in birth.series if s not in told]
