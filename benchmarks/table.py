"""Pure. How a benchmark prints: value, demand, ratio, and whether the demand holds."""

from __future__ import annotations

import os
import platform
import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line. demand: at most so much; at_least: the other way round; neither: for comparison only."""

    what: str
    value: float
    unit: str
    demand: float | None = None
    at_least: float | None = None

    @property
    def holds(self) -> bool:
        """True if the value is as it must be."""
        return (self.demand is None or self.value <= self.demand) and (self.at_least is None or self.value >= self.at_least)

    @property
    def bound(self) -> str:
        """The demand in words."""
        if self.at_least is not None:
            return f">= {self.at_least:,.4g} {self.unit}"
        return "" if self.demand is None else f"{self.demand:,.4g} {self.unit}"


def machine() -> str:
    """What it was measured on."""
    cores, sqlite = os.cpu_count(), sqlite3.sqlite_version
    return f"{cores} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, SQLite {sqlite}"


def show(title: str, figures: list[Figure]) -> int:
    """Prints the table; gives the exit code."""
    print(f"\n{title}  ({machine()})\n")
    print(f"| {'figure':<78} | {'value':>12} | {'at most':>12} | {'ratio':>6} |\n|{'-' * 80}|{'-' * 14}|{'-' * 14}|{'-' * 8}|")
    for each in figures:
        limit = each.demand or each.at_least
        ratio = "" if not limit else f"{each.value / limit:.2f}" + ("" if each.holds else " !")
        value = f"{each.value:,.1f} {each.unit}" if each.value < 1000 else f"{each.value:,.0f} {each.unit}"
        print(f"| {each.what:<78} | {value:>12} | {each.bound:>12} | {ratio:>6} |")
    missed = [each.what for each in figures if not each.holds]
    print(f"\nMissed: {'; '.join(missed)}" if missed else "\nEvery demand holds.")
    return 1 if missed else 0
