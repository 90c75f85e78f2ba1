"""Does I/O: makes docs/problems.md of the areas' pages in docs/problems.d. A test compares."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """# Problems and what mends them

Every message for people carries a code. This page explains each: what it means, what to do.

每条提示都有代码，本页说明含义和处理办法。

A command's exit code follows from the code's class: `USE` 2 (usage), `TRY` 75 (try again), `CFG` 78 (configuration), others 1.

"""
TITLES = {
    "ACC": "Account / 账目",
    "BAK": "Backups / 备份",
    "BRK": "Embedded broker / 内置消息服务",
    "BUS": "Buses and devices / 总线与设备",
    "CFG": "Configuration / 配置",
    "COL": "Collector / 采集端",
    "LOG": "Log / 日志库",
    "NET": "Link to the broker / 与消息服务的连接",
    "NOT": "Notifications / 通知",
    "OPS": "Warnings and acts / 告警与处理",
    "OUT": "Outbox / 发件箱",
    "PRF": "Proof of profiles / 模板的证明",
    "RUL": "Rules / 规则",
    "RUN": "Running agent / 运行中的代理",
    "STO": "Stores / 时序库",
    "TRY": "Try again / 稍后再试",
    "USE": "Usage / 用法",
    "WRT": "Writing to devices / 写入设备",
    "WEB": "Page and REST / 网页与接口",
}


def sections() -> dict[str, str]:
    """Text of each code's section. Raises ValueError for a code that stands twice."""
    found: dict[str, str] = {}
    for page in sorted((DOCS / "problems.d").glob("*.md")):
        for part in re.split(r"^(?=### [A-Z]{3}\d{3})", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            code = part[4:10]
            if code in found:
                raise ValueError(f"{code} stands twice, again in {page.name}")
            found[code] = part.strip() + "\n"
    return found


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    area = ""
    for code, text in sorted(sections().items()):
        if code[:3] != area:
            area = code[:3]
            parts.append(f"## {TITLES[area]}\n\n")
        parts.append(text + "\n")
    return "".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    (DOCS / "problems.md").write_text(page(), encoding="utf-8")
