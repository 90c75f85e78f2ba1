"""Does I/O: `edge-agent check` - reads the site file and everything it names, opens no port, changes nothing."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import typer

from edge_agent.cli.output import AsJson, ProfileDirs, SiteFile, say, say_json, table, talk
from edge_agent.common.words import counted, stored

if TYPE_CHECKING:
    from edge_agent.delivery.wear import Wear
    from edge_agent.model.loaded import LoadedSite
    from edge_agent.model.points import Device


def register(app: typer.Typer) -> None:
    """Adds `check`."""

    @app.command(epilog="Example: edge-agent check /etc/edge-agent/site.yaml")
    def check(site: SiteFile, profiles: ProfileDirs = None, as_json: AsJson = False) -> None:
        """Check a site file and the profiles it uses; every problem at once, each with its line and the mend."""
        from edge_agent.config.load import load_site
        from edge_agent.io.link_files import link_file_problems
        from edge_agent.io.serial_ports import KernelPorts

        loaded = load_site(site, profiles, ports=KernelPorts().ports())
        files = link_file_problems(loaded.site.brokers, int(time.time() * 1000))
        loaded = replace(loaded, warnings=(*loaded.warnings, *files))
        if as_json:
            say_json("check/1", _summary(loaded))
            return
        say(_text(loaded))
        for warning in loaded.warnings:
            talk("\n" + warning.text())
        talk(f"\nNext: edge-agent read {site}")


def _summary(loaded: LoadedSite) -> dict[str, object]:
    site = loaded.site
    return {
        "site": site.site,
        "gateway": site.gateway,
        "buses": [
            {
                "id": bus.id,
                "devices": [
                    {"id": d.id, "unit": d.unit, "profile": d.profile, "points": len(d.points), "periods_ms": _periods(d)}
                    for d in bus.devices
                ],
            }
            for bus in site.buses
        ],
        "points": sum(len(device.points) for bus in site.buses for device in bus.devices),
        "delivery": {"batch_ms": site.delivery.batch_ms, "window_ms": site.delivery.window_ms, **asdict(_wear(loaded))},
        "warnings": [warning.as_dict() for warning in loaded.warnings],
    }


def _text(loaded: LoadedSite) -> str:
    from edge_agent.config.quantities import spoken_ms

    rows = [
        (
            bus.id,
            device.id,
            str(device.unit),
            device.profile or "-",
            str(len(device.points)),
            ", ".join(map(spoken_ms, _periods(device))),
        )
        for bus in loaded.site.buses
        for device in bus.devices
    ]
    points = sum(int(row[4]) for row in rows)
    site = loaded.site
    title = f"{site.site}/{site.gateway}: " + ", ".join(
        (counted(len(site.buses), "bus", "buses"), counted(len(rows), "device"), counted(points, "point"))
    )
    listed = table(("bus", "device", "unit", "profile", "points", "periods"), rows)
    found = f"Valid, with {counted(len(loaded.warnings), 'warning')} below" if loaded.warnings else "No problems"
    return f"{title}. {found}.\n\n{listed}\n\n{_wear_text(loaded)}"


def _wear(loaded: LoadedSite) -> Wear:
    from edge_agent.delivery.wear import estimate

    points = [point for bus in loaded.site.buses for device in bus.devices for point in device.points]
    settings, budget = loaded.site.delivery, loaded.site.delivery.budget
    if budget is not None:  # what it may come to
        settings = replace(settings, batch_ms=max(settings.batch_ms, budget.batch_most_ms))
    return estimate(settings, [(point.lane, point.period_ms) for point in points])


def _wear_text(loaded: LoadedSite) -> str:
    from edge_agent.config.quantities import spoken_ms

    wear, delivery = _wear(loaded), loaded.site.delivery
    lost = counted(wear.loss_readings, "reading")
    lines = [
        f"flash   {_size(wear.online_bytes_a_day)} a day while receipts come, {_size(wear.offline_bytes_a_day)} without a link",
        f"power   a cut can cost what was read in the last {spoken_ms(wear.loss_ms)}, about {lost}",
    ]
    if wear.urgent_loss_ms < wear.loss_ms:
        urgent = f"in the last {spoken_ms(wear.urgent_loss_ms)}" if wear.urgent_loss_ms else "at that instant"
        lines.append(f"        of urgent points only what was read {urgent}")
    if wear.is_written_online:
        held = f" and {spoken_ms(delivery.receipt_hold_ms)} for the receipt" if delivery.receipt_hold_ms > 1000 else ""
        waits = f"batches wait longer ({spoken_ms(delivery.batch_ms)}{held}) than the window ({spoken_ms(delivery.window_ms)})"
        lines.append(f"        {waits}, and flash gives way; with `gives_way: window` it is spared, and a cut costs more")
    return "\n".join(lines)


def _size(size_bytes: int) -> str:
    return f"about {stored(size_bytes)}" if size_bytes else "next to nothing"


def _periods(device: Device) -> list[int]:
    return sorted({point.period_ms for point in device.points})
