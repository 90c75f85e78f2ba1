"""Pure. Roles: what a quantity means in the process, from a closed list. Failure rules speak of roles (DESIGN.md section 2).

Each role names the dimension of its unit (see `units.py`) and what it means in zh and en.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Role:
    """One role. dimension: as in `units.UNITS`; `state` for bool, code and bit points."""

    name: str
    dimension: str
    zh: str
    en: str


_TABLE = """
pump.current|current|水泵电流|pump motor current
pump.current-l1|current|水泵A相电流|pump motor current, phase 1
pump.current-l2|current|水泵B相电流|pump motor current, phase 2
pump.current-l3|current|水泵C相电流|pump motor current, phase 3
pump.power|power|水泵功率|pump power
pump.energy|energy|水泵电量|pump energy
pump.frequency|frequency|水泵频率|pump drive frequency
pump.frequency-set|frequency|水泵设定频率|pump drive frequency asked for
pump.speed|speed of rotation|水泵转速|pump speed
pump.running|state|水泵运行|pump running
pump.command|state|水泵启动指令|pump start command
pump.fault|state|水泵故障|pump fault
pump.starts|none|水泵启动次数|pump starts
pump.hours|time|水泵运行时间|pump running hours
pump.temperature|temperature|水泵温度|pump or motor temperature
pump.vibration|velocity|水泵振动|pump vibration
pump.leakage|current|水泵漏电流|pump leakage current
pump.insulation|resistance|水泵绝缘电阻|pump insulation
pump.inlet-pressure|pressure|泵前压力|pump inlet pressure
pump.outlet-pressure|pressure|泵后压力|pump outlet pressure
pump.flow|volume flow|水泵流量|pump flow
drive.fault|state|变频器故障代码|drive fault code
drive.state|state|变频器状态|drive state
drive.bus-voltage|voltage|变频器母线电压|drive DC bus voltage
drive.output-voltage|voltage|变频器输出电压|drive output voltage
drive.temperature|temperature|变频器温度|drive heat sink temperature
mains.voltage|voltage|市电电压|mains voltage
mains.voltage-l1|voltage|A相电压|mains voltage, phase 1
mains.voltage-l2|voltage|B相电压|mains voltage, phase 2
mains.voltage-l3|voltage|C相电压|mains voltage, phase 3
mains.current|current|总电流|mains current
mains.frequency|frequency|市电频率|mains frequency
mains.power|power|总功率|total power
mains.power-factor|none|功率因数|power factor
mains.energy|energy|总电量|total energy
mains.leakage|current|漏电流|leakage current
mains.present|state|市电正常|mains present
ups.on-battery|state|UPS电池供电|UPS on battery
ups.charge|ratio|UPS电量|UPS charge
battery.voltage|voltage|电池电压|battery voltage
solar.power|power|光伏功率|solar power
generator.state|state|发电机组状态|generator state
generator.voltage|voltage|发电机电压|generator voltage
generator.frequency|frequency|发电机频率|generator frequency
generator.power|power|发电机功率|generator power
generator.speed|speed of rotation|发电机组转速|generator engine speed
generator.fuel|ratio|燃油液位|generator fuel
generator.hours|time|发电机组运行时间|generator running hours
well.level|length|井水位|well level
tank.level|length|水池水位|tank level
tank.level-percent|ratio|水池水位百分比|tank level in percent
tank.float-high|state|高位浮球|high float switch
tank.float-low|state|低位浮球|low float switch
inlet.flow|volume flow|进水流量|inlet flow
inlet.total|volume|进水累计|inlet volume
inlet.pressure|pressure|进水压力|inlet pressure
outlet.flow|volume flow|出水流量|outlet flow
outlet.total|volume|出水累计|outlet volume
outlet.pressure|pressure|出水压力|outlet pressure
network.end-pressure|pressure|管网末梢压力|network end pressure
zone.flow|volume flow|分区流量|zone flow
valve.position|ratio|阀门开度|valve position
valve.command|ratio|阀门指令|valve command
filter.inlet-pressure|pressure|滤前压力|filter inlet pressure
filter.outlet-pressure|pressure|滤后压力|filter outlet pressure
filter.head-loss|pressure|过滤水头损失|filter head loss
filter.turbidity|turbidity|滤后浊度|filtered turbidity
filter.backwash|state|反冲洗状态|backwash state
dosing.running|state|加药泵运行|dosing pump running
dosing.flow|volume flow|加药流量|dosing flow
dosing.tank-level|length|药箱液位|chemical tank level
dosing.tank-percent|ratio|药箱余量|chemical tank in percent
dosing.strokes|none|加药泵冲程数|dosing strokes
dosing.fault|state|加药泵故障|dosing pump fault
water.turbidity|turbidity|浊度|turbidity
water.ph|acidity|pH|pH
water.chlorine|concentration|余氯|free chlorine
water.chlorine-dioxide|concentration|二氧化氯|chlorine dioxide
water.conductivity|conductivity|电导率|conductivity
water.redox|voltage|氧化还原电位|redox potential
water.temperature|temperature|水温|water temperature
water.dissolved-oxygen|concentration|溶解氧|dissolved oxygen
water.ammonia|concentration|氨氮|ammonia nitrogen
water.cod|concentration|化学需氧量|chemical oxygen demand
water.sample-flow|volume flow|取样流量|sample flow
gas.chlorine|concentration in air|氯气浓度|chlorine gas
room.flood|state|泵房积水|pump room flooded
room.door|state|门磁|door open
room.temperature|temperature|室温|room temperature
room.humidity|ratio|室内湿度|room humidity
weather.wind-speed|velocity|风速|wind speed
weather.wind-direction|angle|风向|wind direction
weather.rain|rain|雨强|rain intensity
weather.temperature|temperature|气温|air temperature
weather.humidity|ratio|空气湿度|air humidity
weather.pressure|pressure|大气压|air pressure
air.pm10|concentration in air|PM10|PM10
air.pm25|concentration in air|PM2.5|PM2.5
air.tsp|concentration in air|TSP|total suspended particles
noise.level|sound level|噪声|noise
crane.load|mass|起重量|crane load
crane.moment|ratio|起重力矩|crane moment
crane.wind|velocity|塔机风速|crane wind speed
crane.tilt|ratio|塔机垂直度|crane mast deviation
structure.tilt|angle|倾角|tilt
structure.settlement|length|沉降|settlement
structure.displacement|length|位移|displacement
structure.force|force|轴力|axial force
pit.water-level|length|基坑水位|pit water level
silo.level|ratio|料仓料位|silo level
curing.temperature|temperature|养护温度|curing room temperature
curing.humidity|ratio|养护湿度|curing room humidity
cable.temperature|temperature|电缆温度|cable temperature
gateway.temperature|temperature|网关温度|gateway temperature
gateway.signal|signal level|信号强度|signal strength
gateway.disk-free|ratio|磁盘剩余|disk free
gateway.backlog|none|待传数据|backlog
gateway.load|ratio|网关负载|gateway load
link.timeouts|none|超时次数|time-outs
link.errors|none|通信错误次数|line errors
link.exceptions|none|异常应答次数|exceptions
link.turnaround|time|应答时间|turn-around
link.turnaround-p95|time|应答时间（95%）|turn-around, 95th percentile
"""

ROLES: dict[str, Role] = {role.name: role for role in (Role(*line.split("|")) for line in _TABLE.strip().splitlines())}
"""By name."""
