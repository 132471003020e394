"use strict";
// What strangers wrote reaches the page as text alone: elements are made one by one.
(() => {
  const FIRST = 24;
  const MORE = 96;
  const FEW = 4; // a gallery of so few images needs no controls

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const labelled = (text, control) => make("label", {}, make("span", { textContent: text }), control);

  // ---- order: numbers as numbers, what is missing last, names as people sort them

  const UNITS = {
    ms: 0.001, s: 1, min: 60, h: 3600, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40,
  };
  const MISSING = new Set(["", "-", "\u2013", "\u2014", "nan", "none", "n/a"]);
  const collator = new Intl.Collator("en", { numeric: true });

  // The number that a text begins with: "0.889 ± 0.012", "4 min 17 s", "1.5 GiB", "< 0.001", "12,345".
  const amount = (text) => {
    const bare = text.split("\u00b1")[0].trim().replace(/^[<>\u2264\u2265\u2248~]\s*/, "")
      .replace(/^[\u2212\u2013]/, "-").replace(/(\d)[,\u2009\u202f\u00a0](?=\d{3}(?!\d))/g, "$1");
    const found = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?/i.exec(bare);
    if (!found) return NaN;
    const measured = [...bare.matchAll(/(\d+(?:\.\d+)?)\s?(ms|s|min|h|B|[KMGT]iB)(?![\w/])/g)];
    if (!measured.length || measured[0].index > 1) return Number(found[0]);
    const sum = measured.reduce((total, [, n, unit]) => total + Number(n) * UNITS[unit], 0);
    return bare.startsWith("-") ? -sum : sum;
  };
  const missing = (text) => MISSING.has(text.trim().toLowerCase());
  const numeric = (texts) => texts.every((text) => missing(text) || !Number.isNaN(amount(text)));

  // Order entries by a text of theirs; equal ones stay as they were.
  const ordered = (entries, text, down = false) => {
    const keyed = entries.map((entry) => ({ entry, text: text(entry), number: amount(text(entry)) }));
    const numbers = numeric(keyed.map((one) => one.text));
    const compare = (a, b) => (numbers ? a.number - b.number : 0) || collator.compare(a.text, b.text);
    const there = keyed.filter((one) => !missing(one.text));
    there.sort((a, b) => (down ? -compare(a, b) : compare(a, b)));
    return [...there, ...keyed.filter((one) => missing(one.text))].map((one) => one.entry);
  };

  // ---- tables

  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

  const sortable = (table) => {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make("button", { type: "button", className: "sort" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const order = NEXT[head.getAttribute("aria-sort") ?? "none"];
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (order !== "none") head.setAttribute("aria-sort", order);
        const text = (row) => row.cells[column]?.textContent ?? "";
        body.append(...(order === "none" ? original : ordered(original, text, order === "descending")));
      });
    });
  };

  // ---- galleries

  const data = JSON.parse(document.getElementById("page-data").textContent);

  const verdict = (shot) => {
    const line = make("p", { className: "verdict" });
    if (shot.target) {
      line.append(make("span", { className: "unseen", textContent: "label " }),
        make("bdi", { className: "target", textContent: shot.target }));
    }
    if (shot.said) {
      const kind = !shot.scores.length || !shot.target ? "" : shot.said === shot.target ? "right" : "wrong";
      line.append(shot.target ? " \u2192 " : "",
        make("span", { className: "unseen", textContent: "said " }),
        make("bdi", { className: `said ${kind}`, textContent: shot.said }));
    }
    return line;
  };

  const bars = (shot, kind) => {
    const likely = kind === "probability"; // margins have no zero that a bar could begin at
    const list = make("ul", { className: "scores" });
    for (const [name, score] of shot.scores) {
      const label = make("span", {});
      if (likely) {
        const bar = make("i", { className: "bar" });
        bar.style.width = `${Math.min(1, Math.max(0, score ?? 0)) * 100}%`;
        label.append(bar);
      }
      label.append(make("bdi", { textContent: name }));
      const number = score === null ? "\u2013" : score.toFixed(likely ? 3 : 2).replace("-", "\u2212");
      list.append(make("li", { title: `${kind} of ${name}` }, label, make("b", { textContent: number })));
    }
    list.setAttribute("aria-label", likely ? "Probabilities" : "Scores");
    return list;
  };

  const picture = (shot, alt) => make("img", { src: data.images[shot.image], alt, decoding: "async" });

  const face = (shot, enlarge) => {
    if (shot.image === null) {
      return make("div", { className: "thumb gone" }, shot.missing || "no thumbnail");
    }
    const button = make("button", { type: "button", className: "thumb" }, picture(shot, `Enlarge ${shot.path}`));
    button.addEventListener("click", enlarge);
    return button;
  };

  const words = (shot, kind) => {
    const parts = [make("p", { className: "path" }, make("bdi", { textContent: shot.path })), verdict(shot)];
    if (shot.scores.length) parts.push(bars(shot, kind));
    const rest = [shot.fold === null ? "" : `fold ${shot.fold}`, shot.note].filter(Boolean);
    if (rest.length) parts.push(make("p", { className: "rest" }, make("bdi", { textContent: rest.join(" \u00b7 ") })));
    return parts;
  };

  const card = (shot, kind, enlarge) => {
    const twins = shot.other ? [shot, shot.other] : [shot];
    const halves = twins.map((one) => make("div", { className: "half" }, face(one, enlarge), ...words(one, kind)));
    return make("li", { className: shot.other ? "shot pair" : "shot" }, ...halves);
  };

  // What a choice among the values of a field says; none where there is nothing to choose.
  const choice = (shots, field) => {
    const counts = new Map();
    for (const shot of shots) counts.set(shot[field], (counts.get(shot[field]) ?? 0) + 1);
    const values = ordered([...counts.keys()], (value) => value);
    const measured = shots.every((shot) => !shot.scores.length) && numeric(values);
    if (values.length < 2 || measured) return null;
    const select = make("select", {}, make("option", { value: "", textContent: "all" }));
    values.forEach((value, n) => {
      select.append(make("option", { value: String(n), textContent: `${value || "none"} (${counts.get(value)})` }));
    });
    return { select, fits: (shot) => select.value === "" || shot[field] === values[Number(select.value)] };
  };

  const ORDERS = {
    "most notable": (shots) => shots,
    path: (shots) => ordered(shots, (shot) => shot.path),
    label: (shots) => ordered(shots, (shot) => shot.target),
    prediction: (shots) => ordered(shots, (shot) => shot.said),
    fold: (shots) => ordered(shots, (shot) => String(shot.fold ?? "")),
  };

  const fill = (root) => {
    const { score, shots } = data.galleries[root.dataset.gallery];
    const place = root.querySelector("[data-cards]");
    if (!place) return;
    const list = make("ul", { className: "shots" });
    const count = make("p", { className: "count" });
    count.setAttribute("role", "status");
    const more = make("button", { type: "button", className: "more" });
    const order = make("select", {}, ...Object.keys(ORDERS)
      .filter((name) => name !== "fold" || shots.some((shot) => shot.fold !== null))
      .map((name) => make("option", { value: name, textContent: name })));
    const search = make("input", { type: "search", placeholder: "part of a path", autocomplete: "off" });
    const choices = { label: choice(shots, "target"), prediction: choice(shots, "said") };
    let found = [];
    let shown = 0;

    const show = (n) => {
      const next = found.slice(shown, shown + n);
      const offset = shown;
      list.append(...next.map((shot, i) => card(shot, score, () => look(found, offset + i, score))));
      shown += next.length;
      count.textContent = found.length === shots.length ? `${shown} of ${found.length} shown`
        : `${shown} of ${found.length} that match shown, ${shots.length} in all`;
      more.hidden = shown === found.length;
      more.textContent = `Show ${Math.min(MORE, found.length - shown)} more`;
    };
    const update = () => {
      const words = search.value.trim().toLowerCase();
      const named = (shot) => shot.path.toLowerCase().includes(words) || (shot.other !== null && named(shot.other));
      const fits = (shot) => named(shot) && Object.values(choices).every((one) => !one || one.fits(shot));
      found = ORDERS[order.value](shots).filter(fits);
      list.replaceChildren();
      shown = 0;
      show(FIRST);
    };
    more.addEventListener("click", () => {
      const before = list.children.length;
      show(MORE);
      list.children[before]?.querySelector("button")?.focus({ preventScroll: true });
    });
    for (const control of [order, search, choices.label?.select, choices.prediction?.select]) {
      control?.addEventListener("input", update);
    }
    const controls = make("div", { className: "controls" }, labelled("Sort by", order));
    for (const [name, one] of Object.entries(choices)) {
      if (one) controls.append(labelled(`Only ${name}`, one.select));
    }
    controls.append(labelled("Search", search), count);
    place.append(...(shots.length > FEW ? [controls] : []), list, more);
    update();
  };

  // ---- one image, enlarged

  const dialog = document.getElementById("page-look");

  const look = (shots, first, kind) => {
    let at = first;
    const inside = make("div", { className: "looked" });
    const step = (by) => {
      at = (at + by + shots.length) % shots.length;
      const shot = shots[at];
      inside.replaceChildren(...(shot.other ? [shot, shot.other] : [shot]).map((one) => make("div", { className: "half" },
        one.image === null ? make("div", { className: "thumb gone" }, one.missing || "no thumbnail") : picture(one, one.path),
        ...words(one, kind))));
      place.textContent = `${at + 1} of ${shots.length}`;
    };
    const place = make("span", { className: "count" });
    place.setAttribute("role", "status");
    const button = (text, act) => {
      const made = make("button", { type: "button", textContent: text });
      made.addEventListener("click", act);
      return made;
    };
    const bar = make("div", { className: "looking" }, button("Previous", () => step(-1)), button("Next", () => step(1)),
      place, button("Close", () => dialog.close()));
    dialog.replaceChildren(bar, inside);
    dialog.onkeydown = (event) => {
      if (event.key === "ArrowLeft") step(-1);
      if (event.key === "ArrowRight") step(1);
    };
    step(0);
    dialog.showModal();
    bar.lastChild.focus();
  };
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });

  // ---- copying, contents

  const select = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  };
  const copying = (button) => {
    const figure = button.closest("figure");
    const source = figure.querySelector("[data-text]");
    const said = figure.querySelector("[data-copied]");
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(source.textContent);
        said.textContent = "copied";
      } catch {
        select(source); // no permission, or a browser without one: the reader's own keys copy it
        said.textContent = "selected: press Ctrl+C or \u2318C";
      }
      setTimeout(() => { said.textContent = ""; }, 5000);
    });
  };

  const contents = (details) => {
    const wide = matchMedia("(min-width: 76rem)");
    const fit = () => { details.open = wide.matches; };
    wide.addEventListener("change", fit);
    fit();
    details.addEventListener("click", (event) => {
      if (event.target.closest("a") && !wide.matches) details.open = false;
    });
    const links = new Map([...details.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
    const seen = new Set();
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) seen.add(target.id);
        else seen.delete(target.id);
      }
      const here = [...links.keys()].find((id) => seen.has(id));
      links.forEach((link, id) => {
        if (id === here) link.setAttribute("aria-current", "location");
        else link.removeAttribute("aria-current");
      });
    }, { rootMargin: "-10% 0px -60% 0px" });
    links.forEach((link, id) => observer.observe(document.getElementById(id)));
  };

  // What scrolls inside itself can be reached by keys; what does not is no stop on the way.
  const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => {
    const scrolls = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
    if (scrolls) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }));

  document.querySelectorAll("[data-scrolls]").forEach((element) => sizes.observe(element));
  document.querySelectorAll("table[data-sortable]").forEach(sortable);
  document.querySelectorAll("[data-gallery]").forEach(fill);
  document.querySelectorAll("button[data-copy]").forEach(copying);
  document.querySelectorAll("[data-contents]").forEach(contents);
})();
