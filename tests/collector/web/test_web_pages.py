"""The pages as HTML: what stands on them, in both languages, and what everybody needs to use them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import httpx
import pytest

from collector.domain.series import Sample
from collector.intake.day_account import DayAccount
from collector.web.language import TEXTS
from tests.support.web_fakes import CURRENT, HOSTILE, NOW_MS, Station, served, station

CHART = "/sites/shuanghe/gw-1/pump-1/current"
PAGES = ["/", "/sites/shuanghe", "/sites/xinzhai", "/sites/bridge-7", CHART, "/warnings", "/warnings/pump-dry-7f3a", "/nowhere"]
VOID = {"meta", "link", "input", "br", "img", "rect", "line", "circle", "path"}


class Tree(HTMLParser):
    """Every element with its attributes and text; open ones must be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(" ".join(data.split()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def tree(http: httpx.Client, path: str, language: str) -> Tree:
    return Tree(http.get(path, headers={"accept-language": language}).text)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", PAGES)
def test_what_everybody_needs(http: httpx.Client, path: str, language: str) -> None:
    page = tree(http, path, language)
    assert page.all("html")[0]["lang"] == {"zh": "zh-CN", "en": "en"}[language]
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    assert len(page.all("title")) == 1
    assert page.all("meta")[1]["content"] == "width=device-width, initial-scale=1"
    labels = {attributes["for"] for attributes in page.all("label")}
    fields = [one for one in page.all("input") + page.all("textarea") if one.get("type") != "hidden"]
    assert all(field["id"] in labels for field in fields)
    for picture in page.all("svg"):
        assert picture.get("aria-hidden") == "true" or picture.get("aria-label") or picture.get("class") == "lines"
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}, tag
        assert not re.match(r"(https?:)?//", attributes.get("href") or attributes.get("src") or "/"), "nothing from outside"
    assert all(one.get("src") for one in page.all("script")), "no inline script"
    assert not page.all("style")


@pytest.mark.parametrize("path", PAGES)
def test_english_pages_speak_english(http: httpx.Client, path: str) -> None:
    texts = [one for one in tree(http, path, "en").texts if one not in {"中文"} and "王建国" not in one and "李雪梅" not in one]
    assert [one for one in texts if re.search(r"[\u4e00-\u9fff]", one)] == []


def test_sites_in_words(http: httpx.Client) -> None:
    texts = tree(http, "/", "zh").texts
    assert [one for one in texts if one in {"红色告警", "网关失联", "未接入", "正常"}] == ["红色告警", "网关失联", "未接入", "正常"]
    assert "红色 1" in texts
    assert "最近通信 刚刚" in " ".join(texts)


def test_site_says_what_was_lost(http: httpx.Client, here: Station) -> None:
    assert "lost" not in " ".join(tree(http, "/sites/shuanghe", "en").texts)
    here.accounts = [
        DayAccount("shuanghe", "gw-1", "2026-04-30", received=10, lost=3, lost_readings=70),
        DayAccount("shuanghe", "gw-1", "2026-04-01", lost=100),
        DayAccount("qingshan", "gw-2", "2026-04-30", lost=100),
    ]
    told = "In the last 7 days 3 batches were lost, 70 readings of them known; charts have holes there."
    assert told in tree(http, "/sites/shuanghe", "en").texts
    assert "近 7 天有 3 批数据丢失" in " ".join(tree(http, "/sites/shuanghe", "zh").texts)


def test_site_shows_values_with_units(http: httpx.Client) -> None:
    english = " ".join(tree(http, "/sites/shuanghe", "en").texts)
    assert "Pump 1 current just now 3.1 A" in english
    assert "Tank level just now 2.95 m" in english
    assert "Drive fault code just now 7 underload (running dry)" in english
    chinese = " ".join(tree(http, "/sites/shuanghe", "zh").texts)
    assert "水泵运行 刚刚 开" in chinese
    assert "开始 09:35 · 已发出，无人接单" in chinese, "times are the site's own"


def test_old_readings_are_called_old(http: httpx.Client) -> None:
    texts = " ".join(tree(http, "/sites/qingshan", "en").texts)
    assert "Gateway gw-2 has been silent" in texts
    assert "Old 2 h ago" in texts


def test_quality_is_told_in_words(http: httpx.Client) -> None:
    assert "Doubtful: beyond the instrument's range" in tree(http, "/sites/bridge-7", "en").texts


def test_names_are_text_and_never_markup(http: httpx.Client) -> None:
    for path in ("/sites/bridge-7", "/sites/bridge-7/gw-9/mast-1/wind"):
        text = http.get(path).text
        assert HOSTILE not in text
        assert "&lt;script&gt;" in text


def test_chart_has_limits_gap_and_bad_band(http: httpx.Client) -> None:
    page = tree(http, CHART, "en")
    kinds = [attributes["class"] for attributes in page.all("rect")]
    assert {"gap", "bad"} <= set(kinds)
    picture = next(one for one in page.all("svg") if one.get("role") == "img")
    assert picture["aria-label"].startswith("Chart of Pump 1 current with times without data: lowest 0.0 A, highest 12.9 A")  # type: ignore[union-attr]
    assert "Low limit 6 A" in page.texts
    path = next(one["d"] for one in page.all("path") if one.get("class") == "line")
    assert path is not None
    assert path.count("M") == 3, "one line before the gap, one to the bad readings, one after them"
    assert "NaN" not in path


@pytest.mark.parametrize(("hours", "chosen"), [("6", "6 h"), ("24", "24 h"), ("", "3 d"), ("168", "7 d"), ("30", "3 d")])
def test_chart_choices(http: httpx.Client, hours: str, chosen: str) -> None:
    text = http.get(f"{CHART}?lang=en" + (f"&hours={hours}" if hours else "")).text
    assert f'aria-current="true">{chosen}</a>' in text


@pytest.mark.parametrize("query", ["hours=0", "hours=9999", "hours=x", "end=never", "mark=x"])
def test_chart_parameters_are_bounded(http: httpx.Client, query: str) -> None:
    answer = http.get(f"{CHART}?{query}")
    assert answer.status_code == 422
    assert "WEB910" in answer.text


@pytest.mark.parametrize(
    ("language", "words"), [("zh", "时间在将来（2027-05-01 10:00）"), ("en", "In the future (2027-05-01 10:00)")]
)
@pytest.mark.parametrize("path", ["/sites/shuanghe", CHART])
def test_a_value_of_the_future_says_so(path: str, language: str, words: str) -> None:
    behind = station()
    behind.store.samples[CURRENT] = [Sample(NOW_MS + 365 * 86_400_000, 7.3, 0)]
    with served(behind.parts()) as url:
        text = httpx.get(url + path, headers={"accept-language": language}).text
    assert words in text
    assert re.search(r'class="(value|latest) faded"><b>7\.3', text)


def test_chart_of_the_past_and_back(http: httpx.Client) -> None:
    text = http.get(f"{CHART}?lang=en&hours=6&end=2026-04-29T00:00:00Z&mark=2026-04-28T22:00:00Z").text
    assert "04-29 02:00" in text
    assert "Warning began" in text
    assert 'rel="next"' in text


def test_evidence_leads_to_the_chart(http: httpx.Client) -> None:
    page = tree(http, "/warnings/pump-dry-7f3a", "en")
    links = [one["href"] or "" for one in page.all("a") if "mark=" in (one.get("href") or "")]
    assert len(links) == 2, "a series that is gone has no link"
    answer = http.get(links[0])
    assert answer.status_code == 200
    assert 'class="when"' in answer.text
    assert "tank-1 · Tank level" in page.texts


@pytest.mark.parametrize(("language", "words"), [("zh", ["静默", "6 秒"]), ("en", ["silent for", "6 s"])])
def test_evidence_of_a_link_is_in_words(language: str, words: list[str]) -> None:
    behind = station()
    behind.operations.all["silent-aa01"] = replace(behind.operations.all["silent-aa01"], evidence=(("silence_s", "6.369"),))
    with served(behind.parts()) as url, httpx.Client(base_url=url, trust_env=False) as client:
        page = tree(client, "/warnings/silent-aa01", language)
    assert words == [text for text in page.texts if text in words]
    assert not any("silence_s" in text for text in page.texts)


@pytest.mark.parametrize(
    ("path", "name", "why"),
    [
        (f"{CHART}?end=abc", "end", "须为 1970 至 2100 年间带时区的时间"),
        (f"{CHART}?mark=abc", "mark", "须为 1970 至 2100 年间带时区的时间"),
        (f"{CHART}?hours=abc", "hours", "须为整数"),
        (f"{CHART}?hours=999", "hours", "不得大于 168"),
        ("/warnings?site=No%20Id", "site", "含有不允许的字符"),
        ("/warnings?show=xxx", "show", "只能是 open, past, all"),
        ("/warnings?state=xxx", "state", "只能是 raised, acknowledged"),
        ("/warnings?cursor=x", "cursor", "不是上一页给出的续页标记"),
    ],
)
def test_a_wrong_parameter_is_named_in_chinese(http: httpx.Client, path: str, name: str, why: str) -> None:
    answer = http.get(path, headers={"accept-language": "zh"})
    assert answer.status_code == 422
    assert f"参数“{name}”不可用：{why}" in answer.text


def test_warnings_by_state(http: httpx.Client) -> None:
    text = http.get("/warnings?state=acknowledged&lang=en").text
    assert "chlorine-low-19c2" in text
    assert "pump-dry-7f3a" not in text


def test_not_found_is_friendly(http: httpx.Client) -> None:
    answer = http.get("/sites/nowhere?lang=zh")
    assert answer.status_code == 404
    assert "没有叫“nowhere”的站点" in answer.text
    assert 'href="/"' in answer.text


def test_language_by_header_cookie_and_wish(http: httpx.Client) -> None:
    assert 'lang="zh-CN"' in http.get("/").text
    assert 'lang="en"' in http.get("/", headers={"accept-language": "de,en;q=0.5"}).text
    assert 'lang="zh-CN"' in http.get("/", headers={"accept-language": "en;q=0.4,zh-TW;q=0.9"}).text
    wished = http.get("/?lang=en")
    assert wished.cookies["ww_lang"] == "en"
    assert 'lang="en"' in http.get("/").text, "the cookie stays"
    assert 'href="/warnings?show=past&amp;lang=zh"' in http.get("/warnings?show=past").text


@pytest.fixture
def fresh() -> Iterator[tuple[Station, httpx.Client]]:
    here = station()
    with served(here.parts()) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield here, client


def form(http: httpx.Client, id: str) -> dict[str, str]:
    page = tree(http, f"/warnings/{id}", "zh")
    return {str(one["name"]): str(one.get("value") or "") for one in page.all("input")}


def test_acknowledge_and_close_by_form(fresh: tuple[Station, httpx.Client]) -> None:
    here, http = fresh
    sent = http.post(
        "/warnings/pump-dry-7f3a", data={**form(http, "pump-dry-7f3a"), "who": "王建国", "what": "acknowledge", "note": ""}
    )
    assert (sent.status_code, sent.headers["location"]) == (303, "/warnings/pump-dry-7f3a?done=acknowledge")
    after = http.get(sent.headers["location"], headers={"accept-language": "zh"}).text
    assert "已接单。请先做下面这一步。" in after
    assert "已接单，处理中" in after
    assert form(http, "pump-dry-7f3a")["who"] == "王建国", "the name is remembered"
    twice = http.post("/warnings/pump-dry-7f3a", data={**form(http, "pump-dry-7f3a"), "what": "acknowledge"})
    assert twice.status_code == 409
    assert "已有人接单" in twice.text
    early = http.post("/warnings/pump-dry-7f3a", data={**form(http, "pump-dry-7f3a"), "what": "close"})
    assert early.status_code == 409
    assert [act.what for act in here.operations.acts("pump-dry-7f3a")] == ["acknowledge"]
    closed = http.post("/warnings/chlorine-low-19c2", data={**form(http, "chlorine-low-19c2"), "what": "close", "note": "换了药"})
    assert closed.status_code == 303
    assert here.operations.all["chlorine-low-19c2"].closed_by == "王建国"
    assert "换了药" in http.get("/warnings/chlorine-low-19c2").text


def test_reading_changes_nothing(fresh: tuple[Station, httpx.Client]) -> None:
    here, http = fresh
    before = dict(here.operations.all)
    for path in [*PAGES, "/warnings/pump-dry-7f3a?done=acknowledge&what=acknowledge&who=x", "/warnings?show=all"]:
        http.get(path)
        http.head(path)
    assert here.operations.all == before


def test_an_empty_county_says_what_comes_next() -> None:
    here = station()
    here.county = type(here.county)(here.county.name)
    here.store.infos, here.pulses, here.operations.all = [], [], {}
    with served(here.parts()) as url:
        assert "还没有站点" in httpx.get(url, trust_env=False).text


def test_every_text_that_templates_and_code_name_exists() -> None:
    folder = resources.files("collector.web")
    sources = [entry.read_text(encoding="utf-8") for entry in (folder / "templates").iterdir()]
    sources += [entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.name.endswith(".py")]
    named = {key for source in sources for key in re.findall(r'(?:\bt\(|say\(language, )"([a-z][\w.-]+)"', source)}
    assert len(named) > 60
    whole = {key for key in named if not key.endswith((".", "-"))}
    assert whole <= set(TEXTS)
    for beginning in named - whole:
        assert any(key.startswith(beginning) for key in TEXTS), beginning


def test_pages_say_the_same_moment(http: httpx.Client) -> None:
    assert NOW_MS == 1_777_600_800_000
    assert "04-28 10:00" in http.get(CHART).text


def test_who_did_what(http: httpx.Client) -> None:
    texts = " ".join(tree(http, "/warnings/chlorine-low-19c2", "zh").texts)
    assert "05:10 系统 发出告警" in texts
    assert "06:40 李雪梅 接单 正在路上" in texts
