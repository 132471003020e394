"""The page of a report, as text: whole, harmless whatever data are called, always the same."""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from helpers_report import CLASSES, HOSTILE, drawing, gallery, rich_page, shot, tile, with_texts

from featx._visible import one_line, visible
from featx.reporting.page import render
from featx.reporting.parts import Code, Gallery, Key, Page, Part, Section, Sheet

VOID = {"meta", "link", "img", "br", "hr", "input"}
FETCHING = {"src", "srcset", "href", "xlink:href", "action", "formaction", "data", "poster"}


class Reader(HTMLParser):
    """Reads a page and checks on the way that every element is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice: {attrs}"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.append((tag, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"<{tag}/> outside a drawing"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))

    def text_of(self, tag: str) -> list[str]:
        return [text for inside, text in self.texts if inside == tag and text]

    def structure(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in self.tags]


def data_of(page: str) -> dict[str, object]:
    found = re.findall(r'<script type="application/json" id="page-data">(.*?)</script>', page)
    assert len(found) == 1
    return json.loads(found[0])


def alone(part: Part) -> Page:
    return Page("t", "", (), sections=(Section("s", "s", parts=(part,)),))


@pytest.fixture(scope="module")
def page() -> str:
    return render(rich_page())


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


def test_the_same_page_is_the_same_text(page: str) -> None:
    assert render(rich_page()) == page


def test_headings_go_down_one_at_a_time(reader: Reader) -> None:
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_ids_are_there_once_and_links_lead_to_them(reader: Reader) -> None:
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    targets = {a["href"][1:] for tag, a in reader.tags if tag == "a"}
    targets |= {a["xlink:href"][1:] for _, a in reader.tags if "xlink:href" in a}
    assert targets <= set(ids)
    assert {"estimate", "images", "tables", "again", "classes", "wrong"} <= set(ids)


def test_landmarks_are_there_once(reader: Reader) -> None:
    tags = [tag for tag, _ in reader.tags]
    assert [tags.count(name) for name in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]


def test_nothing_is_fetched(page: str, reader: Reader) -> None:
    for tag, attributes in reader.tags:
        for name in FETCHING & set(attributes):
            assert attributes[name].startswith(("#", "data:")), (tag, attributes)
        for name, value in attributes.items():
            assert "url(" not in value or "url(#" in value, (tag, name, value)
            assert not name.startswith("on"), (tag, name)
    for style in reader.text_of("style"):
        assert not re.search(r"url\(|@import|expression", style)


def test_the_policy_allows_this_script_alone(reader: Reader) -> None:
    (policy,) = [a["content"] for _, a in reader.tags if "http-equiv" in a]
    script = "".join(reader.text_of("script")).partition('"use strict";')
    digest = b64encode(sha256((script[1] + script[2]).encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest}'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert [a for tag, a in reader.tags if tag == "script"] == [
        {"type": "application/json", "id": "page-data"},
        {},
    ]


def test_the_script_makes_no_markup_of_strings(reader: Reader) -> None:
    script = reader.text_of("script")[-1]
    words = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|fetch\("
    assert not re.search(words, script)


@pytest.mark.parametrize("text", HOSTILE[:-1], ids=range(len(HOSTILE) - 1))
def test_no_text_becomes_markup(text: str, reader: Reader) -> None:
    page = render(with_texts(rich_page(), text))
    page.encode("utf-8")
    hostile = Reader(page)
    assert hostile.structure() == reader.structure()
    assert set(hostile.text_of("h1")) == {visible(text)}
    assert one_line(text) in hostile.text_of("bdi")
    labels = [a["aria-label"] for tag, a in hostile.tags if (tag, a.get("role")) == ("div", "img")]
    assert labels == [visible(text)] * 4
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_the_images_come_back_out_of_the_page(text: str) -> None:
    other = shot(1, path=text)
    hostile = shot(0, path=text, target=text, said=text, scores=((text, 0.5),), other=other)
    part = Gallery("g", text, text, (hostile, shot(1)))
    page = render(Page(text, text, (text,), sections=(Section("s", text, parts=(part,)),)))
    data = data_of(page)
    assert data["images"] == [tile(0), tile(1)], "each thumbnail is held once"
    first, second = data["galleries"]["g"]["shots"]
    shown = one_line(text)
    assert (first["path"], first["target"], first["said"]) == (shown, shown, shown)
    assert first["scores"] == [[shown, 0.5]]
    assert (first["other"]["path"], first["other"]["image"], second["image"]) == (shown, 1, 1)


def test_bytes_that_are_no_utf8_are_shown_as_bytes() -> None:
    path = os.fsdecode(b"caf\xe9/\xff.png")
    page = render(Page(path, "", (path,), sections=(Section("s", path, (), (Code("c", path),)),)))
    assert page.encode().decode().count(r"caf\xe9/\xff.png") == 6


def test_what_is_not_a_number_is_none() -> None:
    odd = shot(0, scores=(("a", float("nan")), ("b", float("inf"))), fold=None)
    page = render(alone(Gallery("g", "g", "", (odd,))))
    (found,) = data_of(page)["galleries"]["g"]["shots"]
    assert found["scores"] == [["a", None], ["b", None]]
    assert found["fold"] is None


def test_without_a_script_the_first_images_are_listed(reader: Reader) -> None:
    tags = [tag for tag, _ in reader.tags]
    start = tags.index("noscript")
    assert tags[start : tags.index("figure", start)].count("li") == 24 + 6
    assert f"{CLASSES[0]}/pic_000.jpg" in reader.text_of("bdi")


def test_tables_say_what_heads_what(reader: Reader) -> None:
    scopes = [a["scope"] for tag, a in reader.tags if tag == "th"]
    assert scopes == ["col"] * 2 + ["row"] * 3 + ["col"] * 5 + ["row"] * 26
    numbers = [a for tag, a in reader.tags if tag == "td" and a.get("class") == "number"]
    assert len(numbers) == 26 * 4
    assert [tag for tag, a in reader.tags if "data-sortable" in a] == ["table"]


def test_a_list_of_names_and_values_is_not_sorted() -> None:
    part = Sheet("t", ("name", "value"), (("a", "b"),) * 30)
    assert '<table class="pairs">' in render(alone(part))


def test_a_table_whose_first_column_is_numbers_has_no_row_heads() -> None:
    part = Sheet("t", ("fold", "score"), (("0", "0.9"),), frozenset({0, 1}))
    page = Reader(render(alone(part)))
    assert [a["scope"] for tag, a in page.tags if tag == "th"] == ["col", "col"]


def test_drawings_stay_as_they_are_and_narrow_ones_stand_two_abreast(page: str) -> None:
    for part in (drawing("classes"), drawing("curve"), drawing("folds", 490, 210)):
        assert part.svg in page
    found = re.findall(r'<figure id="([a-z]+)"|<div class="(drawings[a-z ]*)">', page)
    assert [name or row for name, row in found] == [
        *("drawings two", "classes", "curve"),
        *("drawings", "folds"),
        *("drawings wide", "alone"),
    ]


def test_a_name_that_comes_twice_is_refused() -> None:
    twice = Section("wrong", "t", parts=(gallery(1),))
    with pytest.raises(ValueError, match="twice: wrong"):
        render(Page("t", "", (), sections=(twice,)))


def test_the_least_page_is_whole() -> None:
    page = Reader(render(Page("t", "", ())))
    assert not {"nav", "footer", "dl", "h2"} & {tag for tag, _ in page.tags}
    empty = Section("s", "s", parts=(Gallery("g", "g", "", ()),))
    assert "None." in Reader(render(Page("t", "", (), (Key("1", "n"),), (), (empty,)))).text_of("p")


def test_many_images_are_held_and_not_written_out() -> None:
    part = gallery(2000)
    page = render(alone(part))
    assert len(data_of(page)["galleries"]["wrong"]["shots"]) == 2000
    assert page.count("<li>") == 24 + 1
