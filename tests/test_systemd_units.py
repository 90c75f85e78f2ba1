"""The service units as systemd itself judges them, and what the programs rely on in them."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[1] / "systemd"
SERVICES = ["edge-agent.service", "collector.service"]
ONE_SHOTS = ["collector-backup.service"]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-analyze is missing")
        pytest.skip("systemd-analyze is missing")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=60)


def keys(name: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read(UNITS / name)
    return {key: value for section in parser.sections() for key, value in parser.items(section)}


@pytest.mark.systemd
@pytest.mark.parametrize("name", [*SERVICES, *ONE_SHOTS])
def test_verify_finds_nothing(name: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = re.sub(r"ExecStart=\S+", f"ExecStart={program}", (UNITS / name).read_text())
    unit = tmp_path / name
    unit.write_text(text)
    result = analyze("verify", "--man=no", str(unit))
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@pytest.mark.systemd
@pytest.mark.parametrize("name", [*SERVICES, *ONE_SHOTS])
def test_exposure_is_below_three(name: str) -> None:
    result = analyze("security", "--offline=true", "--threshold=29", str(UNITS / name))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
    assert found, result.stdout + result.stderr
    assert float(found[1]) < 3.0
    assert result.returncode == 0


@pytest.mark.parametrize("name", SERVICES)
def test_what_the_programs_rely_on(name: str) -> None:
    unit = keys(name)
    assert unit["Type"] == "notify"
    assert int(unit["WatchdogSec"]) <= 60
    assert unit["Restart"] == "always"
    assert unit["StartLimitIntervalSec"] == "0"
    assert unit["User"] not in ("", "root")
    assert {"StateDirectory", "RuntimeDirectory", "CacheDirectory", "ConfigurationDirectory"} <= set(unit)
    assert "network-online.target" not in (UNITS / name).read_text()


def test_the_agent_may_open_serial_ports() -> None:
    assert keys("edge-agent.service")["SupplementaryGroups"] == "dialout"
    allowed = re.findall(r"^DeviceAllow=(\S+)", (UNITS / "edge-agent.service").read_text(), re.MULTILINE)
    assert {"char-ttyS", "char-ttyAMA", "char-ttyUSB", "char-ttyACM", "char-ttySC"} <= set(allowed)


def test_the_backup_runs_as_the_collector_where_it_may_write() -> None:
    unit, service = keys("collector-backup.service"), keys("collector.service")
    assert (unit["User"], unit["StateDirectory"]) == (service["User"], service["StateDirectory"])
    folder = unit["ReadWritePaths"]
    assert f" backup {folder} " in unit["ExecStart"]
    made = (UNITS / "tmpfiles.d" / "waterworks-edge.conf").read_text()
    assert re.search(rf"^d {folder} 0700 collector collector", made, re.MULTILINE)
    assert keys("collector-backup.timer")["Persistent"] == "yes"
