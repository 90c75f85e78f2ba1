"""Does I/O: `edge-agent status` - how the running agent is, in plain words."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli.output import AsJson, say, say_json
from edge_agent.cli.status_buses import bus_lines
from edge_agent.common.problem import Exit, Problem, ProblemError
from edge_agent.common.words import counted, sent

RTC_BATTERY = "clock.rtc-battery"
OLD_MS = 300_000
"""An outbox whose oldest batch is older has a trouble, where the agent does not say when a batch is late by its settings."""


def register(app: typer.Typer) -> None:
    """Adds `status`."""

    @app.command(epilog="Example: edge-agent status --json")
    def status(
        runtime_dir: Annotated[Path | None, typer.Option("--runtime-dir", help="Where the agent writes its status file.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show how the running agent is: buses, devices, outbox, clock, broker. Exit 1 if something is wrong, 75 if none runs."""
        from edge_agent.io.service import runtime_folders
        from edge_agent.io.status_file import read_status

        folders = runtime_folders(runtime_dir, os.environ)
        body = read_status(folders)
        if body is None:
            do = "start it with `systemctl start edge-agent` or `edge-agent run SITE.yaml`, or name its --runtime-dir"
            raise ProblemError(Problem("TRY401", str(folders[0]), "No agent is running here.", do))
        wrong = troubles(body, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)
        if as_json:
            fields = {key: value for key, value in body.items() if key != "schema"}
            say_json("status/1", {**fields, "troubles": wrong})
        else:
            say(_text(body, wrong))
        if wrong:
            raise typer.Exit(Exit.PROBLEMS)


