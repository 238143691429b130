// Charts of records: axes and filters are chosen here, Bokeh draws. Names are texts, never markup.
// tables.js and picture.js come before it.
"use strict";

const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f"];
const MARKERS = ["circle", "square", "triangle", "diamond", "inverted_triangle", "plus", "x", "star"];
const MOST_NAMES = 24; // series that the legend names

class RecordChart {
  constructor(section, data, root) {
    this.section = section;
    this.data = data;
    this.model = (name) => root.get_model_by_name(`${data.name}-${name}`);
    this.plot = this.model("plot");
    this.points = this.model("points");
    this.columns = {};
    for (const [name, column] of Object.entries(data.columns)) this.columns[name] = reader(column);
    this.chosen = { ...data.chosen };
    this.x = data.x[0];
    this.y = data.y[0];
    this.hidden = new Set();
    this.place = -1;
    this.makeControls();
    this.points.selected.properties.indices.change.connect(() => this.pick());
    this.draw();
  }

  makeControls() {
    const box = this.section.querySelector(".controls");
    const select = (label, options, chosen, change) => {
      const list = element("select");
      for (const [value, text] of options) {
        list.append(element("option", { value, textContent: text, selected: value === chosen }));
      }
      list.addEventListener("change", () => { change(list.value); this.draw(); });
      box.append(element("label", {}, label, list));
    };
    for (const axis of ["y", "x"]) {
      const choices = this.data[axis];
      if (choices.length > 1) {
        const key = (one) => [one.column, ...["over", "inverse", "relative"].filter((kind) => one[kind])].join("-");
        const options = choices.map((one) => [key(one), one.label]);
        select(axis === "y" ? this.data.yChoice : "Against", options, key(this[axis]), (value) => {
          this[axis] = choices.find((one) => key(one) === value);
        });
      }
    }
    for (const [name, label] of this.data.filters) {
      const column = this.data.columns[name];
      const levels = column && column.levels ? column.levels : [];
      if (levels.length > 1) {
        const options = [["", "all"], ...levels.map((one) => [`=${one}`, one])];
        const chosen = this.chosen[name] === undefined ? "" : `=${this.chosen[name]}`;
        select(label, options, chosen, (value) => {
          if (value) this.chosen[name] = value.slice(1);
          else delete this.chosen[name];
        });
      }
    }
    const button = (text, click) => {
      const made = element("button", { type: "button", textContent: text });
      made.addEventListener("click", click);
      box.append(made);
    };
    button("Zoom in", () => this.zoom(0.5));
    button("Zoom out", () => this.zoom(2));
    button("Whole", () => this.fit());
    button("Previous point", () => this.step(-1));
    button("Next point", () => this.step(1));
    button("Save as SVG", () => new ChartPicture(this).save("svg"));
    button("Save as PNG", () => new ChartPicture(this).save("png"));
  }

  // A column of the y axis as a function of the row.
  yValue(name) {
    if (!name) return () => null;
    const column = this.columns[name];
    if (!this.y.inverse && !this.y.over) return column;
    const over = this.y.over ? this.columns[this.y.over] : () => 1;
    return (row) => {
      const value = column(row);
      if (value === null || (this.y.inverse && value <= 0)) return null;
      return this.y.inverse ? over(row) / value : value / over(row);
    };
  }

  // Rows that the filters leave and that have both coordinates. Without a value, a row stays.
  rows() {
    const filters = Object.entries(this.chosen).map(([name, value]) => [this.columns[name], value]);
    const x = this.columns[this.x.column];
    const y = this.yValue(this.y.column);
    const found = [];
    for (let row = 0; row < this.data.length; row += 1) {
      const kept = filters.every(([column, value]) => {
        const own = column(row);
        return own === null || own === value;
      });
      const own = y(row);
      if (kept && x(row) !== null && own !== null && !(this.y.relative && own <= 0)) found.push(row);
    }
    return found;
  }

