"""Pure. What a gateway's boot partition and root file system need for one site: from board, HAT, adapters and site to files.

Facts and rules: docs/firmware.md. Nothing here touches a disk; `edge-agent image render` writes what `render` gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.common.problem import Problem, ProblemError
from edge_agent.config.firmware_file import Adapter, Board, Hat, Uart
from edge_agent.model.points import Bus, Serial, Site
from edge_agent.model.serial_ports import USB

HEAD = "# Written by `edge-agent image render` for site {site}, gateway {gateway}, {board}."


@dataclass(frozen=True, slots=True)
class BoundAdapter:
    """A USB adapter of this site: `/dev/edge-<bus>` will lead to it."""

    bus: str
    adapter: Adapter
    key: str
    """Its serial number, or the port's path (`1-1.2:1.0`) where the chip has none."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that decides what is rendered."""

    board: Board
    site: Site
    hat: Hat | None = None
    choices: Mapping[str, str] | None = None
    adapters: tuple[BoundAdapter, ...] = ()
    cmdline: str | None = None
    """The present content of cmdline.txt."""
    console: str = "none"
    """The serial console that is wanted (`serial0`), or `none`."""


def render(wanted: Wanted, units: Mapping[str, str]) -> dict[str, str]:
    """Path below the root of the image -> content. units: the packaged systemd files by their path below `systemd/`.

    Raises ProblemError with every conflict at once: CFG101 console on a bus's UART, CFG102 parity on a UART without it,
    CFG103 cmdline.txt of more than one line, CFG105 HAT not made for the board, CFG106 unknown choice, CFG107 a bus that
    nothing here provides.
    """
    uarts = _uarts_in_use(wanted)
    problems = [*_check_hat(wanted), *_check_console(wanted, uarts), *_check_buses(wanted, uarts)]
    if problems:
        raise ProblemError(problems)
    boot = wanted.board.boot.path.strip("/")
    head = HEAD.format(site=wanted.site.site, gateway=wanted.site.gateway, board=wanted.board.id)
    files = {f"{boot}/config.txt.add": _config_txt(wanted, uarts, head)}
    if wanted.cmdline is not None:
        files[f"{boot}/cmdline.txt"] = _cmdline(wanted.cmdline, wanted.console, uarts)
    if wanted.adapters:
        files["etc/udev/rules.d/70-edge-serial.rules"] = _udev(wanted.adapters, head)
        files["etc/udev/rules.d/78-mm-edge-ignore.rules"] = _modem_manager(wanted.adapters, head)
    if wanted.board.watchdog is not None:
        watchdog = wanted.board.watchdog
        limits = f"RuntimeWatchdogSec={watchdog.runtime_s}\nRebootWatchdogSec={watchdog.reboot_s}\n"
        files["etc/systemd/system.conf.d/10-edge.conf"] = f"{head}\n[Manager]\n{limits}"
    files["etc/systemd/journald.conf.d/10-edge.conf"] = f"{head}\n[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n"
    files["etc/systemd/system/edge-agent.service"] = units["edge-agent.service"]
    files["usr/lib/sysusers.d/waterworks-edge.conf"] = units["sysusers.d/waterworks-edge.conf"]
    files["usr/lib/tmpfiles.d/waterworks-edge.conf"] = units["tmpfiles.d/waterworks-edge.conf"]
    files["STEPS.txt"] = _steps(wanted, uarts, boot, head)
    return dict(sorted(files.items()))


def _uarts_in_use(wanted: Wanted) -> list[Uart]:
    """The board's UARTs that the HAT or a bus of the site takes."""
    by_hat = {port.uart for port in wanted.hat.ports} if wanted.hat else set()
    ports = {bus.link.port for bus in _serial_buses(wanted.site)}
    return [uart for uart in wanted.board.uarts if uart.id in by_hat or uart.node in ports]


def _serial_buses(site: Site) -> list[Bus]:
    """Those whose port is a device file: the others need nothing of the image."""
    return [bus for bus in site.buses if isinstance(bus.link, Serial) and not ("://" in (p := bus.link.port) or p.startswith(USB))]


def _check_hat(wanted: Wanted) -> list[Problem]:
    if wanted.hat is None:
        return []
    problems = []
    hat, board = wanted.hat, wanted.board
    if board.id not in hat.boards:
        do = f"choose one of its boards: {', '.join(hat.boards)}."
        problems.append(Problem("CFG105", f"hat {hat.id}", f"It is not described for board {board.id}.", do))
    choices = {choice.id: choice for choice in hat.choices}
    for name, value in (wanted.choices or {}).items():
        if name not in choices:
            problems.append(Problem("CFG106", f"hat {hat.id}", f"It has no choice {name!r}.", f"choices: {', '.join(choices)}."))
        elif value not in choices[name].values:
            do = f"read it on the board; one of: {', '.join(choices[name].values)}."
            problems.append(Problem("CFG106", f"hat {hat.id} / {name}", f"{value!r} is not one of its values.", do))
    return problems


def _check_console(wanted: Wanted, uarts: Sequence[Uart]) -> list[Problem]:
    problems = []
    for uart in uarts:
        if wanted.console in uart.consoles:
            what = (
                f"The serial console {wanted.console} is on {uart.node}, which a bus uses: boot text would go to the instruments."
            )
            problems.append(Problem("CFG101", f"board {wanted.board.id} / uart {uart.id}", what, "render without --console."))
    if wanted.cmdline is not None and len(wanted.cmdline.strip().splitlines()) != 1:
        do = "put everything on one line; the kernel reads only the first."
        problems.append(Problem("CFG103", "cmdline.txt", "It must be exactly one line.", do))
    return problems


