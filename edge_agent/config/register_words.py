"""Pure. Words of printed register tables, in Chinese and English: heads of columns, data types, units, names of quantities."""

from __future__ import annotations

import re
from typing import Literal

from edge_agent.model.points import RawType, Table, WordOrder

Column = Literal[
    "id", "name", "name_zh", "name_en", "address", "type", "order", "scale", "offset", "unit", "table", "access", "note"
]

_HEADS: dict[Column, str] = {
    "id": "id|point id|标识",
    "name": "name|point|parameter|signal|variable|tag|item|data item|"
    "名称|参数|参数名称|数据名称|信号|变量|点位|数据项|测点|测点名称|项目",
    "name_zh": "name zh|chinese|chinese name|zh|中文|中文名|中文名称",
    "name_en": "name en|english|english name|en|英文|英文名|英文名称",
    "address": "address|addr|register|reg|register address|start address|modbus address|register no|register number|"
    "地址|寄存器地址|寄存器|起始地址|数据地址|寄存器编号",
    "type": "type|datatype|data type|format|data format|类型|数据类型|格式|数据格式",
    "order": "order|word order|byte order|endian|字节序|字序|字节顺序",
    "scale": "scale|factor|multiplier|ratio|resolution|gain|scaling|coefficient|系数|倍率|比例|分辨率|倍数|换算|换算系数|比例系数",
    "offset": "offset|偏移|偏移量",
    "unit": "unit|units|单位",
    "table": "table|function|function code|fc|func|功能码|读功能码|寄存器类型|区|数据区",
    "access": "access|r/w|rw|read/write|读写|读写属性|读/写|属性|权限|访问",
    "note": "note|notes|description|remark|remarks|comment|说明|备注|描述|注释|含义",
}
COLUMN_OF: dict[str, Column] = {head: column for column, heads in _HEADS.items() for head in heads.split("|")}
"""Heads in small letters, words parted by one blank."""

TABLE_OF: dict[str, Table] = {
    "1": "coil", "coil": "coil", "coils": "coil", "0x": "coil", "do": "coil", "线圈": "coil",
    "2": "discrete", "discrete": "discrete", "discrete input": "discrete", "1x": "discrete", "di": "discrete",
    "离散输入": "discrete", "输入状态": "discrete", "离散量": "discrete",
    "3": "holding", "holding": "holding", "holding register": "holding", "4x": "holding", "hr": "holding", "保持寄存器": "holding",
    "4": "input", "input": "input", "input register": "input", "3x": "input", "ir": "input", "输入寄存器": "input",
}  # fmt: skip

_ORDER_OF: dict[str, WordOrder] = {
    "abcd": "ABCD", "big": "ABCD", "be": "ABCD", "msb": "ABCD", "big endian": "ABCD", "1234": "ABCD",
    "大端": "ABCD", "高字在前": "ABCD",
    "cdab": "CDAB", "swapped": "CDAB", "inverse": "CDAB", "word swap": "CDAB", "3412": "CDAB", "低字在前": "CDAB",
    "badc": "BADC", "byte swap": "BADC", "2143": "BADC",
    "dcba": "DCBA", "little": "DCBA", "le": "DCBA", "lsb": "DCBA", "little endian": "DCBA", "4321": "DCBA", "小端": "DCBA",
}  # fmt: skip

