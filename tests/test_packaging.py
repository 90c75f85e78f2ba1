"""The wheel carries every folder of data, and each extra alone is enough for its program."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (made,) = folder.glob("*.whl")
    return made


def test_every_folder_of_data_is_found_in_the_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from pathlib import Path
from edge_agent.common.folders import data_folder
from edge_agent.config.firmware_file import Board, load_piece
from edge_agent.config.profiles import load_profile
from collector.config.rules_file import load_rules
nowhere = Path({str(tmp_path)!r}, "etc")
for name in ("device_profiles", "firmware_configs", "systemd", "rulebook"):
    folder = data_folder(name, etc=nowhere)
    assert folder.is_relative_to({str(tmp_path)!r}), folder
    assert any(folder.rglob("*")), name
load_profile("eastron/sdm630", [data_folder("device_profiles", etc=nowhere)])
load_piece(data_folder("firmware_configs", etc=nowhere), Board, "raspberry-pi-4")
assert len(load_rules()) >= 10
"""
    run = subprocess.run(
        [sys.executable, "-I", "-c", script], check=False, capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert run.returncode == 0, run.stderr


def test_the_wheel_holds_the_programs_pages_and_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    entry = next(name for name in names if name.endswith("entry_points.txt"))
    text = zipfile.ZipFile(wheel).read(entry).decode()
    assert "edge-agent = edge_agent.cli.main:main" in text
    assert "collector = collector.cli:main" in text
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "edge_agent/py.typed" in names
    assert any(name.startswith("collector/web/templates/") for name in names)
    assert any(name.startswith("collector/web/texts/") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "examples/"))]


ALONE = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
{imports}
"""
EDGE_ONLY = {"serial", "pymodbus"}
COLLECTOR_ONLY = {
    "amqtt", "influxdb_client", "fastapi", "starlette", "uvicorn", "jinja2", "multipart", "httpx", "argon2", "apscheduler",
    "prometheus_client",
}  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "imports"),
    [
        (COLLECTOR_ONLY, "import edge_agent.agent, edge_agent.cli.main\nedge_agent.cli.main.build_app()"),
        (EDGE_ONLY, "import collector.app\nfrom collector.cli import main"),
    ],
    ids=["edge", "collector"],
)
def test_each_extra_alone_is_enough(missing: set[str], imports: str) -> None:
    script = ALONE.format(missing=missing, imports=imports)
    run = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert run.returncode == 0, run.stderr


def test_a_running_agent_loads_no_web_server_and_no_models_of_files() -> None:
    script = "import sys, edge_agent.agent\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True).stdout.split()
    )
    assert not loaded & COLLECTOR_ONLY
    assert not loaded & {"typer", "rich"}
