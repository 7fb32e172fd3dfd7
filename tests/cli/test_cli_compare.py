"""``compare``: table, JSON, CSV and page say the same, as `wanbridge.money.comparison` does."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from wanbridge import config
from wanbridge.cli.report.amounts import Column
from wanbridge.cli.report.comparison import percent
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.money import comparison as compare
from wanbridge.money.exchange_rates import Rates
from wanbridge.sandbox import Sandbox

FRESH = "2026-11-20"
SOURCE = "https://prices.example/wan"

# Prices of our own: cheap and old, dear, in yuan. Crun has none; it and kie take no pixels.
PRICED = f"""
[providers.runware]
[providers.reapi]
[providers.gccai]
[providers.crun]
[providers.kie]
[[prices.runware.rows]]
model = "wan2.7-image"
amount = "0.05"
currency = "USD"
source = "{SOURCE}"
read = "{FRESH}"
confidence = "published"
[[prices.reapi.rows]]
model = "wan2.7-image"
amount = "0.04"
currency = "USD"
charging = "per_image_delivered"
source = "{SOURCE}"
read = "2020-01-01"
assumes = ["a <b>guess</b> & more"]
[[prices.gccai.rows]]
model = "wan2.7-image"
amount = "0.30"
currency = "CNY"
source = "{SOURCE}/cny"
read = "{FRESH}"
confidence = "published"
"""
RATES = """
[rates]
base = "USD"
date = 2026-11-19
CNY = "0.1406"
"""
KNOWN = ("crun", "gccai", "runware", "reapi")
KITE = ("a red kite", "-n", 2, "--size", "1024x768")
IN_YUAN = ("--rate", "CNY=0.1406", "--rates-date", FRESH)
WORKLOAD = (
    '{"prompt": "a red kite", "n": 2}',
    "",
    '{"prompt": "a tin robot", "size": "1024x768", "n": 3}',
    '{"prompt": "a lighthouse", "negative_prompt": "fog"}',
)

MONEY: Any = {
    "type": ["object", "null"],
    "required": ["amount", "currency"],
    "properties": {"amount": {"type": "string"}, "currency": {"type": "string"}},
    "additionalProperties": False,
}
TEXT, DAY, COUNT = {"type": ["string", "null"]}, {"type": ["string", "null"]}, {"type": "integer"}
ORIGIN = {
    "source": TEXT,
    "read": DAY,
    "age_days": {"type": ["integer", "null"]},
    "confidence": TEXT,
    "assumes": {"type": "array", "items": {"type": "string"}},
}
BASIS = {
    "currency": {"type": "string"},
    "rates": {"type": "object", "required": ["base", "date"]},
    "date": {"type": "string"},
}


def closed(properties: Any) -> Any:
    """An object with exactly these members."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


QUOTE = closed(
    {
        "provider": {"type": "string"},
        "model": {"type": "string"},
        "amount": TEXT,
        "currency": TEXT,
        "credits": {"type": ["integer", "null"]},
        "in_currency": MONEY,
        **ORIGIN,
        "refused": TEXT,
    }
)
TOTAL = closed(
    {
        "provider": {"type": "string"},
        **dict.fromkeys(("requests", "images", "refused", "unknown", "unconverted"), COUNT),
        "amounts": {"type": "array", "items": MONEY},
        "in_currency": MONEY,
        **ORIGIN,
        "reasons": {
            "type": "array",
            "items": closed({"reason": {"type": "string"}, "requests": COUNT}),
        },
    }
)
OF_REQUEST = closed(
    {"request": {"type": "object"}, **BASIS, "quotes": {"type": "array", "items": QUOTE}}
)
OF_WORKLOAD = closed(
    {
        "workload": closed(
            {
                "file": {"type": "string"},
                **dict.fromkeys(("requests", "images", "nobody"), COUNT),
                "cheapest": MONEY,
            }
        ),
        **BASIS,
        "totals": {"type": "array", "items": TOTAL},
    }
)


@pytest.fixture
def priced(tmp_path: Path) -> Path:
    """A configuration with the prices above and no rates."""
    path = tmp_path / "priced.toml"
    path.write_text(PRICED)
    return path


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    path = tmp_path / "load.jsonl"
    path.write_text("\n".join(WORKLOAD))
    return path