_UNITS = """
℃=degC, °c=degC, c=degC, 度=deg, °=deg, %rh=%, rh%=%, rh=%, m³/h=m3/h, m^3/h=m3/h, 立方米/小时=m3/h, 立方米/时=m3/h,
吨/小时=m3/h, 升/秒=l/s, 升/分=l/min, m³=m3, m^3=m3, 立方米=m3, 吨=t, 伏=V, 安=A, 千瓦=kW, 瓦=W, 千瓦时=kWh, 赫兹=Hz,
米=m, 毫米=mm, 厘米=cm, 兆帕=MPa, 千帕=kPa, 帕=Pa, 巴=bar, 转/分=rpm, r/min=rpm, 小时=h, 分钟=min, 分=min, 秒=s,
毫克/升=mg/l, ppm=mg/l, mg/l=mg/l, ug/l=ug/l, μs/cm=uS/cm, us/cm=uS/cm, ms/cm=mS/cm, ntu=NTU, ph=pH, 欧=Ohm, 欧姆=Ohm,
毫安=mA, db=dB(A), 百分比=%, hrs=h, hours=h, hour=h, sec=s, kvar=kvar, kva=kVA
"""
_BY_HAND = (
    (
        re.compile(r"string|char|ascii|text|字符|文本"),
        "take a text in by hand: `type: text` with `length`, its number of registers.",
    ),
    (
        re.compile(r"(u|s)?int8|byte|字节|8位|8bit"),
        "take half a register in by hand: `type: u8` or `s8`, with `half: high` or `low`.",
    ),
    (re.compile(r"bit|位|bool"), "take a bit of a register in by hand: `type: u16` with `bit: 3`."),
)
_UNIT_OF = dict(cell.split("=") for cell in _UNITS.strip().replace("\n", " ").split(", "))
_NO_UNIT = frozenset(("", "-", "--", "/", "none", "无", "n/a", "na", "1"))

_QUANTITIES = """
total=累计|累积|总, flow=流量, instant=瞬时, velocity=流速, volume=体积|水量, level=液位|水位|料位,
pressure=压力|水压, temperature=温度|水温, humidity=湿度, voltage=电压, current=电流, power=功率,
energy=电能|电度|电量, frequency=频率, speed=转速|速度, torque=转矩|力矩, factor=因数, active=有功, reactive=无功,
apparent=视在, a=a相, b=b相, c=c相, state=状态, fault=故障, alarm=报警|告警, code=代码|码, running=运行, time=时间,
hours=小时, turbidity=浊度, chlorine=余氯|氯, ph=酸碱度, conductivity=电导率, oxygen=溶解氧, inlet=进口|进水,
outlet=出口|出水, set=设定|设置|给定, max=最大|上限, min=最小|下限, battery=电池, signal=信号, valve=阀门|阀,
opening=开度, pump=水泵|泵, motor=电机|电动机, wind=风, direction=方向|向, noise=噪声, rain=雨量, forward=正向,
reverse=反向, bus=母线, output=输出, input=输入, leakage=漏电, line=线, phase=相, address=地址, zero=零点, range=量程,
value=值
"""
_PAIRS = [cell.split("=") for cell in _QUANTITIES.strip().replace("\n", " ").split(", ")]
_WORD_OF = {zh: en for en, words in _PAIRS for zh in words.split("|")}
_KNOWN = re.compile("|".join(sorted(map(re.escape, _WORD_OF), key=len, reverse=True)) + "|[a-z0-9.]+")
_ZH_OF = {en: words.split("|")[0] for en, words in _PAIRS}

_BITS = re.compile(r"(8|16|32|48|64)")
_ORDER_AT_END = re.compile(
    r"[\s_(,-]*(abcd|cdab|badc|dcba|1234|3412|2143|4321|inversed?|swap(?:ped)?|word[ -]swap|byte[ -]swap"
    r"|big[ -]endian|little[ -]endian|大端|小端|高字在前|低字在前)\)?$"
)
_OF_TYPES = re.compile(
    r"unsigned|signed|无符号|有符号|integer|udint|dint|usint|sint|uint|int|ushort|short|ulong|long|udword|dword|qword|word"
    r"|lfloat|float|lreal|real|single|double|ieee-?754|ieee|浮点数|浮点型|浮点|单精度|双精度|长整型|长整数|短整型|整型|整形|整数|整|bcd码|bcd"
    r"|boolean|bool|coil|开关量|布尔|bits|bit|位数|位|数|型|registers?|number|[usif]|8|16|32|48|64|1"
)
"""All that a data type may be said with; what is left over would be lost."""


