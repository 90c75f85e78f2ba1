"""collector.yaml and county.yaml: every error at once, each with its place; where values come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from collector.config.load import load, load_county, origins, read_secret
from collector.config.zone import Zone
from edge_agent.common.problem import ProblemError

EXAMPLES = Path(__file__).parents[3] / "examples"


def problems(call: object) -> dict[str, str]:
    with pytest.raises(ProblemError) as caught:
        call()  # type: ignore[operator]
    return {problem.code: problem.where for problem in caught.value.problems}


def test_examples_are_right() -> None:
    loaded = load(EXAMPLES / "collector.yaml", {})
    county = load_county(loaded)
    assert county.sites["mayantang"].responsible in county.people
    assert loaded.settings.mqtt.embedded is not None


def test_every_error_at_once(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "web: {port: 8090, hots: x}\n"
        "store: {influx: {url: x, org: a}}\n"
        "mqtt: {root: BAD}\n"
        "notifiers: [{name: a, kind: webhook}]\n"
        'daily_summary: "7:30"\n'
    )
    found = problems(lambda: load(file, {"COLLECTOR_LOG__RETENTION_DAYS": "x"}))
    assert found["CFG007"] == f"{file}:1:19"
    assert found["CFG207"].startswith(f"{file}:2:23")
    assert found["CFG205"].startswith(f"{file}:3:14")
    assert found["CFG208"].startswith(f"{file}:4:13")
    assert found["CFG209"].startswith(f"{file}:5:16")
    assert found["CFG008"] == "environment COLLECTOR_LOG__RETENTION_DAYS"


def test_two_brokers_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("mqtt:\n  host: a\n  embedded: {}\n")
    assert problems(lambda: load(file, {})) == {"CFG206": f"{file}:3:13"}


def test_sources_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("web: {port: 8001}\nlog: {retention_days: 3}\nmqtt: {host: h, password_file: pw}\n")
    (tmp_path / "c.d").mkdir()
    (tmp_path / "c.d" / "10.yaml").write_text("web: {port: 8002, host: localhost}\n")
    loaded = load(file, {"COLLECTOR_WEB__PORT": "8003", "STATE_DIRECTORY": str(tmp_path / "s")})
    assert loaded.settings.web.port == 8003
    assert loaded.settings.web.host == "localhost"
    assert loaded.settings.mqtt.password_file == str(tmp_path / "pw")
    assert loaded.state == tmp_path / "s"
    said = {key: origin for key, _, origin in origins(loaded)}
    assert said["web.port"] == "environment COLLECTOR_WEB__PORT"
    assert said["web.host"] == f"{tmp_path / 'c.d' / '10.yaml'}:1:25"
    assert said["log.retention_days"] == f"{file}:2:23"
    assert said["web.base_url"] == "default"


def test_county_errors(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("county: county.yaml\n")
    county = tmp_path / "county.yaml"
    county.write_text(
        "people: [{id: li, name: Li}]\n"
        "sites:\n"
        "  - {id: a, name: {zh: 甲, en: A}, responsible: lu}\n"
        "  - {id: a, name: {zh: 甲, en: A}}\n"
        "rules: [{rule: pump-dry-runs}]\n"
    )
    found = problems(lambda: load_county(load(tmp_path / "c.yaml", {}), frozenset({"pump-dry-run"})))
    assert found["CFG201"].startswith(f"{county}:3:48")
    assert found["CFG202"].startswith(f"{county}:4:10")
    assert found["CFG204"].startswith(f"{county}:5:16")


def test_overrides(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("")
    (tmp_path / "county.yaml").write_text("rules: [{rule: r, site: a, for: 5s, clear: 2m, level: red, params: {current_a: 2.5}}]\n")
    (override,) = load_county(load(tmp_path / "c.yaml", {})).overrides
    assert (override.for_ms, override.clear_ms, override.level, override.params) == (5000, 120_000, "red", {"current_a": 2.5})


@pytest.mark.parametrize(
    "text", ["rules: [{rule: r, for: 5}]\n", "rules: [{rule: r, for: 5 parsecs}]\n", "sites: [{id: A, name: {zh: a, en: a}}]\n"]
)
def test_wrong_values_in_the_county_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text("")
    (tmp_path / "county.yaml").write_text(text)
    assert problems(lambda: load_county(load(tmp_path / "c.yaml", {})))


def test_a_secret_that_everybody_reads_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    assert read_secret(str(secret)) == "s3cret"
    secret.chmod(0o644)
    assert problems(lambda: read_secret(str(secret))) == {"CFG213": str(secret)}
    assert problems(lambda: read_secret(str(tmp_path / "none"))) == {"CFG212": str(tmp_path / "none")}


@pytest.mark.parametrize("name", ["Asia", "Asia/" + "x" * 400, "../../etc/passwd", "a\0b"])
def test_no_name_of_a_zone_is_more_than_a_problem(name: str) -> None:
    """A folder of the list and a name too long for a file, found by the fuzzer."""
    with pytest.raises(ValidationError):
        TypeAdapter(Zone).validate_python(name)