def troubles(body: Mapping[str, Any], now_ms: int) -> list[str]:
    """What is wrong, one sentence each."""
    found = []
    age_s = (now_ms - int(body.get("mono_ms", 0))) // 1000
    if age_s > 15:
        found.append(f"The agent has said nothing for {_span(age_s)}; it hangs.")
    if body.get("hanging"):
        found.append(f"No progress: {', '.join(body['hanging'])}.")
    link = body.get("link") or {}
    if not link.get("up"):
        why = f" {link['problem']['what']} Do: {link['problem']['do']}" if link.get("problem") else ""
        found.append(f"No connection to the broker {link.get('broker', '')}.{why}")
    if link.get("unheard") and link.get("up"):
        found.append(
            f"The broker says of {counted(link['unheard'], 'message')} that nobody listens."
            " Do: start the consumer that reads this gateway's topics."
        )
    if link.get("up") and not link.get("dates_checked", True):
        found.append(
            "The dates of the broker's certificate are not checked, because by the machine's clock it does not hold, and nobody"
            " keeps that clock in step. Do: let NTP reach the gateway, or fit an RTC."
        )
    if not (body.get("clock") or {}).get("source"):
        found.append("The time is not known; readings wait in the outbox. Do: connect the network, or fit an RTC.")
    delivery = body.get("delivery") or {}
    if delivery.get("disk"):
        found.append(f"The outbox works from memory: {delivery['disk']}.")
    if _is_late(delivery):
        waited = _span(delivery["oldest_ms"] // 1000)
        found.append(f"The oldest batch has waited {waited} for the collector's receipt; {_drain(delivery, link)}.")
    if delivery.get("dropped"):
        dropped = counted(delivery["dropped"], "reading was", "readings were")
        found.append(f"{dropped} dropped because the outbox was full or too old.")
    for event in body.get("standing", []):
        if event["kind"] == RTC_BATTERY:
            found.append(f"{event['reason'][:1].upper()}{event['reason'][1:]}. Do: replace the cell (docs/firmware.md, RTC).")
            continue
        subject = event["subject"] or "the gateway"
        reason = f" ({event['reason']})" if event["reason"] else ""
        found.append(f"{event['kind']}: {subject}{reason}, for {_span(event['since_s'])}.")
    return found


def _text(body: Mapping[str, Any], wrong: list[str]) -> str:
    link, clock, delivery = body["link"], body["clock"], body.get("delivery") or {}
    lines = [
        f"{body['site']}/{body['gateway']}  {body['software']}, epoch {body['epoch']}",
        f"broker   {link['broker']}: {_link(link)}, {counted(link['sessions'], 'session')}" + _air(link),
        f"clock    {clock['source'] or 'not known'}"
        + (f", within {clock['bound_ms']} ms" if clock["source"] else "")
        + (f"; RTC: {clock['rtc']}" if clock.get("rtc") else ""),
        f"outbox   {counted(delivery.get('depth', 0), 'batch waits', 'batches wait')} ({delivery.get('on_disk', 0)} on disk)"
        + (f", the oldest for {_span(delivery['oldest_ms'] // 1000)}" if delivery.get("oldest_ms") else "")
        + (f"; {_drain(delivery, link)}" if _is_late(delivery) else ""),
        f"readings {delivery.get('taken', 0)} taken, {delivery.get('delivered', 0)} delivered since the start",
        *_saver(body.get("saver") or {}),
        *_learned(body.get("learned") or {}),
        *bus_lines(body, _span),
    ]
    lines += ["", *(f"! {line}" for line in wrong)] if wrong else ["", "All is well."]
    return "\n".join(lines)


def _saver(saver: Mapping[str, Any]) -> list[str]:
    """The month's data, and what gives way for it; nothing where no budget and no dead-band is set."""
    lines = []
    if saver.get("held_back"):
        lines.append(f"saved    {counted(saver['held_back'], 'reading')} not sent, because nothing had changed (dead-bands)")
    budget = saver.get("budget_bytes")
    if budget:
        expected = saver.get("expected_bytes")
        outlook = "too early to say how much it will be" if expected is None else f"about {sent(expected)} by its end"
        lines.append(
            f"data     {sent(saver['used_bytes'])} of {sent(budget)} used this month, {outlook};"
            f" batches wait {saver['batch_ms'] / 1000:g} s, dead-bands x{saver['dead_band_factor']:g}"
        )
    return lines


def _learned(learned: Mapping[str, Any]) -> list[str]:
    """What is wrong with the file of what was learned of devices; nothing is lost by it but bus time."""
    lines = []
    if learned.get("damaged"):
        lines.append(
            f"learned  {counted(learned['damaged'], 'damaged file')} set aside (learned.json.damaged-* in the state folder)"
        )
    if learned.get("error"):
        lines.append(f"learned  cannot be written: {learned['error']}")
    return lines


def _link(link: Mapping[str, Any]) -> str:
    if link["up"]:
        return "connected"
    next_try_s = link.get("next_try_s")
    return "not connected, trying now" if next_try_s is None else f"not connected, next try in {next_try_s:.0f} s"


def _is_late(delivery: Mapping[str, Any]) -> bool:
    return int(delivery.get("oldest_ms") or 0) > int(delivery.get("late_ms", OLD_MS))


def _drain(delivery: Mapping[str, Any], link: Mapping[str, Any]) -> str:
    """How a backlog goes on, as part of a sentence."""
    rate = delivery.get("drain_per_s")
    waits = counted(delivery.get("depth_readings", 0), "reading waits", "readings wait")
    if not link.get("up"):
        return f"not draining: there is no connection; {waits}"
    if rate is None:
        return f"{waits}, how fast they drain is not known yet"
    if delivery.get("drain_s") is None:
        return f"not draining: {waits}, and as many come as go, or more"
    return f"{waits}, drained in about {_span(delivery['drain_s'])} at {rate:.3g} readings a second"


def _air(link: Mapping[str, Any]) -> str:
    total = link.get("air_bytes", 0)
    if not total:
        return ""
    apart = f"{sent(link['air_open_bytes'])} to connect, {sent(link['air_keepalive_bytes'])} keep-alive"
    certificate = link.get("certificate") or {}
    days = f", certificate good for {counted(certificate['days'], 'day')}" if certificate.get("days") is not None else ""
    return f", {sent(total)} on the air ({apart}){days}"


def _span(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