def _check_buses(wanted: Wanted, uarts: Sequence[Uart]) -> list[Problem]:
    problems = []
    bound = {f"/dev/edge-{adapter.bus}" for adapter in wanted.adapters}
    hat_nodes = {port.node for port in wanted.hat.ports if port.node} if wanted.hat else set()
    given = bound | hat_nodes | {uart.node for uart in uarts}
    lacking = {u.shipped.node: u for u in wanted.board.uarts if u.shipped and "parity" in u.shipped.lacks}
    for bus in _serial_buses(wanted.site):
        assert isinstance(bus.link, Serial)  # noqa: S101 - _serial_buses gives no other
        where = f'site {wanted.site.site} / bus "{bus.id}"'
        if bus.link.port in lacking and bus.link.parity != "N":
            do = f"use {lacking[bus.link.port].node}, which this command sets up."
            problems.append(Problem("CFG102", where, f"{bus.link.port} is a mini UART: it has no parity.", do))
        elif bus.link.port not in given:
            nodes = ", ".join(sorted(given)) or "none"
            do = f"use one of: {nodes}; for a USB adapter give --adapter {bus.id}=CHIP:SERIAL and port /dev/edge-{bus.id}."
            problems.append(Problem("CFG107", where, f"Neither board, HAT nor adapter provides {bus.link.port}.", do))
    return problems


def _config_txt(wanted: Wanted, uarts: Sequence[Uart], head: str) -> str:
    lines = [line for uart in uarts for line in uart.config]
    if wanted.hat is not None:
        lines += wanted.hat.config
        for choice in wanted.hat.choices:
            value = (wanted.choices or {}).get(choice.id, choice.default)
            lines += [line.replace("{" + choice.id + "}", value) for line in choice.config]
    if wanted.board.watchdog is not None:
        lines += wanted.board.watchdog.config
    return "\n".join([head, "[all]", *dict.fromkeys(lines)]) + "\n"


def _cmdline(present: str, console: str, uarts: Sequence[Uart]) -> str:
    taken = {name for uart in uarts for name in uart.consoles}
    words = [word for word in present.split() if not (word.startswith("console=") and word[8:].split(",")[0] in taken)]
    if console != "none":
        words = [f"console={console},115200", *(w for w in words if not w.startswith(f"console={console}"))]
    return " ".join(words) + "\n"


def _udev(adapters: Sequence[BoundAdapter], head: str) -> str:
    lines = [head, "# Reload: udevadm control --reload-rules && udevadm trigger"]
    for bound in adapters:
        usb = bound.adapter.usb
        if bound.adapter.bind_by == "serial":
            match = f'ATTRS{{idVendor}}=="{usb.vendor}", ATTRS{{idProduct}}=="{usb.product}", ATTRS{{serial}}=="{bound.key}"'
        else:
            match = f'KERNELS=="{bound.key}", DRIVERS=="{usb.driver}"'
        lines.append(f'SUBSYSTEM=="tty", {match}, SYMLINK+="edge-{bound.bus}", ENV{{ID_MM_DEVICE_IGNORE}}="1"')
    return "\n".join(lines) + "\n"


def _modem_manager(adapters: Sequence[BoundAdapter], head: str) -> str:
    ids = dict.fromkeys((bound.adapter.usb.vendor, bound.adapter.usb.product) for bound in adapters)
    rules = [f'ATTRS{{idVendor}}=="{v}", ATTRS{{idProduct}}=="{p}", ENV{{ID_MM_DEVICE_IGNORE}}="1"' for v, p in ids]
    about = "# ModemManager must not send AT commands to the instruments."
    return "\n".join([head, about, 'ACTION!="add|change|move", GOTO="edge_mm_end"', *rules, 'LABEL="edge_mm_end"']) + "\n"


def _steps(wanted: Wanted, uarts: Sequence[Uart], boot: str, head: str) -> str:
    """What a technician does with the files, zh and en."""
    disable = [unit for uart in uarts for unit in uart.disable]
    mask = [uart.getty for uart in uarts if uart.getty]
    added = f"grep -q 'edge-agent image render' /{boot}/config.txt"
    commands = [f"{added} || cat {boot}/config.txt.add >> /{boot}/config.txt"]
    if wanted.cmdline is None:
        names = " ".join(f"console={name},..." for uart in uarts for name in uart.consoles)
        if names:
            commands.append(f"# /{boot}/cmdline.txt: remove {names}, keep it one line")
    else:
        commands.append(f"cp {boot}/cmdline.txt /{boot}/cmdline.txt")
    commands += ["cp -r etc usr /"]
    commands += [f"systemctl disable {unit} || true" for unit in disable]
    commands += [f"systemctl mask {unit}" for unit in mask]
    commands += ["systemd-sysusers && systemd-tmpfiles --create", "systemctl enable edge-agent.service", "reboot"]
    zh = "# 在网关上以 root 在本目录中依次执行（启动分区在 Bookworm 之前是 {old}）："
    en = "# Run on the gateway as root, in this folder, one after the other (boot partition before Bookworm: {old}):"
    old = wanted.board.boot.before_bookworm
    return "\n".join([head, zh.format(old=old), en.format(old=old), *commands]) + "\n"
