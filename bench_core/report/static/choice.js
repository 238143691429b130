// Two sides that are chosen, and the comparison of them. Names are texts, never markup.
// tables.js comes before it.
"use strict";

const OPPOSITE = { faster: "slower", slower: "faster" };

function digits(value) {
  return value === null ? "" : String(Number(value.toPrecision(3)));
}

function secondsText(value) {
  if (value < 1) return `${digits(value * 1000)} ms`;
  return value < 1000 ? `${digits(value)} s` : `${Math.round(value).toLocaleString("en")} s`;
}

// A word as a shell takes it.
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`;
}

class PairChoice {
  constructor(section) {
    this.section = section;
    this.data = JSON.parse(section.querySelector("script[type='application/json']").textContent);
    this.column = {};
    for (const [name, one] of Object.entries(this.data.cases)) this.column[name] = reader(one);
    const box = section.querySelector(".controls");
    this.lists = {};
    for (const [name, label] of [["what", "What"], ["second", "Compare"], ["first", "Against"]]) {
      const list = element("select");
      list.addEventListener("change", () => (name === "what" ? this.refill() : this.show()));
      box.append(element("label", {}, label, list));
      this.lists[name] = list;
    }
    this.fill("what", this.data.what.map(([value, text]) => [value, text]));
    this.refill();
  }

  fill(name, options) {
    this.lists[name].replaceChildren(
      ...options.map(([value, textContent]) => element("option", { value, textContent })),
    );
  }

  // The sides of what is compared; chosen is the first comparison that there is.
  refill() {
    this.what = this.lists.what.value;
    this.sides = this.data.sides[this.what];
    const options = this.sides.map(([, text, note], place) => [place, note ? `${text} ${note}` : text]);
    const known = this.data.pairs.find((one) => one.of[0] === this.what);
    // Of commits the newest stands first in the list, and is the second side.
    const usual = this.what === "commit" ? [1, 0] : [0, 1];
    const [first, second] = known ? known.of.slice(1) : usual;
    for (const [name, place] of [["first", first], ["second", second]]) {
      this.fill(name, options);
      this.lists[name].value = place;
    }
    this.show();
  }

  show() {
    const first = Number(this.lists.first.value);
    const second = Number(this.lists.second.value);
    const same = (of, one, other) => of[0] === this.what && of[1] === one && of[2] === other;
    const either = (of) => same(of, first, second) || same(of, second, first);
    const found = this.data.pairs.find((one) => either(one.of));
    this.section.dataset.rows = 0;
    const answer = this.section.querySelector(".answer");
    const cases = this.section.querySelector(".cases");
    cases.replaceChildren();
    if (first === second) {
      answer.replaceChildren(element("p", {}, "Both are the same: choose two."));
    } else if (found) {
      const turned = !same(found.of, first, second);
      answer.replaceChildren(...this.words(found, turned, first, second));
      cases.append(this.table(found, turned, first, second));
    } else if (this.data.empty.some(either)) {
      answer.replaceChildren(element("p", {}, "No case has valid times on both sides."));
    } else {
      const option = this.what === "environment" ? [] : [`--${this.what}`];
      const words = ["ridgebench", "compare", ...option, this.sides[first][0], this.sides[second][0]];
      const command = element("code", { textContent: words.map(quoted).join(" ") });
      answer.replaceChildren(
        element("p", { className: "warning" }, "This page had no room for this comparison. ", command, " gives it."),
      );
    }
  }

  // A verdict, its ratio and interval, in the order that is chosen.
  turn([ratio, low, high, verdict], turned) {
    if (!turned) return { ratio, low, high, verdict };
    const inverse = (value) => (value === null ? null : 1 / value);
    return {
      ratio: 1 / ratio, low: inverse(high), high: inverse(low), verdict: OPPOSITE[verdict] || verdict,
    };
  }

  rowsOf(found, turned) {
    const rows = [];
    for (let row = found.rows[0]; row < found.rows[1]; row += 1) {
      const of = (name) => this.column[name](row);
      const sides = turned ? ["second", "first"] : ["first", "second"];
      rows.push({
        machine: of("machine"),
        case: of("case"),
        times: sides.map((side) => [of(side), of(`${side}_record`)]),
        ...this.turn([of("ratio"), of("low"), of("high"), of("verdict")], turned),
      });
    }
    return rows;
  }

  words(found, turned, first, second) {
    const count = new Map(this.data.verdicts.map((verdict) => [verdict, 0]));
    for (const one of this.rowsOf(found, turned)) count.set(one.verdict, count.get(one.verdict) + 1);
    const counts = Array.from(count).filter(([, number]) => number > 0)
      .map(([verdict, number]) => `${number} ${verdict}`).join(", ");
    const names = `${this.sides[second][1]} against ${this.sides[first][1]}`;
    let text = `${names}: cannot tell (${found.over}: ${counts})`;
    if (found.mean) {
      const mean = this.turn(found.mean, turned);
      const interval = mean.low === null ? "" : ` (${mean.low.toFixed(2)} – ${mean.high.toFixed(2)})`;
      text = `${names}: ${mean.verdict}, ${mean.ratio.toFixed(2)}${interval} of the time in the geometric mean over ${found.over} (${counts})`;
    }
    const notes = [...found.notes];
    if (found.unpaired) notes.push(`Cases of one side alone: ${found.unpaired}; the table below has them.`);
    return [
      element("p", {}, element("strong", { textContent: text })),
      ...notes.map((note) => element("p", { className: "faint", textContent: note })),
    ];
  }

  table(found, turned, first, second) {
    const names = [first, second].map((place) => this.sides[place][1]);
    const headings = ["machine", "case", ...names, "ratio", "low", "high", "verdict"];
    const numeric = (place) => place > 1 && place < 7;
    const head = element("tr", {}, ...headings.map((text, place) => (
      element("th", { scope: "col", className: numeric(place) ? "n" : "", textContent: text })
    )));
    const cell = (text, value, address) => {
      const made = element("td", { className: value === undefined ? "" : "n" });
      if (typeof value === "number") made.dataset.v = value;
      made.append(address ? element("a", { href: address, textContent: text }) : text);
      return made;
    };
    const rows = this.rowsOf(found, turned).map((one) => element("tr", {},
      cell(one.machine),
      cell(one.case),
      ...one.times.map(([value, address]) => cell(secondsText(value), value, address)),
      ...[one.ratio, one.low, one.high].map((value) => cell(digits(value), value)),
      cell(one.verdict),
    ));
    const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
    const scroll = element("div", { className: "scroll", tabIndex: 0 }, table);
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `${names[1]} against ${names[0]}`);
    const box = element("div", { className: "table" }, scroll);
    if (rows.length > 1) makeSortable(table);
    if (rows.length >= MANY) makeFilter(box, table);
    this.section.dataset.rows = rows.length;
    return box;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  window.ridgebenchChoices = Array.from(document.querySelectorAll("section.choice"), (one) => new PairChoice(one));
});
