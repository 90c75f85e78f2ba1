from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent.cli.main import build_app
from edge_agent.common.program import run
from tests.support.certificates import DAY_S, Authority
from tests.support.golden import assert_golden

REPOSITORY = Path(__file__).parents[3]
GOLDEN = REPOSITORY / "tests" / "golden" / "help"
SITE = str(REPOSITORY / "examples" / "site.yaml")


def call(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(build_app(), arguments)
    return code, *capfd.readouterr()


@pytest.mark.parametrize(
    "name",
    [
        "check",
        "plan",
        "profile",
        "profile-list",
        "profile-show",
        "profile-new",
        "profile-import",
        "profile-test",
        "profile-schema",
        "read",
        "write",
        "config",
        "config-show",
        "config-schema",
    ],
)
def test_help_says_exactly_this(name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = call(capfd, *name.split("-"), "--help")
    assert (code, err) == (0, "")
    assert_golden(GOLDEN / f"edge-agent-{name}.txt", out)


def test_check_gives_a_summary_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capfd, "check", SITE, "--json")
    summary = json.loads(out)
    assert (code, err, summary["schema"]) == (0, "", "check/1")
    assert summary["buses"][0]["devices"][0]["periods_ms"] == [1000]


def test_check_warns_of_a_certificate_that_ends_soon(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ca = Authority(tmp_path / "ca")
    for days, codes in ((40, []), (20, ["NET315"])):
        issued = ca.issue("gw-1", ends_s=days * DAY_S + 600)
        tls = f"{{ca: {ca.cert}, cert: {issued.cert}, key: {issued.key}}}"
        file = tmp_path / "site.yaml"
        text = Path(SITE).read_text(encoding="utf-8")
        file.write_text(text + f"\n# {days}\n", encoding="utf-8")
        (tmp_path / "site.d").mkdir(exist_ok=True)
        (tmp_path / "site.d" / "tls.yaml").write_text(f"mqtt: {{tls: {tls}}}\n", encoding="utf-8")
        code, out, _ = call(capfd, "check", str(file), "--json")
        assert (code, [warning["code"] for warning in json.loads(out)["warnings"]]) == (0, codes)


def test_check_names_files_of_the_link_that_cannot_be_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(Path(SITE).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "site.d").mkdir()
    (tmp_path / "site.d" / "tls.yaml").write_text("mqtt: {tls: {ca: ca.pem}, password_file: pw, username: a}\n", encoding="utf-8")
    code, out, err = call(capfd, "check", str(file))
    assert (code, "No problems" in out, "Valid, with 2 warnings below." in out) == (0, False, True)
    assert "NET304" in err
    assert "NET307" in err
    assert str(tmp_path / "ca.pem") in err


def test_check_names_the_next_command(capfd: pytest.CaptureFixture[str]) -> None:
    _, _, err = call(capfd, "check", SITE)
    assert err.splitlines()[-1].startswith("Next: edge-agent read ")


def test_problems_come_as_json_too(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = call(capfd, "check", str(tmp_path / "none.yaml"), "--json")
    assert (code, err) == (78, "")
    assert json.loads(out)["problems"][0]["code"] == "CFG001"


@pytest.mark.parametrize("arguments", [["chekc"], ["check"], ["check", "a", "b"], ["check", "--colour"], ["profile", "shwo"]])
def test_wrong_usage_is_a_problem_too(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    code, out, err = call(capfd, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("USE001  edge-agent")


def test_version_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd, "--version")
    assert code == 0
    assert out.startswith("edge-agent 0.")
    assert out.count("\n") == 1


def test_no_command_shows_the_help(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd)
    assert code == 2
    assert "check" in out


def test_profiles_are_listed_and_shown(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capfd, "profile", "list", "--json")
    assert "eastron/sdm630" in [profile["name"] for profile in json.loads(out)["profiles"]]
    _, out, _ = call(capfd, "profile", "list")
    assert "液位计" in out
    code, out, _ = call(capfd, "profile", "show", "generic/level-probe")
    assert code == 0
    assert "tank.level" in out
    _, out, _ = call(capfd, "profile", "show", "generic/level-probe", "--json")
    assert json.loads(out)["file"]["points"][2]["id"] == "level"


def test_an_unknown_profile_is_said_with_the_near_one(capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capfd, "profile", "show", "eastron/sdm63")
    assert code == 78
    assert "Do: did you mean `eastron/sdm630`? See the list with `edge-agent profile list`." in err


def test_a_broken_profile_does_not_hide_the_others(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "x.yaml").write_text("profile: 2\n")
    code, out, err = call(capfd, "profile", "list", "--profiles", str(tmp_path))
    assert code == 78
    assert "eastron/sdm630" in out
    assert f"{tmp_path}/acme/x.yaml:1:10" in err


def test_config_show_says_where_values_come_from(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AGENT_MQTT__ROOT", "county")
    _, out, _ = call(capfd, "config", "show", SITE, "--origin")
    line = next(line for line in out.splitlines() if line.startswith("mqtt.root "))
    assert line.split() == ["mqtt.root", '"county"', "EDGE_AGENT_MQTT__ROOT"]
    _, out, _ = call(capfd, "config", "show", SITE, "--json")
    values = {value["key"]: value for value in json.loads(out)["values"]}
    assert values["site"]["value"] == "dawan"
    assert values["site"]["origin"].endswith("examples/site.yaml:3:7")
