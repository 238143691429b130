// A chart as a picture to keep: SVG, or PNG made from it, of what is chosen and zoomed to.
// chart.js comes after it. Names are texts, never markup.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const PICTURE = { width: 960, height: 430, left: 84, right: 24, top: 58, below: 64, row: 18 };
const SHAPES = {
  circle: "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z",
  square: "M-4,-4H4V4H-4Z",
  triangle: "M0,-4.5L4.5,4H-4.5Z",
  inverted_triangle: "M0,4.5L4.5,-4H-4.5Z",
  diamond: "M0,-5L4,0L0,5L-4,0Z",
  plus: "M-4.5,0H4.5M0,-4.5V4.5",
  x: "M-3.5,-3.5L3.5,3.5M-3.5,3.5L3.5,-3.5",
  star: "M0,-5L1.4,-1.6L4.8,-1.5L2.2,.7L3,4L0,2.1L-3,4L-2.2,.7L-4.8,-1.5L-1.4,-1.6Z",
};

function svgElement(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function cut(words, most) {
  return words.length > most ? `${words.slice(0, most - 1)}…` : words;
}

function niceStep(span, most) {
  const raw = span / most;
  const unit = 10 ** Math.floor(Math.log10(raw));
  return unit * [1, 2, 5, 10].find((one) => one * unit >= raw);
}

// Values to mark between two ends: round ones, by factors where the axis is logarithmic.
function ticksBetween(start, end, log) {
  const found = [];
  if (log && end / start > 4) {
    const factors = end / start > 1000 ? [1] : [1, 2, 5];
    for (let power = Math.floor(Math.log10(start)); power <= Math.log10(end); power += 1) {
      for (const factor of factors) found.push(factor * 10 ** power);
    }
  } else {
    const step = niceStep(end - start, 6);
    for (let place = Math.ceil(start / step); place <= end / step; place += 1) found.push(place * step);
  }
  return found.filter((one) => one >= start && one <= end).map((one) => [one, String(Number(one.toPrecision(3)))]);
}

class ChartPicture {
  constructor(chart) {
    this.chart = chart;
    const { width, height, left, right, top, below } = PICTURE;
    this.box = { left, right: width - right, top, bottom: height - below };
    this.x = this.scale(chart.plot.x_range, chart.data.logX, this.box.left, this.box.right);
    this.y = this.scale(chart.plot.y_range, chart.data.logY, this.box.bottom, this.box.top);
  }

  scale(range, log, low, high) {
    const of = log ? Math.log : (one) => one;
    const [start, end] = [of(range.start), of(range.end)];
    return (value) => Number((low + ((of(value) - start) / (end - start)) * (high - low)).toFixed(2));
  }

  text(words, attributes) {
    return svgElement("text", { "font-size": 12, fill: "#1c2733", ...attributes }, words);
  }

  // What is shown, in words: the axes and what was chosen.
  words() {
    const { data, chosen, x } = this.chart;
    const kept = data.filters
      .filter(([name]) => chosen[name] !== undefined)
      .map(([name, label]) => `${label}: ${chosen[name]}`);
    return cut([`${this.chart.plot.left[0].axis_label} against ${x.label}`, ...kept].join("; "), 140);
  }

  axes() {
    const { left, right, top, bottom } = this.box;
    const { plot, data, x } = this.chart;
    const found = [];
    const names = plot.below[0].major_label_overrides;
    const fixed = plot.below[0].ticker.ticks;
    const label = (value) => (data.ticks ? names.get(value) : String(value));
    const across = fixed
      ? fixed.filter((one) => one >= plot.x_range.start && one <= plot.x_range.end).map((one) => [one, label(one)])
      : ticksBetween(plot.x_range.start, plot.x_range.end, data.logX);
    for (const [value, words] of across) {
      const at = this.x(value);
      found.push(svgElement("line", { x1: at, x2: at, y1: top, y2: bottom, stroke: "#e3e7ea" }));
      const turned = data.ticks ? { "text-anchor": "end", transform: `rotate(-35 ${at} ${bottom + 14})` } : { "text-anchor": "middle" };
      found.push(this.text(words ?? "", { x: at, y: bottom + 16, ...turned }));
    }
    for (const [value, words] of ticksBetween(plot.y_range.start, plot.y_range.end, data.logY)) {
      const at = this.y(value);
      found.push(svgElement("line", { x1: left, x2: right, y1: at, y2: at, stroke: "#e3e7ea" }));
      found.push(this.text(words, { x: left - 8, y: at + 4, "text-anchor": "end" }));
    }
    found.push(svgElement("rect", { x: left, y: top, width: right - left, height: bottom - top, fill: "none", stroke: "#66727f" }));
    found.push(this.text(x.label, { x: (left + right) / 2, y: bottom + (data.ticks ? 54 : 38), "text-anchor": "middle" }));
    const middle = (top + bottom) / 2;
    found.push(this.text(plot.left[0].axis_label, { x: 20, y: middle, "text-anchor": "middle", transform: `rotate(-90 20 ${middle})` }));
    return found;
  }

  paths() {
    const found = [];
    for (const [name, dash] of [["lines", ""], ["references", "6 4"], ["ideal", "2 3"]]) {
      const { xs, ys, colour } = this.chart.model(name).data;
      xs.forEach((values, n) => {
        const points = Array.from(values, (one, k) => `${this.x(one)},${this.y(ys[n][k])}`).join(" ");
        found.push(svgElement("polyline", { points, fill: "none", stroke: colour[n], "stroke-width": 1.4, "stroke-dasharray": dash }));
      });
    }
    return found;
  }

  mark(marker, colour, open, x, y, words) {
    const fill = open ? "#ffffff" : colour;
    const made = svgElement("path", { d: SHAPES[marker], fill, stroke: colour, transform: `translate(${x} ${y})` });
    if (words) made.append(svgElement("title", {}, words));
    return made;
  }

  dots() {
    const { data, columns, points } = this.chart;
    const { x, y, low, high, colour, marker, alpha, row } = points.data;
    const found = [];
    for (let n = 0; n < x.length; n += 1) {
      const at = this.x(x[n]);
      if (high[n] > low[n]) {
        found.push(svgElement("line", { x1: at, x2: at, y1: this.y(low[n]), y2: this.y(high[n]), stroke: colour[n], "stroke-opacity": 0.6 }));
      }
      const words = data.hover.map(([name, label]) => `${label}: ${columns[name](row[n]) ?? ""}`).join("; ");
      found.push(this.mark(marker[n], colour[n], alpha[n] === 0, at, this.y(y[n]), words));
    }
    return found;
  }

  legend(start) {
    const { names, hidden } = this.chart;
    const shown = names.filter(([name]) => !hidden.has(name));
    const named = shown.slice(0, MOST_NAMES);
    const found = named.flatMap(([name, colour, marker, open], n) => {
      const y = start + n * PICTURE.row;
      return [this.mark(marker, colour, open, 24, y - 4, ""), this.text(cut(name || "all", 140), { x: 38, y })];
    });
    const more = shown.length - named.length;
    if (more > 0) found.push(this.text(`and ${more} more`, { x: 38, y: start + named.length * PICTURE.row }));
    return found;
  }

  // The picture as an <svg> element, white below, so that it reads on any page.
  element() {
    const { left, right, top, bottom } = this.box;
    const rows = Math.min(this.chart.names.length, MOST_NAMES + 1);
    const { width } = PICTURE;
    const height = PICTURE.height + 14 + rows * PICTURE.row;
    const clip = svgElement("clipPath", { id: "inside" });
    clip.append(svgElement("rect", { x: left, y: top, width: right - left, height: bottom - top }));
    return svgElement(
      "svg",
      { xmlns: SVG, viewBox: `0 0 ${width} ${height}`, width, height, "font-family": "sans-serif" },
      svgElement("title", {}, this.chart.data.title),
      clip,
      svgElement("rect", { width, height, fill: "#ffffff" }),
      this.text(this.chart.data.title, { x: 16, y: 22, "font-size": 15, "font-weight": "bold" }),
      this.text(this.words(), { x: 16, y: 42 }),
      ...this.axes(),
      svgElement("g", { "clip-path": "url(#inside)" }, ...this.paths(), ...this.dots()),
      ...this.legend(PICTURE.height + 14),
    );
  }

  svg() {
    return new Blob([new XMLSerializer().serializeToString(this.element())], { type: "image/svg+xml" });
  }

  // The same with twice the pixels; the browser draws it from the SVG.
  async png() {
    const drawn = this.element();
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(drawn))}`;
    await image.decode();
    const canvas = element("canvas", { width: 2 * PICTURE.width, height: 2 * Number(drawn.getAttribute("height")) });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => { canvas.toBlob(done, "image/png"); });
  }

  async save(kind) {
    const address = URL.createObjectURL(await this[kind]());
    element("a", { href: address, download: `${this.chart.data.name}.${kind}` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  }
}