  seriesOf(row) {
    // What the x axis does not show tells lines apart: nodes against threads, and the other way.
    const rest = this.data.x.map((one) => one.column).filter((one) => one !== this.x.column);
    const own = this.x.column === "cores" || this.data.x.length < 2 ? [] : rest.filter((one) => one !== "cores");
    const words = this.telling.map((name) => this.columns[name](row)).filter((one) => one !== null && one !== "");
    const count = (name) => {
      const value = this.columns[name](row);
      return `${value} ${value === 1 ? name.replace(/s$/, "") : name}`;
    };
    return [words.join(", "), ...own.map(count)].join(", ");
  }

  // Columns that tell the lines that are shown apart: what all have in common is in the lists above.
  tellingColumns(rows) {
    const differ = this.data.series.filter((name) => {
      const values = new Set(rows.map(this.columns[name]));
      values.delete(null);
      return values.size > 1;
    });
    return differ.length > 0 ? differ : this.data.series.slice(0, 1);
  }

  // The name of the y axis: that of the points, where they have one in common.
  yLabel(rows) {
    if (!this.data.named || this.y !== this.data.y[0] || rows.length === 0) return this.y.label;
    const names = new Set(rows.map(this.columns[this.data.named]));
    return names.size === 1 ? this.data.names[Array.from(names)[0]] : this.y.label;
  }

  draw() {
    const rows = this.rows();
    this.telling = this.tellingColumns(rows);
    const series = new Map();
    for (const row of rows) {
      const name = this.seriesOf(row);
      if (!series.has(name)) series.set(name, []);
      series.get(name).push(row);
    }
    const hoverColumns = this.data.hover.map(([name]) => this.columns[name]);
    const x = this.columns[this.x.column];
    const ends = this.y.inverse ? [this.y.high, this.y.low] : [this.y.low, this.y.high];
    const [y, low, high] = [this.y.column, ...ends].map((name) => this.yValue(name));
    const reference = this.data.reference ? this.columns[this.data.reference] : () => null;
    const points = { x: [], y: [], low: [], high: [], colour: [], marker: [], alpha: [], row: [] };
    hoverColumns.forEach((_, n) => { points[`h${n}`] = []; });
    const lines = { xs: [], ys: [], colour: [] };
    const references = { xs: [], ys: [], colour: [] };
    const names = [];
    let place = 0;
    for (const [name, own] of series) {
      const colour = COLOURS[place % COLOURS.length];
      const marker = MARKERS[(place + Math.floor(place / COLOURS.length)) % MARKERS.length];
      place += 1;
      const base = this.y.relative ? y(own.reduce((one, other) => (x(other) < x(one) ? other : one))) : 1;
      const value = (row) => y(row) / base;
      const dashed = reference(own[0]) === "yes";
      names.push([name, colour, marker, dashed]);
      if (this.hidden.has(name)) continue;
      own.sort((one, other) => x(one) - x(other));
      for (const row of own) {
        points.x.push(x(row));
        points.y.push(value(row));
        points.low.push(low(row) === null ? value(row) : low(row));
        points.high.push(high(row) === null ? value(row) : high(row));
        points.colour.push(colour);
        points.marker.push(marker);
        points.alpha.push(dashed ? 0 : 0.9);
        points.row.push(row);
        hoverColumns.forEach((column, n) => points[`h${n}`].push(String(column(row) ?? "")));
      }
      if (!this.data.joined) continue;
      const target = dashed ? references : lines;
      target.xs.push(own.map(x));
      target.ys.push(own.map(value));
      target.colour.push(colour);
    }
    this.points.selected.indices = [];
    this.points.data = points;
    this.model("lines").data = lines;
    this.model("references").data = references;
    this.model("ideal").data = this.ideal(points.x);
    this.plot.below[0].axis_label = this.x.label;
    this.plot.left[0].axis_label = this.yLabel(rows);
    this.place = -1;
    this.names = names;
    this.makeLegend(names);
    this.fit();
    this.section.dataset.points = points.x.length;
    this.say(`${points.x.length} points of ${this.data.length}. Drag to zoom; choose a point for its record.`);
  }

