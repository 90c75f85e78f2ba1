"""Does I/O: finds and reads the collector's configuration: defaults < collector.yaml < collector.d/*.yaml < environment < options.

Environment: `COLLECTOR_WEB__PORT=8081` sets web.port; names that set nothing known are errors, as in a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.config.collector_file import NOTIFIER_PATH_KEYS, PATH_KEYS, CollectorFile, at_home
from collector.config.county_file import UNNAMED, county_of
from collector.domain.county import County
from edge_agent.common.folders import data_folders
from edge_agent.common.located import Findings, Located, Mark, merged, with_value
from edge_agent.common.located import Path as KeyPath
from edge_agent.common.located_model import check
from edge_agent.common.located_yaml import LeadingZeroError, load_yaml, scalar_of
from edge_agent.common.problem import Problem, ProblemError

PREFIX = "COLLECTOR_"
CONFIG_VARIABLE = "COLLECTOR_CONFIG"
"""Names the file itself."""
MAX_SECRET_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration with its sources. file: None where none was found and the defaults serve."""

    settings: CollectorFile
    tree: Located
    file: Path | None
    state: Path
    """The state directory."""
    county_path: Path | None

    @property
    def rule_folders(self) -> tuple[Path, ...]:
        """Where the rules stand. Raises ProblemError (CFG015)."""
        return data_folders("rulebook", (Path(self.settings.rules),) if self.settings.rules else ())


def find_file(option: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The configuration file: option, $COLLECTOR_CONFIG, ./collector's own places. None: there is none."""
    if option is not None:
        return option
    if environment.get(CONFIG_VARIABLE):
        return Path(environment[CONFIG_VARIABLE])
    home = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    places = (Path("/etc/collector/collector.yaml"), home / "collector" / "collector.yaml")
    return next((place for place in places if place.is_file()), None)


def load(
    option: Path | None = None, environment: Mapping[str, str] = os.environ, overrides: Mapping[KeyPath, str] | None = None
) -> Loaded:
    """The whole configuration. overrides: values of command line options by path. Raises ProblemError with all errors."""
    file = find_file(option, environment)
    findings = Findings()
    tree = _from_files(file)
    for mark, path, text in [
        *_from_environment(environment),
        *((Mark("option"), path, text) for path, text in (overrides or {}).items()),
    ]:
        tree = _set(tree, path, text, mark, findings)
    settings = check(tree, CollectorFile, findings)
    findings.raise_if_any()
    if settings is None:
        raise ProblemError(findings.problems)
    county = Path(settings.county) if settings.county else _beside(file)
    return Loaded(settings, tree, file, _state(settings, environment), county)


def load_county(loaded: Loaded, known_rules: frozenset[str] | None = None) -> County:
    """The county of the file that the configuration names. Raises ProblemError with all errors."""
    if loaded.county_path is None:
        return County(UNNAMED)
    findings = Findings()
    county = county_of(load_yaml(loaded.county_path), findings, known_rules)
    findings.raise_if_any()
    return county


def origins(loaded: Loaded) -> Sequence[tuple[str, str, str]]:
    """(key, value, where it comes from) of every value; what no source names comes from `default`."""
    said = {path: node for path, node in loaded.tree.leaves() if path}
    rows = [(_dotted(path), str(node.plain()), str(node.mark)) for path, node in said.items()]
    for path, value in _leaves(loaded.settings.model_dump()):
        if not any(path[: len(other)] == other for other in said):
            rows.append((_dotted(path), str(value), "default"))
    return sorted(rows)


def read_secret(path: str) -> str:
    """The one secret that a file holds, without the line's end. Empty path: empty. Raises ProblemError (CFG212, CFG213)."""
    if not path:
        return ""
    file = Path(path)
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            content = opened.read(MAX_SECRET_BYTES)
        text = content.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemError(
            Problem("CFG212", path, f"The secret cannot be read: {error}.", "check path, owner and mode.")
        ) from error
    if mode & 0o007:
        raise ProblemError(Problem("CFG213", path, "Everybody on this machine may read this secret.", f"chmod 640 {path}"))
    return text


def _from_files(file: Path | None) -> Located:
    tree = Located({}, Mark("default"))
    if file is None:
        return tree
    extra = file.with_suffix(".d")
    for path in (file, *(sorted(extra.glob("*.yaml")) if extra.is_dir() else ())):
        tree = merged(tree, _absolute(load_yaml(path), path.resolve().parent))
    return tree


def _absolute(tree: Located, folder: Path) -> Located:
    paths: list[KeyPath] = list(PATH_KEYS)
    notifiers = tree.child("notifiers")
    for number in range(len(notifiers.items) if notifiers is not None else 0):
        paths += [("notifiers", number, key) for key in NOTIFIER_PATH_KEYS]
    for path in paths:
        node = tree.get(*path)
        if node is not None and node.text:
            tree = with_value(tree, path, Located(at_home(node.text, folder), node.mark))
    return tree


def _from_environment(environment: Mapping[str, str]) -> Iterable[tuple[Mark, KeyPath, str]]:
    for name in sorted(environment):
        if name.startswith(PREFIX) and name != CONFIG_VARIABLE:
            keys = [int(key) if key.isdigit() else key for key in name.removeprefix(PREFIX).lower().split("__")]
            yield Mark(f"environment {name}"), tuple(keys), environment[name]


def _set(tree: Located, path: KeyPath, text: str, mark: Mark, findings: Findings) -> Located:
    try:
        value = scalar_of(text)
    except LeadingZeroError:
        value = text
    try:
        return with_value(tree, path, Located(value, mark))
    except LookupError as error:
        findings.add("CFG214", mark, f"There is no entry {error}.", "count entries from 0.")
        return tree


def _state(settings: CollectorFile, environment: Mapping[str, str]) -> Path:
    if settings.state_directory:
        return Path(settings.state_directory)
    if environment.get("STATE_DIRECTORY"):
        return Path(environment["STATE_DIRECTORY"].split(":")[0])
    return Path(environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "collector"


def _beside(file: Path | None) -> Path | None:
    beside = file.parent / "county.yaml" if file is not None else None
    return beside if beside is not None and beside.is_file() else None


def _leaves(value: object, path: KeyPath = ()) -> Iterable[tuple[KeyPath, object]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, (*path, key))
    else:
        yield path, value


def _dotted(path: KeyPath) -> str:
    return ".".join(str(key) for key in path)
