"""Pure. When this release was made; what was made later knows that no clock may be earlier."""

from __future__ import annotations

from datetime import UTC, date, datetime

RELEASE_DATE = date(2026, 1, 1)
"""Moves with each release in CHANGELOG.md (a test compares them): no honest clock shows an earlier day."""
BUILD_MS = int(datetime(RELEASE_DATE.year, RELEASE_DATE.month, RELEASE_DATE.day, tzinfo=UTC).timestamp()) * 1000
"""The software did not exist before; whoever says so is wrong."""
LATEST_MS = BUILD_MS + 40 * 365 * 86_400_000
"""Nor will this release be running so late."""