  ideal(x) {
    if (!this.y.ideal || x.length === 0) return { xs: [], ys: [], colour: [] };
    const ends = [Math.min(...x), Math.max(...x)];
    const y = this.y.ideal === "x" ? ends : [1, 1];
    return { xs: [ends], ys: [y], colour: ["#7f7f7f"] };
  }

  makeLegend(names) {
    const box = this.section.querySelector(".legend");
    const buttons = names.slice(0, MOST_NAMES).map(([name, colour]) => {
      const swatch = element("span");
      swatch.style.background = colour;
      const button = element("button", { type: "button" }, swatch, name || "all");
      button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
      button.addEventListener("click", () => {
        if (this.hidden.has(name)) this.hidden.delete(name);
        else this.hidden.add(name);
        this.draw();
        const again = Array.from(box.querySelectorAll("button")).find((one) => one.textContent === (name || "all"));
        if (again) again.focus();
      });
      return button;
    });
    const more = names.length - buttons.length;
    box.replaceChildren(...buttons, ...(more > 0 ? [`and ${more} more: filter to see their names`] : []));
  }

  // Ranges that hold all points with a margin; logarithmic where the axis is.
  fit() {
    const { x, low, high } = this.points.data;
    this.setRange(this.plot.x_range, x, this.data.logX);
    this.setRange(this.plot.y_range, [...low, ...high, ...this.idealValues()], this.data.logY);
  }

  idealValues() {
    return this.model("ideal").data.ys.flat();
  }

  setRange(range, values, log) {
    const scale = log ? Math.log : (one) => one;
    const back = log ? Math.exp : (one) => one;
    let [least, most] = [Infinity, -Infinity];
    for (const value of values) {
      if (log && value <= 0) continue;
      const own = scale(value);
      if (own < least) least = own;
      if (own > most) most = own;
    }
    if (least > most) [least, most] = [scale(1), scale(2)];
    const margin = Math.max((most - least) * 0.06, log ? 0.05 : 0.3);
    range.setv({ start: back(least - margin), end: back(most + margin) });
  }

  zoom(factor) {
    for (const [range, log] of [[this.plot.x_range, this.data.logX], [this.plot.y_range, this.data.logY]]) {
      const scale = log ? Math.log : (one) => one;
      const back = log ? Math.exp : (one) => one;
      const [start, end] = [scale(range.start), scale(range.end)];
      const [middle, half] = [(start + end) / 2, ((end - start) / 2) * factor];
      range.setv({ start: back(middle - half), end: back(middle + half) });
    }
  }

  step(by) {
    const count = this.points.data.x.length;
    if (count === 0) return;
    this.place = (this.place + by + count) % count;
    this.points.selected.indices = [this.place];
  }

  pick() {
    const chosen = this.points.selected.indices;
    if (chosen.length === 0) return;
    this.place = chosen[0];
    const row = this.points.data.row[this.place];
    const words = this.data.hover.map(([name, label]) => `${label}: ${this.columns[name](row) ?? ""}`);
    const y = this.points.data.y[this.place];
    const parts = [`${this.plot.left[0].axis_label}: ${Number(y.toPrecision(6))}; ${words.join("; ")} `];
    const address = this.data.link ? this.columns[this.data.link](row) : null;
    if (address) parts.push(element("a", { href: address, textContent: "record" }));
    if (chosen.length > 1) parts.push(` (and ${chosen.length - 1} more here)`);
    this.say(...parts);
  }

  say(...parts) {
    this.section.querySelector(".picked").replaceChildren(...parts);
  }
}

async function startCharts() {
  window.ridgebenchCharts = [];
  for (const section of document.querySelectorAll("section.chart")) {
    const script = section.querySelector("script[type='application/json']");
    if (!script) continue;
    const data = JSON.parse(script.textContent);
    await Bokeh.embed.embed_item(data.bokeh, `${data.name}-canvas`);
    const root = Bokeh.documents[Bokeh.documents.length - 1];
    window.ridgebenchCharts.push(new RecordChart(section, data, root));
  }
}

document.addEventListener("DOMContentLoaded", () => {
  Bokeh.set_log_level("warn");
  startCharts().finally(() => { document.body.dataset.ready = "yes"; });
});
