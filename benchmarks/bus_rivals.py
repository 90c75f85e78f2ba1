"""Does I/O: plain loops with other Modbus masters, as their tutorials show them.

    python bus_rivals.py NAME PORT BAUD SECONDS UNITS

Runs alone, so that it can be run by the Python that has the package. Prints JSON: every value read as [unit, address, value].
"""

from __future__ import annotations

import json
import sys
import time

COUNT = 10


def pymodbus_loop(port: str, baudrate: int, until: float, asks: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """The synchronous client of pymodbus with its defaults."""
    from pymodbus.client import ModbusSerialClient
    from pymodbus.exceptions import ModbusException

    client = ModbusSerialClient(port, baudrate=baudrate)
    client.connect()
    found = []
    while time.monotonic() < until:
        for unit, address in asks:
            try:
                reply = client.read_holding_registers(address, count=COUNT, device_id=unit)
            except ModbusException:
                client.connect()
                continue
            if not reply.isError():
                found += [(unit, address + i, word) for i, word in enumerate(reply.registers)]
    client.close()
    return found


def minimalmodbus_loop(port: str, baudrate: int, until: float, asks: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """minimalmodbus, an instrument for each unit, with a timeout of a second as ours."""
    import minimalmodbus

    made = {unit: minimalmodbus.Instrument(port, unit) for unit, _ in asks}
    for each in made.values():
        each.serial.baudrate, each.serial.timeout = baudrate, 1.0
    found = []
    while time.monotonic() < until:
        for unit, address in asks:
            try:
                words = made[unit].read_registers(address, COUNT)
            except OSError:
                continue
            except ValueError:
                continue
            found += [(unit, address + i, word) for i, word in enumerate(words)]
    return found


if __name__ == "__main__":
    name, port, baud, seconds, units = sys.argv[1:]
    loops = {"pymodbus": pymodbus_loop, "minimalmodbus": minimalmodbus_loop}
    asked = [(int(unit), address) for unit in units.split(",") for address in (0, 200)]
    print(json.dumps(loops[name](port, int(baud), time.monotonic() + float(seconds), asked)))
