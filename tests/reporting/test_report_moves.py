"""The report in a browser: a reader moves it, and it shows what ``estimate`` gives."""

from __future__ import annotations

import numpy as np
import pytest
from axe import faults
from moving import as_shown, moving_fit
from report_browser import chromium

import bayescausal as bc
from bayescausal.draws.digits import numbers

ANSWER = ".live[data-live=effect] [data-part=answer]"


@pytest.fixture(scope="module")
def fit():
    return moving_fit(150, 600, ["z ~ 1"])


@pytest.fixture(scope="module")
def page(fit, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "moves.html"
    questions = [bc.ATE("x", "y"), bc.ATE("x", "y", by="s")]
    hidden = bc.hidden_confounder(fit, questions[0], gamma=0.4, delta=[-0.5, 0.5, 9], draws=60)
    return bc.report(fit, questions, path, checks=["implications", hidden])


@pytest.fixture(scope="module")
def browser():
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser, page, width=1200, scheme="light", **options):
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, **options
    )
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto(page.path.as_uri())
    return tab, wrong


def shown(effect, level=0.94):
    """Return an answer as a panel writes it, from the effect alone."""
    mean, low, high = as_shown(effect, level)
    return f"{mean}, {100 * level:g}% HDI {low} to {high}."


@pytest.mark.slow
@pytest.mark.filterwarnings("default::ResourceWarning")
def test_sliders_show_what_estimate_gives(fit, page, browser):
    tab, wrong = opened(browser, page)
    said = tab.locator(ANSWER).first
    assert shown(page.effects[0]) in said.inner_text()
    slider = tab.get_by_label("Level of x").first
    stops = int(slider.get_attribute("max"))
    for stop in range(stops + 1):
        slider.fill(str(stop))
        value = float(slider.get_attribute("aria-valuetext"))
        if value == 0:
            assert "no difference by definition" in said.inner_text()
            continue
        effect = bc.estimate(fit, bc.ATE("x", "y", treated=value, control=0))
        assert shown(effect) in said.inner_text()
    slider.focus()
    tab.keyboard.press("Home")  # by keyboard, and among others
    tab.get_by_label("Among").first.select_option("s m")
    value = float(slider.get_attribute("aria-valuetext"))
    among = bc.estimate(fit, bc.ATE("x", "y", treated=value, control=0, given={"s": "m"}))
    assert shown(among) in said.inner_text()
    for percent, level in (("50", 0.5), ("99", 0.99)):
        tab.get_by_label(f"{percent}%").check()
        assert shown(among, level) in said.inner_text()
        world = bc.estimate(fit, bc.Expected("y", {"x": value}, given={"s": "m"}))
        ends = numbers(float(world.sd()), float(world), *world.interval(level), ends=True)
        assert f"Expected y there: {ends[0]} ({percent}% HDI {ends[1]} to" in said.inner_text()
        sentence = page.effects[0].sentence(level)
        assert tab.locator(".short .lead").inner_text() == sentence
        assert tab.locator("th", has_text=f"{percent}% HDI from").count() == 1
        change = tab.locator(
            "section:has(> .live[data-live=surface]) > p [data-levels]"
        ).inner_text()
        low, high = as_shown(page.effects[0], level)[1:]
        assert f"{percent}% HDI [{low}, {high}]" in change  # not 94% beside a panel of 50%
        note = "getComputedStyle(document.querySelector('figure[data-keeps]'), '::after').content"
        assert tab.evaluate(note) == '"The drawing keeps 94%."'
    ticks = tab.locator("[data-part=picture] >> nth=0").locator("text").all_text_contents()
    steps = np.diff([float(text) for text in ticks])
    assert len(ticks) >= 3
    assert steps == pytest.approx(steps[0])
    assert all(len(text.lstrip("-").replace(".", "")) <= 3 for text in ticks)  # round numbers
    assert wrong == []


