"""The report: everything is in it, one rule decides, and a browser shows it without a sound."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from report_browser import chromium

import bayescausal as bc
from bayescausal.draws.check import Check
from bayescausal.draws.digits import numbers
from bayescausal.figures.sensitivity import plot_surface
from bayescausal.figures.style import ORANGE, mixed
from bayescausal.reporting import report
from bayescausal.reporting.contents import trust
from bayescausal.reporting.contents.material import Material
from bayescausal.reporting.decision import decide, rule
from bayescausal.reporting.page.pictures import draw, follow, themed
from bayescausal.reporting.page.render import _markdown
from bayescausal.types import BayesCausalError, DataError, EstimandError, FitMismatchError

EVIL = 'cost <b> & "x" | $y$'
TRUTH = {"b_h": -0.4, "b_d": -0.42, "s": 0.2}


@pytest.fixture(scope="module")
def fit():
    """Return an exact posterior of a small linear world; one name holds what breaks markup."""
    with pm.Model(coords={"unit": [0]}) as model:
        evil = pm.Normal(EVIL, 0, 1, dims="unit")
        b_h, b_d = pm.Normal("b_h"), pm.Normal("b_d")
        dilution = pm.Normal("dilution", b_h * evil, 1, dims="unit")
        s = pm.HalfNormal("s")
        pm.Normal("coating", b_d * dilution - 0.5 * evil, s, dims="unit")
    data = bc.simulate(model, TRUTH, units=200, seed=3)
    return bc.fit(model, data, seed=4, draws=250, progressbar=False)


@pytest.fixture(scope="module")
def page(fit, tmp_path_factory):
    """Return a report with all kinds of blocks, written to a file."""
    path = tmp_path_factory.mktemp("report") / "coating.html"
    table = pd.DataFrame({"difference": [0.02]}, index=["age"])
    check = Check(
        "Balance", "warn", "A is off.", "Look.", table, picture=lambda ax=None: bare_axes(ax)
    )
    questions = [
        bc.ATE("dilution", "coating"),
        bc.DoseResponse("dilution", "coating", values=[-1, 0, 1]),
        bc.Slope("dilution", "coating"),
    ]
    ropes = [(-0.1, 0.1), None, None]
    return bc.report(fit, questions, path, checks=["implications", check], rope=ropes, truth=TRUTH)


def test_long_names_leave_room_for_the_picture(fit):
    """Where no room is left for the axes, matplotlib warns, and a warning is an error here."""
    effects = bc.estimate(fit, [bc.ATE("dilution", "coating", treated=v) for v in (1, 2)])
    long = "restricted mean of a time with a long name, one arm against another"
    named = [replace(e, name=f"{long} ({k})") for k, e in enumerate(effects)]
    assert bc.report(fit, named, checks=False).html.count(long) >= 2


def bare_axes(ax):
    ax = plt.subplots()[1] if ax is None else ax
    ax.plot([0, 1])
    return ax


class Page(HTMLParser):
    """What stands in a page: tags in order, attributes, the text without markup."""

    VOID = ("meta", "link", "br", "wbr", "path", "use", "rect")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & {*self.open}:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


# ------------------------------------------------------------------------------ what is in it


def test_every_part_is_there(page):
    shown = Page(page.html)
    assert shown.open == []
    titles = ("In short", "Question", "Graph and model", "Identification", "Data", "Answers",
              "Parameters", "Checks", "Method")  # fmt: skip
    for title in titles:
        assert title in shown.words
        assert f"{'#' * 2} {title}" in page.markdown or title == "In short"
    ate = page.effects[0]
    row = ate.summary().iloc[0]
    for part in (
        ate.sentence(),
        "E[coating | do(dilution=1)] - E[coating | do(dilution=0)]",
        "Identified by the back door: adjusting for",
        "no other common cause of dilution and coating",
        "Observed association and causal effect",
        "Rows: 200 units.",
        "No cell is missing.",
        f"Mean{numbers(float(ate.sd()), float(ate))[0]}",
        f"r_hat of this number{row['r_hat']:.4f}",
        f"{row['ess_bulk']:,.0f}, {row['ess_tail']:,.0f}",
        "Monte Carlo error in a draw0 (the averages over noise are exact)",
        "Populationthe 200 units at hand",
        "Truth-0.42",
        "Probability in the ROPE, -0.1 to 0.10.000",
        "4 for the fit",
        "bc.ATE('dilution', 'coating')",
        "values=[-1, 0, 1]",
        "conjugate (linear-Gaussian)",
        f"bayescausal {bc.__version__}",
    ):
        assert " ".join(part.split()).replace("<", "<") in shown.words, part


def test_names_are_text_in_html_and_in_markdown(page):
    assert "<b>" not in page.html
    assert "cost &lt;b&gt; &amp;" in page.html
    assert "cost &lt;b> &" in page.markdown
    assert r"\|" in page.markdown
    assert _markdown("a_b*[c](d)#") == r"a\_b\*\[c\](d)\#"


def test_it_is_self_contained_and_small(page):
    assert len(page.html.encode()) < 2_000_000
    bare = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page.html)
    bare = bare.replace('"http://www.w3.org/2000/svg"', "")  # the name of a language
    assert not re.search(r"https?:|//cdn|<script src|@import|url\((?!#)|fetch\(", bare)
    assert "default-src 'none'" in page.html
    assert page.path.read_text(encoding="utf-8") == page.html


def test_headings_are_in_order_and_pictures_have_words(page):
    shown = Page(page.html)
    levels = [int(tag[1]) for tag, _ in shown.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    drawings = [attrs for tag, attrs in shown.tags if tag == "svg"]
    assert len(drawings) >= 5
    assert all(d["role"] == "img" and len(d["aria-label"]) > 10 for d in drawings)
    assert any("dilution -> coating" in d["aria-label"] for d in drawings)
    [html] = [attrs for tag, attrs in shown.tags if tag == "html"]
    assert html["lang"] == "en"
    ids = [attrs["id"] for _, attrs in shown.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [a["href"][1:] for tag, a in shown.tags if tag == "a"]
    assert set(links) <= set(ids)


def test_what_stands_in_the_way_is_said_first(page):
    short = Page(page.html).words.partition("Question")[0]
    assert "Before believing it: Balance: warn. A is off." in short
    assert [o.verdict for o in page.checks] == ["untestable", "warn"]
    assert "Balance" in page.markdown


def test_figures_left_open_are_those_that_were_open(fit):
    before = plt.get_fignums()
    bc.report(fit, bc.ATE("dilution", "coating"), checks=False)
    assert plt.get_fignums() == before


def test_markdown_has_the_same_drawings(page):
    used = re.findall(r"!\[[^\]]+\]\[(figure-\d+)\]", page.markdown)
    assert used == re.findall(r"^\[(figure-\d+)\]: data:image/svg", page.markdown, re.M)
    assert len(used) == page.html.count("<figure>")


# -------------------------------------------------------------------------------- the one rule


@pytest.mark.parametrize(
    ("ends", "null", "rope", "said"),
    [
        ((-0.45, -0.40), 0.0, None, "below 0"),
        ((0.1, 0.2), 0.0, None, "above 0"),
        ((0.0, 0.2), 0.0, None, "undecided"),
        ((1.1, 1.2), 1.0, None, "above 1"),
        ((0.1, 0.2), None, None, ""),
        ((0.02, 0.05), 0.0, (-0.1, 0.1), "practically none"),
        ((0.05, 0.2), 0.0, (-0.1, 0.1), "undecided"),
        ((0.11, 0.2), 0.0, (-0.1, 0.1), "above the ROPE"),
        ((-0.3, -0.2), 0.0, (-0.1, 0.1), "below the ROPE"),
        ((-0.3, 0.2), 0.0, (-0.1, 0.1), "undecided"),
    ],
)
def test_decisions(ends, null, rope, said):
    assert decide(*ends, null, rope) == said


def test_a_region_takes_the_place_of_the_null():
    assert "one side of 0" in rule(0.0)
    assert "ROPE" in rule(0.0, (-0.1, 0.1))
    assert "one side" not in rule(0.0, (-0.1, 0.1))
    assert rule(None).startswith("Nothing is decided")


# --------------------------------------------------------------------------------------- checks


def in_the_place_of(monkeypatch, name, check):
    title, _, wants, settings = trust.CHECKS[name]
    monkeypatch.setitem(trust.CHECKS, name, (title, check, wants, settings))


def test_a_check_that_does_not_apply_is_a_line(fit, monkeypatch):
    def broken(*_, **__):
        raise BayesCausalError("There is nothing to balance.")

    def wrong(*_, **__):
        raise ZeroDivisionError("by zero")

    in_the_place_of(monkeypatch, "overlap", broken)
    in_the_place_of(monkeypatch, "posterior_check", wrong)
    made = bc.report(fit, bc.ATE("dilution", "coating"), checks=["overlap", "predictive"])
    words = Page(made.html).words
    assert "Not applicable: There is nothing to balance." in words
    assert "Not applicable: it stopped with ZeroDivisionError: by zero" in words
    assert [o.record for o in made.checks] == [None, None]


def test_checks_get_small_settings_and_their_warnings_are_told(fit, monkeypatch):
    import warnings

    heard = {}

    def record(a_fit, treatment, outcome, *, draws=1000, seed=None):
        heard.update(treatment=treatment, outcome=outcome, draws=draws, seed=seed)
        warnings.warn("Two units are far out.", UserWarning, stacklevel=1)
        return Check("Overlap", "pass", "Fine.", "Go on.", pd.DataFrame({"a": [1.0]}))

    in_the_place_of(monkeypatch, "overlap", record)
    made = bc.report(fit, bc.ATE("dilution", "coating"), checks="overlap", seed=9)
    assert heard == {"treatment": "dilution", "outcome": "coating", "draws": 100, "seed": 9}
    assert "Two units are far out." in Page(made.html).words
    assert "Nothing that was checked speaks against it." in Page(made.html).words


def test_what_is_not_identified_is_not_called_unopposed(fit, monkeypatch):
    def record(a_fit, treatment, outcome, *, draws=1000, seed=None):
        return Check("Overlap", "pass", "Fine.", "Go on.", pd.DataFrame({"a": [1.0]}))

    in_the_place_of(monkeypatch, "overlap", record)
    graph = "u [latent]; u -> dilution; u -> coating; dilution -> coating"
    unknown = bc.identify(graph, "dilution", "coating")
    effect = bc.estimate(fit, bc.ATE("dilution", "coating"))
    made = bc.report(fit, replace(effect, identification=unknown), checks="overlap")
    words = Page(made.html).words
    assert "Nothing that was checked speaks against it." not in words
    assert "The checks found no other fault. None of them can show what is not identified." in words


def test_checks_false_says_so(fit):
    made = bc.report(fit, bc.ATE("dilution", "coating"), checks=False)
    assert "No check was run." in Page(made.html).words
    assert made.checks == ()


# ------------------------------------------------------------------------------- at the door


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"estimands": []}, EstimandError, "No question was asked"),
        ({"estimands": "ATE"}, EstimandError, "Found 'ATE' where a question is needed"),
        ({"estimands": [3]}, EstimandError, "Found 3 where a question is needed"),
        ({"checks": ["overlp"]}, EstimandError, "'overlp' is not a check .* mean 'overlap'"),
        ({"checks": [3]}, EstimandError, "int is not a check"),
        ({"rope": (1, 0)}, EstimandError, r"rope=\(1, 0\)"),
        ({"rope": [(0, 1), (0, 1)]}, EstimandError, "for 1 questions"),
        ({"path": "page.pdf"}, DataError, "ends in '.pdf'"),
        ({"path": "page"}, DataError, "ends in 'nothing'"),
        ({"path": "no/such/place.html"}, DataError, "There is no directory"),
        ({"fit": 3}, FitMismatchError, "given int in the place of a fit"),
    ],
)
def test_mistakes_are_refused_before_anything_runs(fit, options, error, said, monkeypatch):
    def never(*_, **__):
        raise AssertionError("computed before the check")

    monkeypatch.setattr(report, "estimate", never)
    wanted = {"fit": fit, "estimands": bc.ATE("dilution", "coating"), **options}
    with pytest.raises(error, match=said):
        bc.report(**wanted)


def test_a_failed_report_leaves_no_file_and_the_old_one(fit, tmp_path, monkeypatch):
    path = tmp_path / "kept.html"
    path.write_text("old")

    def broken(*_, **__):
        raise RuntimeError("no luck")

    monkeypatch.setattr(report, "as_html", broken)
    with pytest.raises(RuntimeError, match="no luck"):
        bc.report(fit, bc.ATE("dilution", "coating"), path, checks=False)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.html"]


def test_markdown_by_its_ending(fit, tmp_path):
    made = bc.report(fit, bc.ATE("dilution", "coating"), tmp_path / "a.md", checks=False)
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == made.markdown
    assert made.markdown.startswith("# Effect of dilution on coating\n")
    assert repr(made).endswith("a.md)")


def test_effects_are_taken_as_they_are(fit):
    effect = bc.estimate(fit, bc.ATE("dilution", "coating"))
    made = bc.report(fit, effect, checks=False, title="Mine")
    assert made.effects == (effect,)
    assert made.title == "Mine"
    frame = made._repr_html_()
    assert frame.startswith("<iframe")
    assert "<h1>" not in frame  # the page is inside the attribute, escaped


# ---------------------------------------------------------------------------------- drawings


@pytest.mark.parametrize(
    ("colour", "becomes"),
    [
        ("#ffffff", "var(--paper)"),
        ("#1b1f24", "var(--ink)"),
        ("#000000", "var(--ink)"),
        ("#2f7dc4", "#2f7dc4"),
        ("#808080", "color-mix(in srgb, var(--ink) 50%, var(--paper))"),
    ],
)
def test_colours_follow_the_page(colour, becomes):
    assert follow(colour) == becomes


def test_a_map_of_strengths_follows_the_page_in_all_its_colours():
    """One colour that stayed as it is would stand out of a scale that follows the page."""
    gamma, delta = np.linspace(0, 1, 5), np.linspace(-1, 1, 7)
    mean = 0.5 - gamma[:, None] * delta
    drawn = draw(lambda ax: plot_surface(gamma, delta, mean, mean - 0.2, ax=ax), height=3.0)
    page = themed(drawn, "A map", 1)
    fills = set(re.findall(r"fill: ([^;\"]+)", page)) - {"none"}
    assert len(fills) > 8
    assert all(fill.startswith(("var(", "color-mix(")) for fill in fills), fills


def test_tints_become_mixtures_of_their_hue():
    tint = r"color-mix\(in srgb, #[0-9a-f]{6} 18%, var\(--paper\)\)"
    assert re.fullmatch(tint, follow("#f8daf0"))  # a pale colour of somebody else's
    for share in (0.1, 0.5, 0.75):
        mix = f"color-mix(in srgb, #d5680f {100 * share:.0f}%, var(--paper))"
        assert follow(mixed(ORANGE, share)) == mix


def test_parts_of_two_drawings_have_names_of_their_own():
    svg = (
        '<svg viewBox="0 0 1 1"><path id="a"/><use xlink:href="#a"/><g clip-path="url(#a)"/></svg>'
    )
    one, two = themed(svg, "one", 1), themed(svg, "two", 2)
    assert {*re.findall(r'id="([^"]+)"', one)}.isdisjoint(re.findall(r'id="([^"]+)"', two))
    assert 'href="#g1-a"' in one
    assert "url(#g1-a)" in one


# ----------------------------------------------------------------------------- a real browser


def channel(value: float) -> float:
    return value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4


def contrast(one: list[float], other: list[float]) -> float:
    """Return the contrast ratio of two colours (WCAG 2)."""
    light = [np.dot([0.2126, 0.7152, 0.0722], [channel(v / 255) for v in c]) for c in (one, other)]
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.filterwarnings("default::ResourceWarning")
def test_in_a_browser(page):
    """No errors, no requests, no overflow, readable letters: narrow and wide, light and dark."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    colours = "e => getComputedStyle(e).color.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    behind = (
        "getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).slice(0,3).map(Number)"
    )
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width in (400, 1200):
                context = browser.new_context(
                    viewport={"width": width, "height": 900}, color_scheme=scheme
                )
                tab = context.new_page()
                errors, requests = [], []
                tab.on("console", lambda message, into=errors: into.append(message.text))
                tab.on("pageerror", lambda error, into=errors: into.append(str(error)))
                tab.on("request", lambda request, into=requests: into.append(request.url))
                tab.goto(page.path.as_uri())
                assert errors == []
                assert [url for url in requests if not url.startswith("data:")] == [
                    page.path.as_uri()
                ]
                assert tab.evaluate("document.documentElement.scrollWidth") <= width
                wide = tab.evaluate(
                    "[...document.querySelectorAll('svg, p, li, dd, h1, h2, h3')]"
                    ".filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"
                )
                assert wide == 0
                ground = tab.evaluate(behind)
                assert (sum(ground) < 200) is (scheme == "dark")
                for element in ("body", ".note", "dt", "figcaption", "a[href='#data']"):
                    ink = tab.locator(element).first.evaluate(colours)
                    assert contrast(ink, ground) >= 4.5, (scheme, element)
                letters = tab.locator("figure svg [id*='text_'] g").first.evaluate(
                    "e => getComputedStyle(e).fill.match(/[\\d.]+/g).slice(0,3).map(Number)"
                )
                assert contrast(letters, ground) >= 4.5
                context.close()
        tab = browser.new_page(viewport={"width": 794, "height": 1123}, color_scheme="dark")
        tab.goto(page.path.as_uri())
        tab.emulate_media(media="print")  # a page of A4, black on white
        assert tab.evaluate("document.documentElement.scrollWidth") <= 794
        assert sum(tab.evaluate(behind)) == 3 * 255
        browser.close()


@pytest.mark.parametrize(("empty", "refits"), [(False, 4), (True, 1)])
def test_refutations_are_refitted_less_often_where_each_refit_compiles(monkeypatch, empty, refits):
    asked = {}

    def attempt(title, function, arguments, settings):
        asked[function.__name__] = settings
        return trust.Outcome(title, None, "not run", 0.0)

    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", pm.Normal("b") * x, 1, dims="unit")
    draws = {"b": np.zeros((1, 4))}
    if empty:
        draws["x_unobserved"] = np.zeros((1, 4, 1))
    fit = bc.Fit(model, draws, {"x": [np.nan if empty else 0.5, 1.0], "y": [0.0, 1.0]})
    monkeypatch.setattr(trust, "_attempt", attempt)
    material = Material(fit, [bc.estimate(fit, bc.ATE("x", "y"))])
    trust.run(material, ["refute", "overlap"], seed=1)
    assert asked["refute"]["replicates"] == refits
    assert asked["overlap"] == {"draws": 100, "seed": 1}