def type_of(text: str) -> tuple[RawType, WordOrder | None] | None:
    """Raw type (and order, where it is said with it) of words such as `UINT16`, `float CDAB`, `32位浮点`; None: not understood."""
    word = text.lower().strip()
    order: WordOrder | None = None
    if match := _ORDER_AT_END.search(word):
        order = _order_word(match[1])
        word = word[: match.start()]
    if _OF_TYPES.sub("", re.sub(r"[\s_()-]+", "", word)):
        return None
    word = re.sub(r"[\s_()-]+", "", word)
    found = _BITS.search(word)
    bits = int(found[1]) if found else 0
    made: str | None = None
    if any(name in word for name in ("float", "real", "浮点", "single", "ieee", "精度")) or re.fullmatch(r"f(32|64)", word):
        made = "f64" if bits == 64 or "lreal" in word or "double" in word or "双精度" in word else "f32"
    elif "double" in word:
        made = "f64"
    elif "bcd" in word:
        made = {0: "bcd16", 16: "bcd16", 32: "bcd32", 48: "bcd48"}.get(bits)
    elif word in ("bool", "bit", "boolean", "coil", "开关量", "布尔", "位", "1bit"):
        made = "bool"
    elif bits != 8:
        made = _integer(word, bits)
    return (made, order) if made is not None else None  # type: ignore[return-value]  # only names of RawType are made


def _integer(word: str, bits: int) -> str | None:
    unsigned = "无符号" in word or "unsigned" in word or re.match(r"(u|dword|word|qword|ulong|udint|ushort)", word) is not None
    signed = "有符号" in word or "signed" in word or re.match(r"(s|i|int|dint|long|short|整|长整|短整)", word) is not None
    if not bits:
        if "longlong" in word:
            bits = 64
        elif re.match(r"(udint|dword|ulong|unsignedlong|dint|long|udword|uint32|长整|无符号长整|有符号长整)", word):
            bits = 32
        elif word.startswith("qword"):
            bits = 64
        elif re.match(r"(uint|word|ushort|int|short|unsigned|signed|无符号|有符号|整|短整)", word):
            bits = 16
    if not bits or not (signed or unsigned):
        return None
    return f"{'u' if unsigned else 's'}{bits}"


def _order_word(word: str) -> WordOrder:
    if "swap" in word:
        return "BADC" if word.startswith("byte") else "CDAB"
    return _ORDER_OF[word.removesuffix("d").replace("-", " ") if word.startswith("inverse") else word.replace("-", " ")]


def by_hand(text: str) -> str:
    """The mend for a type that a table cannot say and a profile can; empty for any other."""
    word = text.lower().replace(" ", "")
    return next((do for pattern, do in _BY_HAND if pattern.search(word)), "")


def order_of(text: str) -> WordOrder | None:
    """Order of words such as `CDAB`, `little endian`, `大端`; None: not understood."""
    return _ORDER_OF.get(re.sub(r"[\s_-]+", " ", text.lower()).strip())


def unit_of(text: str) -> str:
    """The unit as the list of units spells it, as far as it is known here; else the text itself. Empty for a pure number."""
    bare = text.strip()
    if bare.lower() in _NO_UNIT:
        return ""
    return _UNIT_OF.get(bare.lower(), bare)


def english(name: str) -> str:
    """English words of a name: those it has, and what stands in the list of quantities; empty where nothing is known of it."""
    return " ".join(_WORD_OF.get(word, word) for word in _KNOWN.findall(name.lower()))


def chinese(name: str) -> str:
    """Chinese words of an English name; empty where one of its words is not in the list of quantities."""
    words = [_ZH_OF.get(word, word if word.isdigit() else "") for word in re.findall(r"[a-z]+|\d+", name.lower())]
    return "".join(words) if words and all(words) else ""
