"""A comparison as one HTML page: nothing is loaded from elsewhere, and no script is needed.

Styles and frame stand in ``page.html``; what is said stands here, in `chart` and in `rows`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from string import Template

from wanbridge.cli.report.amounts import Column
from wanbridge.cli.report.chart import chart
from wanbridge.cli.report.comparison import (
    Comparison,
    counted,
    lacking_title,
    percent,
    rate_sentences,
)
from wanbridge.cli.report.markup import card, escaped, facts, pairs, section
from wanbridge.cli.report.rows import table
from wanbridge.model.brief import brief_url
from wanbridge.model.inputs import InputImage
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.money.comparison import Workload
from wanbridge.version import __version__

_TITLE_MOST = 60

_WORDS = {
    "n": "pictures",
    "sequential": "set",
    "color_palette": "palette",
    "output_format": "format",
    "callback_url": "callback",
}


def page(comparison: Comparison) -> str:
    """The whole page."""
    template = resources.files("wanbridge.cli.report") / "page.html"
    title, heading = _titles(comparison)
    return Template(template.read_text("utf-8")).substitute(
        version=escaped(__version__),
        title=escaped(title),
        heading=escaped(heading),
        day=escaped(comparison.basis.day.isoformat()),
        body="\n".join(_body(comparison)),
    )


def _titles(comparison: Comparison) -> tuple[str, str]:
    """Of the window, and of the page."""
    if not isinstance(comparison.asked, ImageRequest):
        return f"{comparison.asked} - wanbridge compare", "What this workload costs, and where"
    prompt = " ".join(comparison.asked.prompt.split()) or "Images"
    short = prompt if len(prompt) <= _TITLE_MOST else f"{prompt[: _TITLE_MOST - 1]}…"
    return f"{short} - wanbridge compare", "What this request costs, and where"


def _body(comparison: Comparison) -> Iterator[str]:
    yield _asked(comparison)
    yield _key_figures(comparison)
    if comparison.capable:
        code = comparison.basis.currency
        yield card(f"Cost in {code}", chart(comparison))
        yield card("Accounts", table(comparison))
    if lacking := comparison.lacking:
        reasons = {e.provider: map(escaped, (*e.missing, *e.reasons)) for e in lacking}
        yield card(_capital(lacking_title(comparison)), pairs(reasons))
    if comparison.assumptions:
        yield card("What the amounts rest on", _footnotes(comparison.assumptions))
    sentences = (escaped(f"{_capital(text)}.") for text in rate_sentences(comparison))
    yield card("Exchange rates", "\n".join(f"<p>{sentence}</p>" for sentence in sentences))
    if comparison.sources:
        yield card("Where the prices are from", pairs(_sources(comparison)))


# -- what was asked ----------------------------------------------------------------------


def _asked(comparison: Comparison) -> str:
    asked = comparison.asked
    if isinstance(asked, ImageRequest):
        quoted = ""
        if asked.prompt:
            quoted = f'<blockquote dir="auto" tabindex="0">{escaped(asked.prompt)}</blockquote>\n'
        return section("card asked", quoted + facts(_set_fields(asked)))
    assert isinstance(comparison.found, Workload)  # a file name stands for one
    load = comparison.found
    counts = {"file": asked, "requests": str(load.requests), "pictures": str(load.images)}
    return section("card asked", facts(counts))


def _set_fields(request: ImageRequest) -> dict[str, str]:
    """Model, number and size, and each field that is not at its default."""
    fields = {"model": request.model, "pictures": str(request.n), "size": str(request.size)}
    for name in request.fields_set:
        if name not in ("n", "size"):
            fields[_WORDS.get(name, name.replace("_", " "))] = _value(request, name)
    if request.extra:
        fields["extra"] = json.dumps(request.extra, ensure_ascii=False)
    return fields


def _value(request: ImageRequest, name: str) -> str:
    match name:
        case "images":
            return ", ".join(map(_image, request.images))
        case "regions":
            marked = enumerate(request.images, 1)
            return "; ".join(
                f"{number}: {', '.join(str(list(box.corners)) for box in image.regions)}"
                for number, image in marked
                if image.regions
            )
        case "color_palette":
            return ", ".join(f"{color.hex} {color.ratio:f}%" for color in request.color_palette)
        case "callback_url":
            return brief_url(request.callback_url).strip("'")
    value = getattr(request, name)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _image(image: InputImage) -> str:
    if image.ref is not None:
        return ", ".join(f"{held} at {provider}" for provider, held in image.ref.items())
    return brief_url(image.url).strip("'")


# -- key figures -------------------------------------------------------------------------


def _key_figures(comparison: Comparison) -> str:
    figures = "".join(_figure(*figure) for figure in _figures(comparison))
    return f'<section class="key" aria-label="In short">{figures}</section>'


def _figures(comparison: Comparison) -> Iterator[tuple[str, str, str, str]]:
    """Class, name, value and remark of each."""
    ranked = comparison.ranked
    if ranked and ranked[0].common:
        who = ", ".join(line.provider for line in ranked if line.rank == 1)
        yield "best", "cheapest", _amount_text(ranked[0].common), who
    else:
        yield "", "cheapest", "unknown", "no account has a price that can be compared"
    if isinstance(comparison.found, Workload):
        load = comparison.found
        mix = "unknown" if load.cheapest is None else _amount_text(load.cheapest)
        remark = _saved(comparison, load)
        yield "", "each request where it is cheapest", mix, remark
    elif ranked and ranked[-1].over and ranked[-1].common:
        remark = f"{ranked[-1].provider}, {percent(ranked[-1].over)}"
        yield "", "dearest", _amount_text(ranked[-1].common), remark
    all_of_it = "take all of it and " if isinstance(comparison.found, Workload) else ""
    remark = f"{all_of_it}have a price that can be compared"
    yield "", "accounts", f"{len(ranked)} of {len(comparison.lines)}", remark


def _amount_text(money: Money) -> str:
    """An amount that stands in no column."""
    return Column.of([money]).text(money)


def _saved(comparison: Comparison, load: Workload) -> str:
    """What dividing the workload between the accounts saves, or why that is unknown."""
    if load.nobody:
        return f"{counted(load.nobody, 'request')} that no account can take"
    if load.cheapest is None:
        return "some request has no price that can be compared"
    single = comparison.ranked[0].common if comparison.ranked else None
    if single is None or not single.amount:
        return "no single account can do all"
    saved = (single.amount - load.cheapest.amount) * 100 / single.amount
    compared = f"{percent(saved).lstrip('+')} less than" if saved else "the same as"
    return f"{compared} at one account"


def _figure(kind: str, name: str, value: str, remark: str) -> str:
    opened = f'<div class="{kind}">' if kind else "<div>"
    entry = f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd><dd>{escaped(remark)}</dd>"
    return f"{opened}<dl>{entry}</dl></div>"


# -- below it ----------------------------------------------------------------------------


def _footnotes(assumptions: Mapping[str, int]) -> str:
    items = "\n".join(
        f'<li id="note-{number}">{escaped(text)}</li>' for text, number in assumptions.items()
    )
    return f'<ol class="list">\n{items}\n</ol>'


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _sources(comparison: Comparison) -> dict[str, list[str]]:
    """Links to the pages of each account, or of several that share one."""
    links: dict[str, list[str]] = {}
    for (source, read), providers in comparison.sources.items():
        day = f'<br><span class="soft small">{escaped(read)}</span>' if read else ""
        links.setdefault(", ".join(providers), []).append(_link(source) + day)
    return links


def _link(source: str) -> str:
    """A page as a link; what is no page, as text."""
    if not source.startswith(("https://", "http://")):
        return escaped(source)
    return f'<a href="{escaped(source)}" rel="noreferrer">{escaped(source)}</a>'