@pytest.mark.slow
@pytest.mark.filterwarnings("default::ResourceWarning")
def test_the_threshold_counts_draws(page, browser):
    tab, wrong = opened(browser, page, width=400, scheme="dark")
    effect = page.effects[0]
    chance = tab.locator("[data-part=chance]").first
    for point in (0.0, float(effect), float(effect) + float(effect.sd())):
        tab.get_by_label("Threshold as a number").first.fill(f"{point:.3f}")
        exact = effect.probability(above=round(point, 3))
        words = chance.inner_text()
        assert words.startswith(f"Probability above {float(f'{point:.3f}'):g}")
        told = words.split(": ")[1].split(";")[0]
        if 0.005 < exact < 0.995:
            assert abs(float(told) - exact) <= 1 / 400 + 0.005
        else:
            assert told in ("> 0.99", "< 0.01", "1.00", "0.00")
    bars = tab.locator("[data-part=picture] >> nth=0").locator("rect")
    assert bars.count() > 10
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    assert wrong == []


@pytest.mark.slow
@pytest.mark.filterwarnings("default::ResourceWarning")
def test_the_graph_and_the_surface_answer(page, browser):
    tab, wrong = opened(browser, page)
    claim = tab.locator("[data-part=claim]")
    tab.locator("[id*='-arrow-'][tabindex]").first.focus()
    assert "does not act on" in claim.inner_text()
    assert "Without it the graph would imply" in claim.inner_text()
    tab.locator("[id*='-node-'].alive").first.hover()
    assert "Point at an arrow" not in claim.inner_text()
    labels = tab.eval_on_selector_all(
        "[id*='-arrow-'][tabindex]", "all => all.map(e => e.getAttribute('aria-label'))"
    )
    assert any(label.startswith("x to y: x may act on y") for label in labels)

    found = page.checks[1].record
    said = tab.locator(".live[data-live=surface] [data-part=answer]")
    assert shown(page.effects[0]) in said.inner_text()
    allowed = np.argwhere(found.surface["allowed"].values)
    i, j = allowed[-1]
    sliders = tab.locator(".live[data-live=surface] input[type=range]")
    sliders.nth(0).fill(str(i))
    sliders.nth(1).fill(str(j))
    cell = found.surface.isel(gamma=i, delta=j)
    ends = (float(cell[n]) for n in ("mean", "lower", "upper"))
    mean, low, high = numbers(float(cell["sd"]), *ends, ends=True, apart=[0.0])
    assert f"{mean}, 94% HDI {low} to {high}." in said.inner_text()
    beyond = np.argwhere(~found.surface["allowed"].values)
    sliders.nth(0).fill(str(beyond[0][0]))
    sliders.nth(1).fill(str(beyond[0][1]))
    assert "the data rule this out" in said.inner_text()
    assert wrong == []


@pytest.mark.slow
@pytest.mark.filterwarnings("default::ResourceWarning")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 400)])
def test_axe_finds_nothing_serious(page, browser, scheme, width):
    tab, wrong = opened(browser, page, width=width, scheme=scheme)
    assert faults(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert wrong == []


@pytest.mark.slow
@pytest.mark.filterwarnings("default::ResourceWarning")
def test_without_a_script_and_on_paper_it_is_whole_and_still(page, browser):
    tab, wrong = opened(browser, page, java_script_enabled=False)
    assert tab.locator(".short .lead").inner_text() == page.effects[0].sentence()
    assert tab.locator(".live:visible").count() == 0
    assert tab.locator("text=does not act on").first.is_visible()  # the table of arrows
    assert tab.locator("input:visible, select:visible").count() == 0
    moving, _ = opened(browser, page)
    moving.emulate_media(media="print")
    assert moving.locator("input:visible, select:visible, fieldset:visible").count() == 0
    assert moving.locator(ANSWER).first.is_visible()
    assert wrong == []


def test_the_checker_of_faults_can_fail():
    """A page with a picture without words: what axe would say is not passed over."""

    class Tab:
        def evaluate(self, script):
            found = {"id": "image-alt", "impact": "critical", "nodes": [{"html": "<img>"}]}
            mild = {"id": "region", "impact": "moderate", "nodes": [{"html": "<p>"}]}
            return {"violations": [found, mild]}

    import axe

    before = axe.axe
    axe.axe = lambda: __import__("pathlib").Path(__file__)
    try:
        assert faults(Tab()) == ["image-alt (critical): <img>"]
    finally:
        axe.axe = before
