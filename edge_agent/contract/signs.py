"""Pure. Failure signs: what a fault code or status bit of a device speaks of, from a closed list."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edge_agent.contract.message import Text

_TABLE = """
air-lock|泵头有气|air in the pump head
analyser|分析仪故障|analyser at fault
battery-low|电池电量低|battery low
battery-worn|电池老化|battery worn out
blocked|堵转或卡死|blocked
calibration|需要校准|calibration due or failed
check-valve|止回阀泄漏|check valve leaks
chemical-low|药液不足|chemical low
clogged|堵塞|clogged
communication|通信中断|communication lost
cover-open|盖或门被打开|cover or door open
dead-head|闭阀运行|runs against a closed valve
diaphragm|隔膜破裂|diaphragm ruptured
dry-run|干转|runs dry
earth-fault|接地故障|earth fault
emergency-stop|急停|emergency stop
empty-pipe|空管|pipe empty
fan|风机故障|fan at fault
flooding|进水|flooding
gas-leak|气体泄漏|gas leaks
insulation|绝缘下降|insulation low
leakage|漏电|leakage current
level-high|液位过高|level too high
level-low|液位过低|level too low
low-flow|流量过低|flow too low
mains-lost|市电中断|mains lost
memory|存储器故障|memory at fault
no-sample-flow|无样水|no sample flow
over-current|过电流|over-current
over-pressure|压力过高|pressure too high
over-range|超出量程|outside the measuring range
over-speed|超速|over-speed
over-temperature|温度过高|too hot
over-voltage|过电压|over-voltage
overfeed|投加过量|overfed
overload|过载|overload
phase-imbalance|三相不平衡|phases out of balance
phase-loss|缺相|phase lost
phase-order|相序错误|wrong phase sequence
pipe-burst|爆管|pipe burst
power-supply|电源故障|power supply at fault
reverse-flow|反向流|flow runs backwards
sensor|传感器故障|sensor at fault
short-circuit|短路|short circuit
shutdown|故障停机|shut down by a fault
start-failed|启动失败|did not start
stop-failed|停车失败|did not stop
tamper|遭到拆动|tampered with
tilt|倾斜超限|tilted too far
under-current|电流过低|under-current
under-pressure|压力过低|pressure too low
under-temperature|温度过低|too cold
under-voltage|欠电压|under-voltage
valve|阀门故障|valve at fault
vibration|振动过大|vibrates too much
wiring|接线断开|wire broken
"""

SIGNS: Mapping[str, Text] = MappingProxyType(
    {name: Text(zh, en) for name, zh, en in (line.split("|") for line in _TABLE.strip().splitlines())}
)
"""By name: what it says to people."""
