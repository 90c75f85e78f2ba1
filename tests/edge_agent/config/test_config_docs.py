"""Every key and every problem code of the configuration is documented, and the documents' examples are right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from edge_agent.common.located_yaml import parse_yaml, validate
from edge_agent.config.device_parts import StepFile, WakeFile
from edge_agent.config.load import load_site
from edge_agent.config.point_parts import FactorFile, LimitsFile, TermFile, WriteFile
from edge_agent.config.profile_file import HoleFile, PointFile, ProfileFile, RequestsFile, SerialFactory
from edge_agent.config.site_file import (
    BrokerFile,
    BusFile,
    ClockFile,
    DeliveryFile,
    DeviceFile,
    EquipmentFile,
    MqttFile,
    SerialFile,
    SiteFile,
    TcpFile,
    TlsFile,
)
from edge_agent.model.plan import cost_of, plan

REPOSITORY = Path(__file__).parents[3]
PROFILES = (REPOSITORY / "docs" / "profiles.md").read_text(encoding="utf-8")
SITE = (REPOSITORY / "docs" / "site-file.md").read_text(encoding="utf-8")
PROBLEMS = "".join(
    path.read_text(encoding="utf-8") for path in [*REPOSITORY.glob("docs/problems.md"), *REPOSITORY.glob("docs/problems.d/*.md")]
)


def keys() -> Iterator[tuple[str, str, str]]:
    for page, models in (
        (
            PROFILES,
            (
                ProfileFile,
                PointFile,
                RequestsFile,
                SerialFactory,
                LimitsFile,
                HoleFile,
                WriteFile,
                StepFile,
                WakeFile,
                FactorFile,
                TermFile,
            ),
        ),
        (
            SITE,
            (
                SiteFile,
                MqttFile,
                BrokerFile,
                TlsFile,
                DeliveryFile,
                EquipmentFile,
                BusFile,
                ClockFile,
                SerialFile,
                TcpFile,
                DeviceFile,
            ),
        ),
    ):
        for model in models:
            for key in model.model_fields:
                yield page, model.__name__, key


@pytest.mark.parametrize(("page", "model", "key"), [pytest.param(*k, id=f"{k[1]}.{k[2]}") for k in keys()])
def test_every_key_is_documented(page: str, model: type[BaseModel], key: str) -> None:
    assert re.search(rf"`{key}`|\b{key}: \.\.\.", page), f"{model}.{key}"


def test_every_code_of_the_configuration_is_documented() -> None:
    sources = [*(REPOSITORY / "edge_agent" / "common").glob("*.py"), *(REPOSITORY / "edge_agent" / "config").glob("*.py")]
    used = {code for path in sources for code in re.findall(r'"((?:CFG|USE)\d{3})"', path.read_text(encoding="utf-8"))}
    assert len(used) > 25
    assert used - set(re.findall(r"^### ([A-Z]{3}\d{3})$", PROBLEMS, re.MULTILINE)) == set()


def test_the_profile_of_the_tutorial_is_right() -> None:
    example = next(block for block in re.findall(r"```yaml\n(.*?)```", PROFILES, re.DOTALL) if "profile: 1" in block)
    assert validate(parse_yaml(example, "docs/profiles.md"), ProfileFile).points[0].role == "room.temperature"


WHOLE = [block for block in re.findall(r"```yaml\n(.*?)```", PROFILES, re.DOTALL) if block.startswith("profile: 1\n")]


@pytest.mark.parametrize("text", WHOLE, ids=lambda text: re.findall("model: (.*)", text)[0])
def test_every_whole_profile_of_the_page_loads_and_resolves(text: str, tmp_path: Path) -> None:
    name = re.findall("model: (.*)", text)[0].lower()
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / f"{name}.yaml").write_text(text, encoding="utf-8")
    said = "{ct: 40}" if "id: ct" in text else "{}"
    (tmp_path / "site.yaml").write_text(
        "site: s\ngateway: g\nmqtt: {brokers: [{host: 127.0.0.1}]}\nbuses:\n  - id: b\n    serial: {port: /dev/ttyUSB0}\n"
        f"    devices: [{{id: d, profile: acme/{name}, unit: 1, parameters: {said}}}]\n",
        encoding="utf-8",
    )
    bus = load_site(tmp_path / "site.yaml", [tmp_path], {}).site.buses[0]
    assert plan(bus.devices[0], cost_of(bus))


def test_the_page_shows_a_meter_a_triggered_probe_and_a_drive() -> None:
    assert [re.findall("model: (.*)", text)[0] for text in WHOLE] == ["TH10", "PM3", "PH7", "VFD9"]
    assert ["keepalive" in WHOLE[3], "latched" in WHOLE[3], "trigger:" in WHOLE[2], "of: pt" in WHOLE[1]] == [True] * 4
