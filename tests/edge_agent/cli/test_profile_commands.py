"""`edge-agent profile new|import|test`: from a printed table to a profile that an instrument on the bench confirms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent.cli.main import build_app
from edge_agent.common.program import run
from tests.support.instrument import Behaviour, PtyInstrument, TcpInstrument

TABLE = "名称,地址,类型,倍率,单位\n温度,1,INT16,0.1,℃\n湿度,2,UINT16,0.1,%\n"


def call(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = run(build_app(), [str(argument) for argument in arguments])
    return code, *capfd.readouterr()


@pytest.fixture
def made(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """A folder of profiles with acme/th10, made from a table."""
    (tmp_path / "th10.csv").write_text(TABLE, encoding="utf-8")
    code, _, err = call(capfd, "profile", "import", tmp_path / "th10.csv", "acme/th10", "--to", tmp_path / "profiles")
    assert code == 0, err
    return tmp_path / "profiles"


def test_an_imported_profile_reads_the_instrument_and_its_record_proves_it(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record = made / "acme" / "th10.txt"
    with PtyInstrument(Behaviour({7: {1: 0xFFCE, 2: 553}})) as bench:
        code, out, err = call(
            capfd, "profile", "test", "acme/th10", "--profiles", made, "--port", bench.path, "--unit", "7", "--record", record
        )
    assert code == 0, err
    assert [line.split()[:4] for line in out.splitlines()[1:]] == [
        ["temperature", "-5.0", "degC", "good"],
        ["humidity", "55.3", "%", "good"],
    ]
    assert "= temperature -5.0 degC good\n= humidity 55.3 % good\n" in record.read_text(encoding="utf-8")
    code, out, err = call(capfd, "profile", "test", made / "acme" / "th10.yaml", "--json")
    assert (code, json.loads(out)["problems"], json.loads(out)["unproved"]) == (0, [], [])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_a_table_is_read_as_spreadsheets_save_it(encoding: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_bytes("表\n\n名称;地址(HEX);类型;倍率;精度\n温度;10;INT16;0,1;0.5\n以上;;;;\n".encode(encoding))
    code, out, err = call(capfd, "profile", "import", tmp_path / "t.csv", "acme/t", "--dry-run")
    assert code == 0, err
    assert "address: 16  # 0x0010" in out
    assert "scale: 0.1" in out
    assert "Columns that nothing was taken from: 精度." in err
    assert "Left out, with one word alone: line 5." in err


def test_it_reads_over_tcp_too(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with TcpInstrument(Behaviour({1: {1: 215, 2: 553}})) as bench:
        code, out, _ = call(capfd, "profile", "test", "acme/th10", "--profiles", made, "--tcp", f"127.0.0.1:{bench.port}", "--json")
    assert (code, [v["value"] for v in json.loads(out)["values"]]) == (0, [21.5, 55.3])


TRANSCRIPT = """# framing: rtu
>> 07 03 00 01 00 02 95 AD
<< 07 03 04 FF CE 02 29 0D 66
= temperature -5.0 degC good
= humidity {humidity} % good
"""


def test_a_value_that_differs_is_told_with_its_registers(made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wrong.txt"
    file.write_text(TRANSCRIPT.format(humidity=5.53), encoding="utf-8")
    code, _, err = call(capfd, "profile", "test", "acme/th10", "--profiles", made, "--transcript", file)
    assert code == 1
    assert f"PRF602  {file}:5" in err
    assert "`humidity` is 55.3 % (good), the transcript says 5.53 % (good)" in err
    assert "registers 0229 read as u16" in err


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("= temperature", "= temprature"), "PRF604"),
        (("00 02 95 AD", "00 03 95 AD"), "PRF603"),
        (("0D 66", "0D 67"), "PRF603"),
        (("<< 07", "< 07"), "PRF601"),
        (("-5.0 degC good", "-5.0 good"), "PRF601"),
        (("framing: rtu", "framing: rut"), "PRF601"),
        (("07 03 00 01", "07 06 00 01"), "PRF603"),
        (("00 01 00 02 95 AD", "00 05 00 02 95 AD"), "PRF603"),
    ],
)
def test_what_is_wrong_in_a_transcript_has_its_code(
    change: tuple[str, str], code: str, made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.txt"
    file.write_text(TRANSCRIPT.format(humidity=55.3).replace(*change), encoding="utf-8")
    exit_code, _, err = call(capfd, "profile", "test", "acme/th10", "--profiles", made, "--transcript", file)
    assert (exit_code, err.split()[0]) == (1, code), err


def test_a_point_without_proof_is_named_and_no_transcript_is_no_error(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "half.txt"
    file.write_text("".join(TRANSCRIPT.splitlines(keepends=True)[:4]), encoding="utf-8")
    code, _, err = call(capfd, "profile", "test", "acme/th10", "--profiles", made, "--transcript", file)
    assert (code, "Not in the transcript: humidity" in err) == (0, True)
    code, out, err = call(capfd, "profile", "test", "acme/th10", "--profiles", made)
    assert (code, "none proved by a transcript" in out) == (0, True)


def test_an_instrument_that_is_silent_is_one_problem(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with PtyInstrument(Behaviour({1: {1: 0}})) as bench:
        code, _, err = call(capfd, "profile", "test", "acme/th10", "--profiles", made, "--port", bench.path, "--unit", "9")
    assert (code, err.count("BUS102")) == (1, 1)


def test_new_writes_a_profile_that_loads_and_never_replaces_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    where = ("--to", tmp_path)
    assert call(capfd, "profile", "new", "acme/x1", *where)[0] == 0
    assert call(capfd, "profile", "show", "acme/x1", "--profiles", tmp_path)[0] == 0
    code, _, err = call(capfd, "profile", "new", "acme/x1", *where)
    assert (code, err.split()[0]) == (78, "CFG062")
    assert call(capfd, "profile", "new", "acme/x1", *where, "--force")[0] == 0
    assert call(capfd, "profile", "new", "acme/x2", *where, "--dry-run")[0] == 0
    assert not (tmp_path / "acme" / "x2.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("new", "Acme"), "USE020"),
        (("new", "../etc/x"), "USE020"),
        (("import", "none.csv", "a/b"), "CFG060"),
        (("import", "none.csv", "a/b", "--count-from", "2"), "USE021"),
        (("import", "none.csv", "a/b", "--table", "x"), "USE021"),
        (("test", "acme/nothing"), "CFG030"),
        (("test", "generic/level-probe", "--record", "x"), "USE022"),
        (("test", "generic/level-probe", "--port", "x", "--tcp", "y"), "USE012"),
        (("test", "generic/level-probe", "--transcript", "none.txt"), "PRF601"),
        (("new", "a/b", "--to", "/proc/nowhere"), "CFG063"),
    ],
)
def test_wrong_words_get_a_problem(arguments: tuple[str, ...], code: str, capfd: pytest.CaptureFixture[str]) -> None:
    exit_code, _, err = call(capfd, "profile", *arguments)
    assert exit_code != 0
    assert err.split()[0] == code, err


def test_a_spreadsheet_is_no_table_and_gb18030_is_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04rest")
    code, _, err = call(capfd, "profile", "import", tmp_path / "a.xlsx", "a/b", "--dry-run")
    assert (code, err.split()[0]) == (78, "CFG060")
    (tmp_path / "b.csv").write_bytes(TABLE.encode("gb18030"))
    code, out, _ = call(capfd, "profile", "import", tmp_path / "b.csv", "a/b", "--dry-run")
    assert (code, "温度" in out) == (0, True)


TRIGGERED = """profile: 1
maker: Acme
model: P1
title: {zh: 探头, en: probe}
source: [manual of the probe]
verified: false
protocol: modbus
parameters: [{id: ct, name: {zh: 变比, en: ratio}}]
setup: [{address: 9, words: [2]}]
trigger: [{address: 10, words: [1], wait: 10 ms}]
points:
  - {id: level, name: {zh: 液位, en: level}, table: holding, address: 0, unit: m, scale: 0.1, group: all, scale_by: [{of: ct}, {of: places, taken: decimals}]}
  - {id: places, name: {zh: 小数位, en: decimals}, table: holding, address: 1, group: all}
