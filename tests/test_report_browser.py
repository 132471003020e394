"""The page of a report as a reader meets it: in a browser, by clicks, in both themes, on phones."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_report import HOSTILE, gallery, long_sheet, rich_page, serious, with_texts
from PIL import Image
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

from featx import plots
from featx.reporting.page import render
from featx.reporting.parts import Drawing, Page, Section, Sheet

pytestmark = pytest.mark.slow
Open = Callable[..., Tab]
A4_PX = 680
"""A4 less its margins."""


@pytest.fixture
def open_page(open_file: Callable[..., Tab], tmp_path: Path) -> Open:
    """Opens a page, as `open_file` does its file."""

    def opened(page: Page, **options: Any) -> Tab:
        file = tmp_path / "report.html"
        file.write_text(render(page), encoding="utf-8", newline="\n")
        return open_file(file, **options)

    return opened


def texts(found: Locator) -> list[str]:
    return [text.strip() for text in found.all_text_contents()]


def column(tab: Tab, number: int) -> list[str]:
    cells = tab.locator("table[data-sortable] tbody tr").locator(f":nth-child({number})")
    return texts(cells.and_(tab.locator("th, td")))


def paths(tab: Tab) -> list[str]:
    return texts(tab.locator("#wrong .shot .path"))


def control(tab: Tab, name: str) -> Locator:
    return tab.locator("#wrong").get_by_label(name)


def test_a_click_on_a_head_sorts_a_long_table(open_page: Open) -> None:
    tab = open_page(rich_page())
    before = column(tab, 1)
    head = tab.get_by_role("columnheader", name="images")
    head.get_by_role("button").click()
    numbers = [int(text.replace(",", "")) for text in column(tab, 3)]
    assert numbers == sorted(numbers)
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.get_by_role("button").click()
    numbers = [int(text.replace(",", "")) for text in column(tab, 3)]
    assert numbers == sorted(numbers, reverse=True)
    head.get_by_role("button").click()
    assert column(tab, 1) == before
    assert head.get_attribute("aria-sort") is None


def test_numbers_are_sorted_as_numbers_whatever_stands_around_them(open_page: Open) -> None:
    tab = open_page(rich_page())
    tab.get_by_role("button", name="recall").click()
    recalls = [float(text.split()[0]) for text in column(tab, 2)]
    assert recalls == sorted(recalls)
    tab.get_by_role("button", name="time").click()
    seconds = [seconds_of(text) for text in column(tab, 4)]
    assert seconds == sorted(seconds)
    tab.get_by_role("button", name="gain").click()
    gains = column(tab, 5)
    assert gains[-5:] == ["-"] * 5
    numbers = [float(text.replace("\u2212", "-")) for text in gains[:-5]]
    assert numbers == sorted(numbers)
    tab.get_by_role("button", name="class", exact=True).click()
    assert column(tab, 1) == [f"class {n}" for n in range(1, 27)]


def seconds_of(text: str) -> float:
    minutes, _, rest = text.partition(" min ") if " min " in text else ("0", "", text)
    return 60 * int(minutes) + float(rest.removesuffix(" s"))


def test_more_images_are_shown_when_asked_for(open_page: Open) -> None:
    tab = open_page(rich_page())
    status = tab.locator("#wrong .controls [role=status]")
    expect(status).to_have_text("24 of 130 shown")
    assert len(paths(tab)) == 24
    tab.locator("#wrong").get_by_role("button", name="Show 96 more").click()
    expect(status).to_have_text("120 of 130 shown")
    tab.locator("#wrong").get_by_role("button", name="Show 10 more").click()
    expect(status).to_have_text("130 of 130 shown")
    assert tab.locator("#wrong .more").is_hidden()


def test_images_are_sorted_and_filtered(open_page: Open) -> None:
    tab = open_page(rich_page())
    heaviest = paths(tab)
    control(tab, "Sort by").select_option("path")
    assert paths(tab) == sorted(paths(tab)) != heaviest
    control(tab, "Sort by").select_option("fold")
    assert set(texts(tab.locator("#wrong .shot .rest"))) == {"fold 0"}
    control(tab, "Only label").select_option(label="horse (18)")
    assert set(texts(tab.locator("#wrong .target"))) == {"horse"}
    status = tab.locator("#wrong .controls [role=status]")
    expect(status).to_have_text("18 of 18 that match shown, 130 in all")
    control(tab, "Search").fill("PIC_01")
    assert set(paths(tab)) == {"horse/pic_011.jpg", "horse/pic_018.jpg"}
    control(tab, "Only label").select_option("")
    control(tab, "Search").fill("")
    control(tab, "Sort by").select_option("most notable")
    assert paths(tab) == heaviest


def test_an_image_is_enlarged_and_put_away(open_page: Open) -> None:
    tab = open_page(rich_page())
    dialog = tab.get_by_role("dialog")
    expect(dialog).to_be_hidden()
    thumbnail = tab.locator("#wrong .shot button.thumb").first
    small = thumbnail.bounding_box()
    thumbnail.click()
    expect(dialog).to_be_visible()
    large = dialog.locator("img").bounding_box()
    assert small
    assert large
    assert large["width"] > 1.5 * small["width"]
    first = texts(dialog.locator(".path"))
    tab.keyboard.press("ArrowRight")
    assert texts(dialog.locator(".path")) != first
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(thumbnail).to_be_focused()
    thumbnail.click()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_pairs_stand_side_by_side(open_page: Open) -> None:
    tab = open_page(rich_page(), viewport={"width": 360, "height": 740})
    pair = tab.locator("#twins .pair").first
    left, right = (half.bounding_box() for half in pair.locator(".thumb").all())
    assert left
    assert right
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]


def test_a_text_is_selected_where_it_cannot_be_copied(open_page: Open) -> None:
    tab = open_page(rich_page())
    tab.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()) }")
    tab.get_by_role("button", name="Copy: The commands").click()
    assert tab.evaluate("() => String(getSelection())").startswith("featx extract photos")
    expect(tab.locator("[data-copied]").first).to_contain_text("selected")


def test_a_text_is_copied(open_page: Open) -> None:
    tab = open_page(rich_page(), permissions=["clipboard-read", "clipboard-write"])
    tab.get_by_role("button", name="Copy: The commands").click()
    expect(tab.locator("[data-copied]").first).to_have_text("copied")
    assert tab.evaluate("() => navigator.clipboard.readText()").startswith("featx extract photos")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_everybody_can_read_it(open_page: Open, scheme: str, width: int) -> None:
    size = {"width": width, "height": 900}
    tab = open_page(rich_page(), color_scheme=scheme, viewport=size, reduced_motion="reduce")
    assert serious(tab) == []
    tab.locator("#wrong .shot button.thumb").first.click()
    assert serious(tab) == []


@pytest.mark.parametrize("text", ["", "x" * 300, "no-space/" * 40, *HOSTILE[:4]])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_a_page_scrolls_down_alone(open_page: Open, text: str, width: int) -> None:
    page = with_texts(rich_page(), text) if text else rich_page()
    phone = {"is_mobile": True, "has_touch": True} if width < 400 else {}
    tab = open_page(page, viewport={"width": width, "height": 740}, **phone)
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= width
    assert tab.evaluate("() => [scrollTo(99, 0), scrollX][1]") == 0


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_drawings_have_a_size(open_page: Open, width: int) -> None:
    tab = open_page(rich_page(), viewport={"width": width, "height": 900})
    drawings = tab.locator("svg").all()
    assert len(drawings) == 4
    for drawing in drawings:
        box = drawing.bounding_box()
        assert box
        assert box["width"] > 250
        assert box["height"] > 60


def test_a_phone_shows_figures_whole_and_large_enough(open_page: Open) -> None:
    names = ["dog", "elephant", "giraffe", "guitar", "horse", "house", "person"]
    score = np.linspace(0.5, 0.9, 7)
    ends = score - 0.1, np.minimum(score + 0.1, 1)
    drawn = {
        "confusion": plots.confusion_matrix(np.eye(7, dtype=int) * 40, names),
        "classes": plots.class_scores(names, score, *ends, metric="recall"),
        "curve": plots.learning_curve(
            10 * 2 ** np.arange(7), score, *ends, metric="accuracy", std=np.full(7, 0.05)
        ),
        "layers": plots.layer_scores(names, score, *ends, metric="accuracy", default="dog"),
        "truth": plots.predicted_against_true(score, ends[0], target="age"),
        "residuals": plots.residuals(score, ends[0], target="age"),
        "wide": plots.confusion_matrix(np.eye(30, dtype=int), [f"class {i}" for i in range(30)]),
    }
    parts = tuple(Drawing(n, n, plots.to_svg(f, title=n), n) for n, f in drawn.items())
    page = Page("Figures", "", (), sections=(Section("s", "s", parts=parts),))
    tab = open_page(page, viewport={"width": 390, "height": 844}, is_mobile=True)
    lowest = "all => Math.min(...all.map(one => one.getBoundingClientRect().height))"
    for name in drawn:
        figure = tab.locator(f"figure#{name}")
        paper = figure.locator(".paper")
        assert paper.evaluate("one => one.scrollWidth > one.clientWidth") == (name == "wide"), name
        if name != "wide":
            assert figure.locator("svg text").evaluate_all(lowest) > 8, name


@pytest.mark.parametrize("width", [1000, 1200, 1280])
def test_a_table_of_layers_is_seen_whole(open_page: Open, width: int) -> None:
    header = ("layer", "depth", "values", "accuracy", "95 %", "gain", "gain, 95 %", "p (Holm)")
    ends = ("0.876 to 0.945", "-0.021", "-0.045 to 0.003", "< 0.001", "3")
    row = ("features.17.conv.3", "52", "1,280", "0.912 \u00b1 0.023", *ends)
    sheet = Sheet("Layers", (*header, "chosen"), (row,) * 3, frozenset(range(1, 9)))
    page = Page("Layers", "", (), sections=(Section("s", "s", parts=(sheet,)),))
    tab = open_page(page, viewport={"width": width, "height": 900})
    assert tab.locator(".scroll").evaluate("one => one.scrollWidth <= one.clientWidth")
    assert tab.locator("td.number", has_text="0.021").first.inner_text() == "\N{MINUS SIGN}0.021"


def test_a_table_that_goes_on_has_a_shadow_at_its_edge(open_page: Open) -> None:
    page = Page("Long", "", (), sections=(Section("s", "s", parts=(long_sheet(),)),))
    box = open_page(page, viewport={"width": 320, "height": 900}).locator(".scroll")

    def edge() -> float:
        seen = np.asarray(Image.open(BytesIO(box.screenshot())).convert("L"))
        return float(np.median(seen[:, -4]))

    assert edge() < 230
    box.evaluate("one => one.scrollTo({ left: one.scrollWidth, behavior: 'instant' })")
    assert edge() > 250


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_runs_in_a_browser(open_page: Open, text: str) -> None:
    tab = open_page(with_texts(rich_page(), text))
    assert tab.locator("#wrong .shot").count() == 24
    assert tab.locator("script").count() == 2
    assert tab.locator("img[onerror], [onfocus], svg[onload]").count() == 0
    assert tab.title() == tab.locator("h1").inner_text() or not text.isprintable()


def test_paper_has_the_first_images_and_no_controls(open_page: Open) -> None:
    tab = open_page(rich_page(), color_scheme="dark")
    tab.locator("#wrong .more").click()
    tab.emulate_media(media="print")
    visible = tab.locator("#wrong .shot").filter(visible=True)
    assert visible.count() == 24
    assert tab.locator(".controls, .more, nav, .copying").filter(visible=True).count() == 0
    paper = tab.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(251, 251, 249)"


@pytest.mark.parametrize("text", ["x" * 300, HOSTILE[3]])
def test_paper_is_wide_enough(open_page: Open, text: str) -> None:
    tab = open_page(with_texts(rich_page(), text), viewport={"width": A4_PX, "height": 900})
    tab.emulate_media(media="print")
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= A4_PX


def test_without_a_script_there_is_a_list(open_page: Open) -> None:
    tab = open_page(rich_page(), java_script_enabled=False)
    assert tab.locator("#wrong li").count() == 24
    assert tab.locator("#wrong li").get_by_text("dog/pic_000.jpg").is_visible()
    assert tab.get_by_role("button").count() == 0


def test_thousands_of_images_are_no_burden(open_page: Open) -> None:
    page = Page("Many", "", (), sections=(Section("s", "s", parts=(gallery(2000),)),))
    tab = open_page(page)
    assert tab.locator(".shot").count() == 24
    spent_ms = tab.evaluate(
        """() => {
            const start = performance.now();
            const search = document.querySelector("#wrong input");
            search.value = "pic_1";
            search.dispatchEvent(new Event("input"));
            return performance.now() - start;
        }"""
    )
    assert tab.locator(".shot").count() == 24
    assert spent_ms < 1000
