"""Does I/O: `collector check` and `collector config show`: open no port, change nothing."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from collector.cli.options import AsJson, ConfigArgument, ConfigFile
from collector.config.load import Loaded, load, load_county, origins, read_secret
from collector.config.rules_file import load_rules
from collector.io.broker_process import BrokerPlan, check_plan
from collector.io.state_folder import state_problem
from edge_agent.common.problem import Exit, Problem, ProblemError
from edge_agent.common.terminal import say, say_json, show_problems, table, talk
from edge_agent.common.words import counted


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    config = typer.Typer(help="Shows the configuration.", no_args_is_help=True)
    app.command("check")(check_command)
    config.command("show")(show_command)
    app.add_typer(config, name="config")


def check_command(file: ConfigArgument = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Checks configuration, county file and rules; shows every error with its place and mend.

    Example: collector check /etc/collector/collector.yaml
    """
    loaded = load(file or config)
    try:
        sites, rules = check_all(loaded)
    except ProblemError as error:  # whatever the class of the first: it is the configuration that is at fault
        show_problems(error.problems, as_json=as_json)
        raise typer.Exit(Exit.CONFIG) from None
    source = str(loaded.file or "defaults")
    if as_json:
        say_json("collector-check/1", {"config": source, "county": str(loaded.county_path or ""), "sites": sites, "rules": rules})
        return
    say(f"{source}: fine; {counted(sites, 'site')}, {counted(rules, 'rule')}")
    named = file or config
    talk(f"Next: collector run {shlex.quote(str(named))}" if named is not None else "Next: collector run")


def show_command(
    config: ConfigFile = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prints every value that holds.

    Example: collector config show --origin
    """
    rows = origins(load(config))
    if as_json:
        say_json("collector-config/1", {"values": [{"key": key, "value": value, "origin": place} for key, value, place in rows]})
        return
    say(table(("key", "value", "from"), rows) if origin else table(("key", "value"), [row[:2] for row in rows]))


def check_all(loaded: Loaded) -> tuple[int, int]:
    """Numbers of sites and rules. Raises ProblemError with everything that `run` would refuse."""
    problems: list[Problem] = []
    rules: frozenset[str] = frozenset()
    sites = 0
    try:
        rules = frozenset(load_rules(loaded.rule_folders))
    except ProblemError as error:
        problems += error.problems
    try:
        sites = len(load_county(loaded, rules or None).sites)
    except ProblemError as error:
        problems += error.problems
    problems += _secrets(loaded)
    embedded = loaded.settings.mqtt.embedded_broker
    plan = BrokerPlan("", embedded.host, embedded.port, embedded.users_file, embedded.certificate, embedded.key)
    problem = check_plan(plan)
    problems += [problem] if problem is not None else []
    problems += _page_problems(loaded)
    problem = state_problem(loaded.state)
    problems += [problem] if problem is not None else []
    if problems:
        raise ProblemError(problems)
    return sites, len(rules)


def _page_problems(loaded: Loaded) -> tuple[Problem, ...]:
    from collector.web.safety import check, settings_of

    try:
        check(settings_of(loaded.settings.web))
    except ProblemError as error:
        return error.problems
    return ()


def _secrets(loaded: Loaded) -> list[Problem]:
    settings = loaded.settings
    files = [settings.mqtt.password_file, settings.influx.token_file if settings.influx else ""]
    files += [path for notifier in settings.notifiers for path in (notifier.url_file, notifier.secret_file)]
    problems: list[Problem] = []
    for path in files:
        try:
            read_secret(path)
        except ProblemError as error:
            problems += error.problems
    return problems
