"""Does I/O: the frame of both command lines - commands that are found by themselves, usage errors as problems, exit codes.

A command is one module of the program's `cli` package with `register(app: typer.Typer) -> None`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

import typer

from edge_agent.common.problem import Exit, Problem, ProblemError
from edge_agent.common.terminal import guarded, say
from edge_agent.common.version import version_text

_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def new_app(program: str, about: str) -> typer.Typer:
    """An empty command line: `--version`, help without arguments, plain text, no tracebacks with local values."""
    app = typer.Typer(name=program, help=about, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.callback(invoke_without_command=True, help=about)
    def root(
        context: typer.Context,
        version: bool = typer.Option(False, "--version", help="Print version and commit, then end."),
    ) -> None:
        if version:
            say(version_text(program))
            raise typer.Exit(Exit.FINE)
        if context.invoked_subcommand is None:
            say(context.get_help())
            raise typer.Exit(Exit.USAGE)

    return app


def add_commands(app: typer.Typer, package: ModuleType) -> None:
    """Calls `register(app)` of every module of `package` that has it, in the order of their names."""
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        register = getattr(import_module(f"{package.__name__}.{name}"), "register", None)
        if register is not None:
            register(app)


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Runs one command line and gives the exit code. With `--json` among the arguments, errors are JSON too."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return guarded(lambda: _invoke(app, arguments), as_json="--json" in own)


def _invoke(app: typer.Typer, arguments: Sequence[str]) -> int:
    program = app.info.name or ""
    try:
        code = app(list(arguments), prog_name=program, standalone_mode=False)
    except typer.Abort:
        return Exit.INTERRUPTED
    except _UsageError as error:
        raise ProblemError(_usage_problem(error, program)) from None
    return code if isinstance(code, int) else Exit.FINE


def _usage_problem(error: Exception, program: str) -> Problem:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else program
    what = error.format_message() if hasattr(error, "format_message") else str(error)
    return Problem("USE001", command, what, f"see `{command} --help`.")