"""  # noqa: E501


@pytest.fixture
def triggered(tmp_path: Path) -> Path:
    """A folder of profiles with acme/p1, which asks for a parameter, is set up and triggered."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "p1.yaml").write_text(TRIGGERED, encoding="utf-8")
    return tmp_path


def test_the_bench_takes_the_steps_of_the_profile_and_the_record_shows_them(
    triggered: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record = triggered / "acme" / "p1.txt"
    command = ("profile", "test", "acme/p1", "--profiles", triggered)
    with PtyInstrument(Behaviour({1: {0: 314, 1: 1, 9: 0, 10: 0}})) as bench:
        code, _, err = call(capfd, *command, "--port", bench.path)
        assert (code, err.split()[0]) == (2, "USE025")
        assert not bench.behaviour.asked
        code, out, err = call(capfd, *command, "--port", bench.path, "--parameter", "ct=20", "--record", record)
        asked = [pdu.hex() for _, pdu in bench.behaviour.asked]
    assert (code, err) == (0, err)
    assert asked == ["0600090002", "06000a0001", "0300000002"]
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["level", "62.8"], ["places", "1"]]
    text = record.read_text(encoding="utf-8")
    assert "# parameters: ct=20\n" in text
    assert text.index("+ setup") < text.index("+ trigger") < text.index("= level 62.8 m good")
    code, out, _ = call(capfd, *command, "--json")
    assert (code, json.loads(out)["problems"], json.loads(out)["unproved"]) == (0, [], [])
    for broken, unproved, codes in (
        (text.replace("+ trigger\n", ""), ["level", "places", "trigger"], ["PRF603"]),
        (text.replace("+ trigger", "+ wake"), ["trigger"], ["PRF604"]),
        (text.replace("01 06 00 0A 00 01", "01 06 00 0A 00 02"), ["trigger"], ["PRF603"]),
        (text.replace("ct=20", "ct=10"), [], ["PRF602"]),
    ):
        record.write_text(broken, encoding="utf-8")
        code, out, _ = call(capfd, *command, "--json")
        told = json.loads(out)
        assert (code, told["unproved"], [p["code"] for p in told["problems"]][:1]) == (1, unproved, codes), broken


def test_a_step_that_is_refused_is_told_and_nothing_is_read(triggered: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with PtyInstrument(Behaviour({1: {0: 314, 1: 1, 9: 0, 10: 0}}, locked={10})) as bench:
        command = ("profile", "test", "acme/p1", "--profiles", triggered, "--port", bench.path, "--parameter", "ct=20")
        code, out, err = call(capfd, *command)
    assert (code, err.split()[0]) == (1, "BUS106")
    assert "trigger (holding 10)" in err.replace("`", "").replace("step of ", "")
    assert out.count("bad:comm") == 2


@pytest.mark.parametrize("said", ["ct", "ct=many"])
def test_a_parameter_that_is_none(said: str, triggered: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capfd, "profile", "test", "acme/p1", "--profiles", triggered, "--parameter", said)
    assert (code, err.split()[0]) == (2, "USE024")
