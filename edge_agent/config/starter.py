"""Pure. The profile that `edge-agent profile new` writes: whole and valid, to be filled in."""

from __future__ import annotations

from edge_agent.config.register_table import quoted

_TEXT = """\
# {title_en}
# Fill in the lines marked with <--, then: edge-agent profile test {name}
# All keys are explained in docs/profiles.md. Numbers never begin with a zero; hexadecimal is written 0x1F.
profile: 1
maker: {maker}                       # <-- as printed on the nameplate
model: {model}
title: {{zh: {title_zh}, en: {title_en}}}
source: ["manual, page"]          # <-- manual and page that the addresses were taken from
verified: false                   # true when two values were compared with the display of the instrument
protocol: modbus

# What the instrument comes with; compared with the settings of the bus.
serial: {{baudrate: 9600, parity: N, stopbits: 1, unit: 1}}    # <--

# How it wants to be asked; leave out what the manual does not say.
# requests: {{max_registers: 32, pause: 50 ms, timeout: 1 s}}

period: 10 s                      # how often its points are read

points:                           # one entry for each quantity
  - id: value                     # <-- small letters, digits, hyphens; never changes once it is in use
    name: {{zh: 测量值, en: measured value}}
    table: holding                # function 3: holding, 4: input, 1: coil, 2: discrete
    address: 0                    # <-- wire address, counts from 0: 40001 is 0
    type: u16                     # one register: u16 s16 f16 bcd16, two: u32 s32 f32 bcd32, three: u48 s48 bcd48
    #                               four: u64 s64 f64 bcd64, parts: u8 s8 bcd8 u24 s24 bcd24, a coil or input: bool
    #                               text (with length: 8, its number of registers)
    # order: CDAB                 # two registers with the low word first
    scale: 0.1                    # raw 253 means 25.3
    # unit: degC                  # edge-agent names the list where it does not know one
    # role: room.temperature      # what it means in the process; warnings come from roles
    # limits: {{range_low: -40, range_high: 85}}
"""


def starter_text(name: str, *, title_zh: str, title_en: str) -> str:
    """A profile to fill in. name: `maker/model`."""
    maker, _, model = name.partition("/")
    return _TEXT.format(name=name, maker=quoted(maker), model=quoted(model), title_zh=quoted(title_zh), title_en=quoted(title_en))
