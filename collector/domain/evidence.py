"""Pure. A line of evidence as people read it: what a link rule saw has a name of its own, everything else that of its series."""

from __future__ import annotations

from edge_agent.contract.message import Text

_NAMES = {
    "silence_s": Text("静默", "silent for"),
    "behind": Text("尚未送达", "not delivered yet"),
    "lost": Text("丢失", "lost"),
    "online": Text("在线", "online"),
}
_SECONDS_UP_TO_S = 120


def evidence_text(name: str, showed: str) -> tuple[Text, Text]:
    """Name and value of one entry of `Warning.evidence` in both languages; a series keeps its path and value as they are."""
    if name not in _NAMES:
        return Text(name, name), Text(showed, showed)
    try:
        number = float(showed)
    except ValueError:
        return _NAMES[name], Text(showed, showed)
    return _NAMES[name], _value(name, number)


def _value(name: str, number: float) -> Text:
    if name == "online":
        return Text("是", "yes") if number else Text("否", "no")
    if name != "silence_s":
        return Text(f"{number:.0f} 条", f"{number:.0f} messages")
    if number < _SECONDS_UP_TO_S:
        return Text(f"{number:.0f} 秒", f"{number:.0f} s")
    return Text(f"{number / 60:.0f} 分钟", f"{number / 60:.0f} min")