class Page(HTMLParser):
    """An HTML page, read: every tag closed in order, its attributes, its text."""

    VOID = ("meta", "br")

    def __init__(self, file: str) -> None:
        super().__init__()
        self.source = Path(file).read_text("utf-8")
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(self.source)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())

    @property
    def chart(self) -> ElementTree.Element:
        [svg] = re.findall(r"<svg.*?</svg>", self.source, re.DOTALL)
        return ElementTree.fromstring(svg)


# -- numbers -----------------------------------------------------------------------------


def test_the_numbers_are_those_of_compare(run: Any, priced: Path) -> None:
    """The command adds nothing to them, and takes nothing away."""
    rates = Rates.of({"date": FRESH, "CNY": "0.1406"})
    settings = config.load(priced)
    quotes = compare.compare(
        settings.adapters,
        ImageRequest("a red kite", n=2, size="1024x768"),
        prices=settings.prices,
        rates=rates,
        today=datetime.now(UTC).date(),
    )

    ran = run("compare", *KITE, "--config", priced, *IN_YUAN, "--json")

    assert (0, "") == (ran.code, ran.err)
    shown = ran.json["quotes"]
    assert [q.provider for q in quotes] == [q["provider"] for q in shown]
    assert [q.amount for q in quotes] == [q["amount"] and Decimal(q["amount"]) for q in shown]
    common = [q["in_currency"] and Money(**q["in_currency"]) for q in shown]
    assert [q.in_currency for q in quotes] == common
    assert [q.refused for q in quotes] == [q["refused"] for q in shown]
    assert [list(q.assumes) for q in quotes] == [q["assumes"] for q in shown]


def test_the_json_has_the_promised_shape(run: Any, priced: Path) -> None:
    """Every member is there for every account, amounts as text, nothing else."""
    shown = run("compare", *KITE, "--config", priced, *IN_YUAN, "--json").json

    Draft202012Validator(OF_REQUEST).validate(shown)
    assert {"base": "USD", "date": FRESH, "CNY": "0.1406"} == shown["rates"]
    assert "USD" == shown["currency"]
    assert {"prompt": "a red kite", "n": 2, "size": {"width": 1024, "height": 768}} == shown[
        "request"
    ]
    first, *_, last = shown["quotes"]
    assert ("reapi", "0.08") == (first["provider"], first["amount"])
    assert {"amount": "0.08", "currency": "USD"} == first["in_currency"]
    assert (datetime.now(UTC).date() - date(2020, 1, 1)).days - first["age_days"] in (0, 1)
    assert last["refused"].startswith("size: ")


def test_what_is_unknown_is_null_and_not_zero(run: Any, priced: Path) -> None:
    """A price watcher's script would take zero for the cheapest."""
    words = ("compare", "a kite", "--config", priced, "--provider", "crun")

    [quote] = run(*words, "--json").json["quotes"]
    [row] = csv.DictReader(io.StringIO(run(*words, "--csv").out))

    assert (None, None) == (quote["amount"], quote["in_currency"])
    assert ("", "", "") == (row["rank"], row["amount"], row["common_amount"])
    assert "crun     unknown" in re.sub(" +", "     ", run(*words).out)


def test_csv_is_a_row_for_each_account(run: Any, priced: Path) -> None:
    """RFC 4180, read back by the same rules; the order and the ranks are those of the table."""
    ran = run("compare", *KITE, "--config", priced, *IN_YUAN, "--csv")

    rows = list(csv.DictReader(io.StringIO(ran.out, newline="")))
    assert (0, "") == (ran.code, ran.err)
    assert 6 == ran.out.count("\r\n")
    assert ["1", "2", "3", "", ""] == [row["rank"] for row in rows]
    assert ["reapi", "gccai", "runware", "crun", "kie"] == [row["provider"] for row in rows]
    assert ["0.08", "0.60", "0.10"] == [row["amount"] for row in rows[:3]]
    assert ["0.08", "0.084360", "0.10"] == [row["common_amount"] for row in rows[:3]]
    assert "a <b>guess</b> & more | price read 2020-01-01" in rows[0]["assumes"]
    assert rows[4]["refused"]


