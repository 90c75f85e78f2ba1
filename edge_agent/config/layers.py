"""Does I/O: lays the parts of a site's configuration over each other: `site.yaml` < `site.d/*.yaml` < `EDGE_AGENT_...`.

`EDGE_AGENT_MQTT__BROKERS__0__HOST=10.0.0.5` sets `mqtt.brokers[0].host`; values are read as YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edge_agent.common.located import Findings, Key, Located, Mark, merged, with_value
from edge_agent.common.located_model import closest
from edge_agent.common.located_yaml import load_yaml, parse_yaml
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.config.site_file import SiteFile

PREFIX = "EDGE_AGENT_"
_INDEX = re.compile(r"[0-9]{1,4}")


def site_tree(path: Path, environment: Mapping[str, str]) -> Located:
    """The configuration of a site, all layers merged. Raises ProblemError with everything that cannot be read."""
    problems: list[Problem] = []
    layers: list[Located] = []
    for file in (path, *sorted(path.with_suffix(".d").glob("*.yaml"))):
        try:
            layers.append(load_yaml(file))
        except ProblemError as error:
            problems += error.problems
    if problems:
        raise ProblemError(problems)
    tree = layers[0]
    for layer in layers[1:]:
        tree = merged(tree, layer)
    return _with_environment(tree, environment)


def _with_environment(tree: Located, environment: Mapping[str, str]) -> Located:
    findings = Findings()
    for name in sorted(environment):
        parts = name.removeprefix(PREFIX).lower().split("__")
        if not name.startswith(PREFIX) or (len(parts) == 1 and parts[0] not in SiteFile.model_fields):
            continue
        mark = Mark(name)
        if parts[0] not in SiteFile.model_fields:
            near = closest(parts[0], list(SiteFile.model_fields))
            do = f"write `{PREFIX}{near.upper()}__...`." if near else "unset the variable."
            findings.add("CFG007", mark, f"The site file has no key `{parts[0]}`.", do)
            continue
        keys: tuple[Key, ...] = tuple(int(part) if _INDEX.fullmatch(part) else part for part in parts)
        try:
            tree = with_value(tree, keys, _moved(parse_yaml(environment[name], name), mark))
        except ProblemError as error:
            for problem in error.problems:
                findings.add(problem.code, mark, problem.what, problem.do)
        except LookupError as error:
            findings.add("CFG012", mark, f"The list has no entry {error}.", "number list entries from 0, without a gap.")
    findings.raise_if_any()
    return tree


def _moved(node: Located, mark: Mark) -> Located:
    """The tree with every place replaced by the variable's name."""
    if isinstance(node.value, dict):
        return Located({key: _moved(child, mark) for key, child in node.value.items()}, mark, dict.fromkeys(node.value, mark))
    if isinstance(node.value, list):
        return Located([_moved(child, mark) for child in node.value], mark)
    return Located(node.value, mark)
