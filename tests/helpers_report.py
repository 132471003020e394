"""A report as rich as they come, of made-up images and numbers; and texts that mean harm."""

from __future__ import annotations

import io
from base64 import b64encode
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from featx.reporting.parts import Code, Drawing, Gallery, Key, Page, Section, Sheet, Shot

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)' autofocus='",
    "</script><script>alert(1)</script>",
    "</title></style></noscript></textarea><svg onload=alert(1)>",
    "<!--<script>",
    "]]>",
    "{{7*7}}{% raw %}{# no #}",
    "&lt;b&gt; &amp; &#60;i&#62;",
    "javascript:alert(1)",
    "null\x00byte\x1b[31m",
    "byte-\udcff-\ud800.png",
    "gpj.\u202etxt\u2066",
    "one\ntwo\tthree\r\u2028four\u2029",
    "",
)


def tile(number: int) -> str:
    """Give a coloured tile, each number's another, as a data URI."""
    picture = Image.new("RGB", (48, 36), (37 * number % 256, 91 * number % 256, 160))
    inner = Image.new("RGB", (20, 14), (250 - 53 * number % 200, 230, 29 * number % 256))
    picture.paste(inner, (5 + number * 7 % 22, 4 + number * 5 % 16))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode('ascii')}"


def shot(number: int, **changes: Any) -> Shot:
    """Give an image with its three scores; of four, the head took one for what it is."""
    target = CLASSES[number % 7]
    said, second, third = (CLASSES[(number + number % 4 + n) % 7] for n in range(3))
    high = 0.98 - number % 40 / 100
    scores = ((said, high), (second, (1 - high) * 0.8), (third, (1 - high) * 0.2))
    made = Shot(
        path=f"{target}/pic_{number:03}.jpg",
        src=tile(number),
        target=target,
        said=said,
        scores=scores,
        weight=1000.0 - number,
        fold=number % 5,
    )
    return replace(made, **changes)


def drawing(name: str, width: int = 340, height: int = 220) -> Drawing:
    """Give a bar chart as `featx.plots.to_svg` writes one: in the page's colour, ids of its own."""
    floor, step = height - 30, (width - 70) / 8
    bars = "".join(
        f'<path d="M {50 + n * step:.1f} {floor} h {step - 8:.1f} v -{(n * 37 + 60) % 140 + 20} '
        f'h -{step - 8:.1f} z" style="fill:#0072B2" clip-path="url(#fx-{name}-clip)"/>'
        f'<text x="{50 + n * step:.1f}" y="{height - 12}" style="font-size:9px">class {n}</text>'
        for n in range(8)
    )
    grid = "".join(
        f'<path d="M 40 {y} H {width - 10}" style="stroke:currentColor;stroke-opacity:0.16"/>'
        for y in range(20, floor, 35)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'fill="currentColor" style="width:100%;max-width:{width * 4 / 3:.0f}px;height:auto">'
        f'<title>{name}</title><defs><clipPath id="fx-{name}-clip"><rect x="40" y="10" '
        f'width="{width - 50}" height="{floor - 10}"/></clipPath></defs>{grid}'
        f'<path d="M 40 10 V {floor} H {width - 10}" style="fill:none;stroke:currentColor"/>'
        f"{bars}</svg>"
    )
    return Drawing(
        name=name,
        title="Accuracy for each class",
        svg=svg,
        alt="Bars of the accuracy for each of eight classes, between 0.71 and 0.97",
        caption="Mean over five folds; a class of few images varies more.",
    )


def long_sheet() -> Sheet:
    """Give a table that is long enough to be sorted."""
    rows = tuple(
        (
            f"class {n}",
            f"{(n * 37) % 101 / 100:.3f} \u00b1 0.012",
            f"{(n * 7919) % 4000:,}",
            f"{n % 3} min {n * 7 % 60} s" if n % 4 else f"{n / 10:.1f} s",
            "-" if n % 5 == 0 else f"{n * 13 % 100 / 100 - 0.5:.2f}".replace("-", "\u2212"),
        )
        for n in range(1, 27)
    )
    header = ("class", "recall", "images", "time", "gain")
    return Sheet("Each class", header, rows, frozenset({1, 2, 3, 4}), "Recall is of its own.")