def test_ties_share_a_rank(run: Any, priced: Path) -> None:
    """Nobody is second for the order of the configuration."""
    priced.write_text(PRICED.replace('"0.04"', '"0.05"'))

    rows = csv.DictReader(
        io.StringIO(run("compare", *KITE, "--config", priced, *IN_YUAN, "--csv").out)
    )

    assert [("gccai", "1"), ("runware", "2"), ("reapi", "2")] == [
        (row["provider"], row["rank"]) for row in rows if row["rank"]
    ]


# -- the table ---------------------------------------------------------------------------


def test_the_table_needs_neither_key_nor_network_nor_rates(run: Any) -> None:
    """Every provider there is, whom none was named; foreign prices are listed, not compared."""
    ran = run("compare", "a red kite", "-n", 2)

    assert (0, "") == (ran.code, ran.err)
    for said in ("reapi", "dashscope", "0.40  CNY", "unknown", "cheapest", "in USD"):
        assert said in ran.out
    assert "without a rate for CNY" in ran.out
    assert "--rate CNY=..." in ran.out


def test_the_table_fits_a_narrow_terminal(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 80 columns each account has one line; sources may be longer, to stay whole."""
    monkeypatch.setenv("COLUMNS", "80")

    table = run("compare", "a red kite", "-n", 2, *IN_YUAN).out.partition("\n\n")[0].splitlines()

    assert 8 == len(table)
    assert max(map(len, table)) <= 80
    points = {line.index(".") for line in table[1:] if "USD" in line or "CNY" in line}
    assert 1 == len(points)


def test_the_table_says_what_each_amount_rests_on(run: Any, priced: Path) -> None:
    """Footnotes, refusals with their reason, rates with their day, sources with theirs."""
    ran = run("compare", *KITE, "--config", priced, *IN_YUAN).out

    assert re.search(r"1 reapi +0\.08 USD +0\.08000 cheapest reported +2020-01-01 old +1, 2", ran)
    assert re.search(r"2 gccai +0\.60 CNY +0\.08436 +\+5\.5%", ran)
    assert re.search(r"3 runware +0\.10 USD +0\.10000 +\+25%", ran)
    assert "1  a <b>guess</b> & more" in ran
    assert re.search(r"cannot take it\n(.*\n)*kie +size: 1024x768 cannot be said", ran)
    assert f"rates of {FRESH}: 1 CNY = 0.1406 USD" in ran
    assert f"gccai: {SOURCE}/cny, read {FRESH}" in ran


def test_differences_are_rounded_for_the_eye_and_never_to_nothing() -> None:
    """Whoever is a little dearer is not the same."""
    said = {"0": "cheapest", "0.01": "+<0.1%", "0.44": "+0.4%", "9.96": "+10%", "66.6667": "+67%"}

    assert said == {over: percent(Decimal(over)) for over in said}
    assert "+5%" == percent(Decimal("5.04"))
    assert "" == percent(None)


def test_amounts_are_rounded_up_and_only_beyond_six_places() -> None:
    """Never cheaper than it is; what a price file says is shown to its last digit."""
    column = Column.of([Money("0.0000011", "CNY"), Money("0.02376", "USD"), Money(8, "X-CREDITS")])

    assert column.rounded
    assert "0.000002 CNY" == column.text(Money("0.0000011", "CNY"))
    assert "0.02376 USD" == column.text(Money("0.02376", "USD"))
    assert "8 X-CREDITS" == column.text(Money(8, "X-CREDITS"))
    assert not Column.of([Money("0.5", "USD")]).rounded
    assert "0.50 USD" == Column.of([Money("0.5", "USD")]).text(Money("0.5", "USD"))


def test_a_division_by_a_rate_is_said_to_be_rounded(run: Any, priced: Path) -> None:
    """In the table and on the page; programs get every digit."""
    words = ("compare", *KITE, "--config", priced, "--currency", "CNY", *IN_YUAN)

    ran, shown = run(*words, "--html", "k.html"), run(*words, "--json").json

    assert "amounts in CNY are rounded up; --json has every digit" in ran.out
    assert "Amounts in CNY are rounded up." in Page("k.html").text
    assert "0.568990043" == shown["quotes"][0]["in_currency"]["amount"]
    assert "0.568991" in ran.out


# -- rates, accounts ---------------------------------------------------------------------


def test_rates_come_from_the_configuration(run: Any, priced: Path) -> None:
    """With their day."""
    priced.write_text(PRICED + RATES)

    shown = run("compare", *KITE, "--config", priced, "--json").json

    assert {"base": "USD", "date": "2026-11-19", "CNY": "0.1406"} == shown["rates"]
    assert {"amount": "0.084360", "currency": "USD"} == shown["quotes"][1]["in_currency"]


def test_rates_by_flag_stand_in_the_place_of_the_configured_ones(run: Any, priced: Path) -> None:
    """All of them, since there is one day for all; the base stays."""
    priced.write_text(PRICED + RATES + 'EUR = "1.08"\n')

    given = ("--rate", "cny=0.2", "--rates-date", FRESH)
    shown = run("compare", *KITE, "--config", priced, *given, "--json").json

    assert {"base": "USD", "date": FRESH, "CNY": "0.2"} == shown["rates"]


def test_rates_without_a_day_are_of_today_and_say_so(run: Any) -> None:
    """Someone may look at the page next year."""
    today = datetime.now(UTC).date()

    ran = run("compare", "a kite", "--rate", "CNY=0.14")

    days = (today, today + timedelta(days=1))  # midnight may come between
    assert any(f"rates of {day}, today, as no day was given: 1 CNY" in ran.out for day in days)


def test_the_configured_base_is_what_is_compared_in(run: Any, priced: Path) -> None:
    """Unless a flag says otherwise."""
    rates = '[rates]\nbase = "CNY"\ndate = 2026-11-19\nUSD = "7.1"\n'
    priced.write_text(PRICED + rates)
    words = ("compare", *KITE, "--config", priced, "--json")

    usual, asked = run(*words).json, run(*words, "--currency", "usd").json

    assert ("CNY", "0.568") == (usual["currency"], usual["quotes"][0]["in_currency"]["amount"])
    assert ("USD", "0.08") == (asked["currency"], asked["quotes"][0]["in_currency"]["amount"])


def test_only_the_accounts_named_are_compared(run: Any, priced: Path) -> None:
    """Each once, however often it is named."""
    names = ("--provider", "kie", "--provider", "runware", "--provider", "kie")

    shown = run("compare", "a kite", "--config", priced, *names, "--json").json

    assert {"kie", "runware"} == {quote["provider"] for quote in shown["quotes"]}
    assert 2 == len(shown["quotes"])


def test_a_field_that_may_be_dropped_refuses_nobody(run: Any, priced: Path) -> None:
    """As everywhere else."""
    words = ("compare", "a kite", "--negative-prompt", "fog", "--config", priced, "--json")

    def refused(*more: str) -> int:
        return sum(quote["refused"] is not None for quote in run(*words, *more).json["quotes"])

    assert refused() > 0
    assert 0 == refused("--may-drop", "negative_prompt")


def test_a_limit_that_is_not_checked_refuses_nobody(run: Any, priced: Path, tmp_path: Path) -> None:
    """For one request and for a workload."""
    request = ImageRequest("a kite", size="8192x8192")
    one, many = tmp_path / "one.json", tmp_path / "many.jsonl"
    one.write_text(request.to_json())
    many.write_text(request.to_json())
    names = ("--config", priced, "--provider", "runware", "--json")

    for words in (("--request", one), ("--requests", many)):
        strict, lax = (
            run("compare", *words, *names, *more).out for more in ((), ("--no-check-limits",))
        )
        assert "8192x8192" in strict.partition('"runware"')[2]
        assert "8192x8192" not in lax.partition('"runware"')[2]


def test_live_asks_who_estimates(run: Any, world: Sandbox, configure: Any) -> None:
    """Crun has no price list; its estimate is for exactly this request, and buys nothing."""
    file = configure(world, "crun")
    words = ("compare", "a kite", "--config", file, "--json")

    [usual], [live] = (run(*w).json["quotes"] for w in (words, (*words, "--live")))

    assert usual["amount"] is None
    assert Decimal(live["amount"]) > 0
    assert "its live estimate for exactly this request" in live["assumes"]
    assert [] == world.ledger()["charges"]


# -- a workload --------------------------------------------------------------------------


def test_a_workload_is_summed_for_each_account(run: Any, priced: Path, workload: Path) -> None:
    """As `wanbridge.money.comparison.workload` does, in the promised shape."""
    settings = config.load(priced)
    requests = [ImageRequest.from_json(line) for line in WORKLOAD if line]
    load = compare.workload(
        settings.adapters,
        requests,
        prices=settings.prices,
        rates=Rates.of({"date": FRESH, "CNY": "0.1406"}),
        today=datetime.now(UTC).date(),
    )
    words = ("compare", "--requests", workload, "--config", priced, *IN_YUAN)

    shown = run(*words, "--json").json

    Draft202012Validator(OF_WORKLOAD).validate(shown)
    assert (3, 6, 0) == tuple(shown["workload"][n] for n in ("requests", "images", "nobody"))
    assert load.cheapest == Money(**shown["workload"]["cheapest"])
    assert [(t.provider, t.requests, t.refused, t.unknown) for t in load.totals] == [
        (t["provider"], t["requests"], t["refused"], t["unknown"]) for t in shown["totals"]
    ]
    assert [t.in_currency for t in load.totals] == [
        t["in_currency"] and Money(**t["in_currency"]) for t in shown["totals"]
    ]
    assert [[why for why, _ in t.reasons] for t in load.totals] == [
        [each["reason"] for each in t["reasons"]] for t in shown["totals"]
    ]


def test_a_part_of_a_workload_has_no_rank(run: Any, priced: Path, workload: Path) -> None:
    """Its sum is smaller because less is in it."""
    words = ("compare", "--requests", workload, "--config", priced, *IN_YUAN)

    rows = {r["provider"]: r for r in csv.DictReader(io.StringIO(run(*words, "--csv").out))}
    ran = run(*words, "--html", "load.html")

    assert ("1", "0.24", "USD") == tuple(rows["reapi"][n] for n in ("rank", "amount", "currency"))
    assert ("", "0.25", "1") == tuple(rows["runware"][n] for n in ("rank", "amount", "refused"))
    assert re.search(r"- runware +0\.25 USD +0\.25", ran.out)
    assert re.search(r"runware +takes 2 of 3 requests +\n +1 request: negative_prompt: ", ran.out)
    assert "3 requests, 6 pictures in" in ran.out
    assert "each where it is cheapest: 0.24 USD" in ran.out
    page = Page("load.html")
    assert "takes 2 of 3 requests" in page.text
    assert "the same as at one account" in page.text
    assert "load.jsonl" in page.text


@pytest.mark.parametrize(
    ("lines", "providers", "said"),
    [
        (["standard", "pro"], ["runware", "reapi"], "0.09 USD 10% less than at one account"),
        (["standard", "fog"], ["runware"], "unknown 1 request that no account can take"),
        (["standard"], ["gccai"], "unknown some request has no price that can be compared"),
        (["pixels", "fog"], ["kie", "runware", "reapi"], "0.08 USD the same as at one account"),
        (["png", "fog"], ["runware", "reapi"], "0.09 USD no single account can do all"),
    ],
)
def test_the_page_says_what_dividing_a_workload_brings(
    run: Any, priced: Path, lines: list[str], providers: list[str], said: str
) -> None:
    """Each request where it is cheapest, against the cheapest that takes all."""
    known = {
        "standard": {},
        "pro": {"model": "wan2.7-image-pro"},
        "pixels": {"size": "1024x768"},
        "fog": {"negative_prompt": "fog"},
        "png": {"output_format": "png"},
    }
    Path("l.jsonl").write_text("\n".join(json.dumps({"prompt": "p", **known[n]}) for n in lines))
    rows = "".join(
        f'[[prices.{name}.rows]]\nmodel = "wan2.7-image-pro"\namount = "{amount}"\n'
        f'currency = "USD"\ncharging = "per_image_delivered"\n'
        for name, amount in (("runware", "0.05"), ("reapi", "0.10"))
    )
    priced.write_text(PRICED + rows)
    names = [word for name in providers for word in ("--provider", name)]

    run("compare", "--requests", "l.jsonl", "--config", priced, *names, "--html", "l.html")

    assert f"each request where it is cheapest {said}" in Page("l.html").text


def test_a_line_that_is_wrong_is_named(run: Any) -> None:
    """With the number it has in the file; empty lines count there, and only there."""
    Path("r.jsonl").write_text('{"prompt": "a kite"}\n\n{"prompt": "a kite", "n": 9}\n')
    Path("cut.jsonl").write_text('{"prompt": "a kite"')

    wrong, cut = (run("compare", "--requests", name) for name in ("r.jsonl", "cut.jsonl"))

    assert (2, "") == (wrong.code, wrong.out)
    assert wrong.lines[0].startswith("wanbridge: r.jsonl:3: $.n: 9 ")
    assert cut.lines[0].startswith("wanbridge: cut.jsonl:1: $: not JSON")


# -- the page ----------------------------------------------------------------------------


def test_the_page_needs_nothing_from_elsewhere(run: Any, priced: Path) -> None:
    """No request of any kind when it is opened: only a link leads out, if someone follows it."""
    run("compare", *KITE, "--config", priced, *IN_YUAN, "--html", "kite.html")

    page = Page("kite.html")

    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "use"}
    loads = [a for tag, a in page.tags if {"src", "srcset", "xlink:href"} & set(a)]
    assert [] == loads
    assert {"a"} == {tag for tag, a in page.tags if "://" in str(a.values())}
    hrefs = [str(a["href"]) for tag, a in page.tags if tag == "a"]
    assert {SOURCE, f"{SOURCE}/cny"} == {href for href in hrefs if not href.startswith("#")}
    [style] = re.findall(r"<style>.*?</style>", page.source, re.DOTALL)
    assert not re.search(r"url\(|@import|://", style)
    assert "prefers-color-scheme: dark" in style
    [policy] = [a["content"] for _, a in page.tags if "http-equiv" in a]
    assert "default-src 'none'; style-src 'unsafe-inline'" == policy


def test_the_page_says_what_the_table_says(run: Any, priced: Path) -> None:
    """What was asked, amounts, differences, reasons, rates, sources and days."""
    ran = run("compare", *KITE, "--seed", 7, "--config", priced, *IN_YUAN, "--html", "kite.html")

    text = Page("kite.html").text
    assert "page: kite.html" in ran.out
    for said in (
        *("a red kite", "model wan2.7-image", "pictures 2", "size 1024x768", "seed 7"),
        *("cheapest 0.08 USD reapi", "dearest 0.10 USD runware, +25%", "accounts 3 of 5"),
        *("gccai 0.60", "0.08436", "+5.5%", "2020-01-01 old", "published", "reported"),
        *("a <b>guess</b> & more", f"Rates of {FRESH}: 1 CNY = 0.1406 USD."),
        *("kie size: 1024x768 cannot be said", f"read {FRESH}", "by wanbridge"),
    ):
        assert said in text
    links = [a for tag, a in Page("kite.html").tags if tag == "a"]
    targets = {f"#{a['id']}" for tag, a in Page("kite.html").tags if tag == "li"}
    assert {"#note-1", "#note-2"} == targets & {a["href"] for a in links}


def test_the_chart_is_for_those_who_do_not_see_it_too(run: Any, priced: Path) -> None:
    """Named, with every amount as text; what is not known has no bar, rather than an empty one."""
    names = (word for name in KNOWN for word in ("--provider", name))
    run("compare", "a kite", "-n", 2, "--config", priced, *names, "--html", "kite.html")

    chart = Page("kite.html").chart

    assert "img" == chart.attrib["role"]
    title, summary = (chart.find(name) for name in ("title", "desc"))
    assert title is not None
    assert summary is not None
    assert f"{title.attrib['id']} {summary.attrib['id']}" == chart.attrib["aria-labelledby"]
    assert "Cost at each account in USD" == title.text
    assert (
        "reapi: 0.08 USD, cheapest; runware: 0.10 USD, +25%; gccai: 0.60 CNY, no rate; "
        "crun: price unknown"
    ) == summary.text
    widths = [
        [bar.attrib["width"] for bar in group.findall("rect") if bar.attrib["class"] == "fill"]
        for group in chart.findall("g")
    ]
    assert [["80.00%"], ["100.00%"], [], []] == widths


def test_nothing_from_outside_becomes_markup(run: Any, priced: Path) -> None:
    """Prompts, names and prices are written by others."""
    evil = """</blockquote><script>alert("1")</script><img src=x onerror='a'>&amp;\x1b[0m"""
    Path("r.json").write_text(json.dumps({"prompt": evil, "negative_prompt": evil, "size": "2K"}))

    run("compare", "--request", "r.json", "--config", priced, "--html", "evil.html")

    page = Page("evil.html")
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]
    assert evil.replace("\x1b", "\ufffd") in page.text
    assert "\x1b" not in page.source
    assert "<b>guess" not in page.source


def test_a_source_that_is_no_page_is_no_link(run: Any, priced: Path) -> None:
    """Prices of one's own may name none."""
    priced.write_text(PRICED.replace(f'source = "{SOURCE}"\n', ""))

    run("compare", *KITE, "--config", priced, "--html", "kite.html")

    page = Page("kite.html")
    assert "configuration" in page.text
    assert {f"{SOURCE}/cny"} == {
        href for tag, a in page.tags if tag == "a" and (href := str(a["href"]))[:1] != "#"
    }


def test_the_page_shows_every_field_that_is_set(run: Any, priced: Path) -> None:
    """Links without their signature, pictures without their bytes."""
    request = ImageRequest(
        "bluer",
        images=[
            {"url": "https://a.example/1.png?signature=very-secret", "regions": [[1, 2, 30, 40]]},
            {"url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="},
            {"ref": {"runware": "uuid-4"}},
        ],
        color_palette=[("#1E2A39", "34"), ("#C6A15B", "26"), ("#E8E2D6", "40")],
        watermark=True,
        thinking=False,
        callback_url="https://b.example/hook?token=very-secret",
        extra={"runware": {"acceleration": "high"}},
    )
    Path("r.json").write_text(request.to_json())

    run("compare", "--request", "r.json", "--config", priced, "--html", "blue.html")

    text = Page("blue.html").text
    for said in (
        "images https://a.example/1.png, data:image/png;base64,… (46 characters), uuid-4 at",
        *("regions 1: [1, 2, 30, 40]", "palette #1E2A39 34.00%, #C6A15B 26.00%, #E8E2D6 40.00%"),
        *("watermark yes", "thinking no", "callback https://b.example/hook"),
        'extra {"runware": {"acceleration": "high"}}',
    ):
        assert said in text
    assert "very-secret" not in text


def test_a_page_is_not_replaced_without_being_told(run: Any, priced: Path) -> None:
    """And found out before anything is compared."""
    Path("kite.html").write_text("mine")
    words = ("compare", *KITE, "--config", priced, "--html", "kite.html")

    refused = run(*words)

    assert (2, "") == (refused.code, refused.out)
    assert ["wanbridge: kite.html exists", "  --force replaces it"] == refused.lines
    assert "mine" == Path("kite.html").read_text()
    assert 0 == run(*words, "--force").code
    assert "a red kite" in Page("kite.html").text
    assert ["kite.html", "priced.toml"] == sorted(path.name for path in Path().iterdir())


def test_json_stays_alone_on_standard_output_beside_a_page(run: Any, priced: Path) -> None:
    """A script reads it."""
    ran = run("compare", *KITE, "--config", priced, "--json", "--html", "kite.html")

    assert ran.json["quotes"]
    assert "" == ran.err
    assert Page("kite.html")


def test_a_page_without_any_price_says_so(run: Any, priced: Path) -> None:
    """Nobody can take it: there is nothing to draw, and every reason to name."""
    Path("r.json").write_text('{"images": ["https://a.example/1.png"], "size": "99x9000"}')
    names = ("--provider", "runware", "--provider", "kie")
    words = ("compare", "--request", "r.json", "--config", priced, *names)

    ran = run(*words, "--html", "none.html")

    page = Page("none.html")
    assert 0 == ran.code
    assert "<svg" not in page.source
    assert "cheapest unknown no account has a price that can be compared" in page.text
    assert "accounts 0 of 2" in page.text
    for told in (page.text, " ".join(ran.out.split())):
        assert "99x9000" in told
        assert "cannot take it runware" in told.lower()


def test_pictures_are_named_by_their_digest(run: Any) -> None:
    """A list of prices has no use for their bytes."""
    picture = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="
    words = ("compare", "bluer", "--image", picture, "--provider", "reapi", "--json")

    [image] = run(*words).json["request"]["images"]

    assert "sha256" in image
    assert "base64" not in image


def test_a_key_is_on_no_page(run: Any, tmp_path: Path) -> None:
    """A prompt or a price may quote it by mistake."""
    file = tmp_path / "keys.toml"
    file.write_text(
        '[providers.runware]\napi_key = "rw-very-secret-4711"\n[[prices.runware.rows]]\n'
        'model = "wan2.7-image"\namount = "1"\ncurrency = "USD"\n'
        'assumes = ["no discount for rw-very-secret-4711"]\n'
    )
    file.chmod(0o600)
    words = ("compare", "draw rw-very-secret-4711", "--config", file)

    outs = [run(*words, *more).out for more in (("--html", "k.html"), ("--json",), ("--csv",))]

    assert "very-secret" not in "".join((*outs, Path("k.html").read_text()))


# -- what can go wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--provider", "nobody"], "no account is called 'nobody'; there are: runware, reapi"),
        (["--rate", "CNY=abc"], "--rate: 'CNY=abc' does not say what one is worth in USD"),
        (["--rate", "CNY"], "--rate: 'CNY' does not say"),
        (["--rate", "CNY=0"], "--rate: CNY: '0'; a rate is above zero"),
        (["--rate", "YUAN=0.14"], "--rate: YUAN: 'YUAN' is not a currency code"),
        (["--rate", "USD=1"], "--rate: USD: is the base"),
        (["--rate", "CNY=1", "--rate", "cny=2"], "--rate: CNY stands twice"),
        (["--rates-date", FRESH], "--rates-date: there is no --rate"),
        (["--rate", "CNY=1", "--rates-date", "soon"], 'unable to convert "soon" into date'),
        (["--currency", "dollars"], "--currency: 'dollars' is not a currency code like 'USD'"),
        (["--json", "--csv"], "--json and --csv both go to standard output; give one"),
        (["--html", "gone/kite.html"], "gone: there is no such directory"),
        (["--html", "."], "--html: . is not the name of a file"),
        (["--html=-"], "--html: - is not the name of a file"),
        (["--may-drop", "colour"], "$.may_drop: colour cannot be dropped"),
        (["--config", "gone.toml"], "gone.toml: No such file or directory"),
        (["--requests", "r.jsonl"], "--requests and a prompt: each line of the file is a whole"),
    ],
)
def test_a_flag_that_is_wrong_says_so(run: Any, words: list[str], said: str) -> None:
    """In one line, before anything is compared."""
    ran = run("compare", "a kite", *words)

    assert (2, "") == (ran.code, ran.out)
    assert said in ran.lines[0]
    assert len(ran.lines) <= 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--requests", "gone.jsonl"], "gone.jsonl: No such file or directory"),
        (["--requests", "empty.jsonl"], "empty.jsonl: there is no request in it"),
        (["--requests", "r.jsonl", "-n", "2", "--size", "2K"], "--requests and -n, --size: each"),
        (["--requests", "r.jsonl", "--live"], "--live asks about one request"),
        (["--requests", "r.jsonl", "--may-drop", "colour"], "wanbridge: $.may_drop: colour"),
        (["--config", "none.toml", "--requests", "r.jsonl"], "there is no account to compare"),
    ],
)
def test_a_workload_that_cannot_be_compared_says_why(run: Any, words: list[str], said: str) -> None:
    """An empty file is a mistake, not a workload that costs nothing."""
    Path("empty.jsonl").write_text("\n \n")
    Path("r.jsonl").write_text('{"prompt": "a kite"}\n')
    Path("none.toml").write_text("[client]\n")

    ran = run("compare", *words)

    assert (2, "") == (ran.code, ran.out)
    assert said in ran.lines[0]


def test_csv_holds_no_formula(run: Any, tmp_path: Path) -> None:
    """What a spreadsheet would carry out stands there as text."""
    file = tmp_path / "accounts.toml"
    file.write_text('[providers."=HYPERLINK(1)"]\nadapter = "reapi"\n', "utf-8")

    ran = run("compare", "a kite", "--config", file, "--csv")

    (row,) = csv.DictReader(io.StringIO(ran.out, newline=""))
    assert "'=HYPERLINK(1)" == row["provider"]