def short_sheet() -> Sheet:
    return Sheet(
        "How it was estimated",
        ("what", "value"),
        (
            ("backbone", "resnet50 / IMAGENET1K_V2, layer avgpool, 2,048 values"),
            ("head", "svm with C chosen among 7 in each training set"),
            ("splits", "5 folds, stratified, groups of near-identical images kept together"),
        ),
    )


def gallery(n: int = 130) -> Gallery:
    shots = tuple(
        shot(number)
        if number % 9
        else shot(number, src="", missing="the file is gone since the extraction")
        for number in range(n)
    )
    return Gallery(
        "wrong",
        "Most surprising mistakes",
        "Images that the head was sure of and wrong about: label, then what it said.",
        shots,
        "probability",
    )


def twins() -> Gallery:
    shots = tuple(
        shot(
            n,
            other=shot(n + 40, scores=(), note="the same picture, mirrored"),
            note="similarity 0.998",
            scores=(("dog", 1.82), ("horse", -0.31), ("house", -1.4)),
        )
        for n in range(6)
    )
    return Gallery("twins", "Nearly identical, in different folds", "Side by side.", shots)


def rich_page() -> Page:
    """Give a page with everything that a page can hold."""
    estimate = Section(
        "estimate",
        "How good it is",
        ("Each image was tested by a head that never saw it.", "So was every choice."),
        (drawing("classes"), drawing("curve"), drawing("folds", 490, 210), short_sheet()),
    )
    images = Section("images", "Images to look at", ("Worth ten minutes.",), (gallery(), twins()))
    tables = Section("tables", "All numbers", (), (long_sheet(), drawing("alone", 560, 250)))
    again = Section(
        "again",
        "Do it again",
        ("The same data give the same numbers.",),
        (
            Code(
                "The commands",
                "featx extract photos --backbone resnet50 --name pacs\n"
                "featx fit pacs --target label --head svm --cv 5 --seed 0 --out runs/pacs-svm "
                "--group near-identical --metrics accuracy,macro-f1",
            ),
            Code(
                "A paragraph for the methods section",
                "Features of a frozen ResNet-50 (ImageNet weights V2) were classified by a linear "
                "support vector machine.\nThe cost was chosen by nested cross-validation.",
                prose=True,
            ),
        ),
    )
    return Page(
        title="Art painting: what is in the picture",
        subtitle="2,048 images in 7 classes, resnet50 and a linear support vector machine",
        summary=(
            "A new image of this kind is named rightly about 89 times in 100.",
            "Horses are taken for dogs more often than anything else is confused.",
            "Twice as many images would bring about one point more.",
        ),
        keys=(
            Key("0.889 \u00b1 0.012", "accuracy", "95 %: 0.876 to 0.902, nested 5-fold"),
            Key("0.871", "macro F1", "mean over classes"),
            Key("0.143", "by chance", "the most frequent class: 0.219"),
            Key("2,048", "images", "7 classes, 2,048 values each"),
            Key("41 s", "from images to numbers", "38 s of it the network"),
        ),
        cautions=(
            "14 pairs of near-identical images lie in different folds; without them: 0.884.",
            "9 labels are likely wrong.",
        ),
        sections=(estimate, images, tables, again),
        made="Made on 2026-11-27 by featx 0.1.0 from run runs/pacs-svm, seed 0.",
    )


def with_texts(value: Any, text: str) -> Any:
    """Give parts with ``text`` in place of every text, but for markup and names."""
    if isinstance(value, str):
        return text if value else value
    if isinstance(value, tuple):
        return tuple(with_texts(one, text) for one in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    names = {f.name for f in fields(value)} - {"name", "svg", "src"}
    return replace(value, **{name: with_texts(getattr(value, name), text) for name in names})


def serious(tab: Tab) -> list[str]:
    """Give what a reader with another sense than sight, or with weak sight, cannot use."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(tab).response["violations"]
    return [
        f"{found['id']}: {node['html']}"
        for found in violations
        if found["impact"] in {"serious", "critical"}
        for node in found["nodes"]
    ]
