// Plots, drawn by uPlot (uplot.js), in the colours of the style sheet.

import { make, put } from "./dom.js";

const scheme = matchMedia("(prefers-color-scheme: dark)");

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// One plot with its title and a legend that shows the last values. `lines`: {label, colour, dash};
// `written(value)`: a value as people read it. The plot's height is fixed, so nothing moves.
export class Chart {
  constructor(title, lines, { written = String, height = 150, least = 1, points = false, fill = false } = {}) {
    Object.assign(this, { _title: title, _lines: lines, _written: written, _height: height, _least: least, _points: points, _fill: fill });
    this._values = lines.map(() => make("b", {}, "–"));
    this._canvas = make("div", { class: "canvas", role: "img", "aria-label": title });
    this.element = make(
      "figure", { class: "chart" },
      make("figcaption", {}, make("span", { class: "title" }, title),
        make("span", { class: "legend" }, lines.map((line, place) =>
          make("span", { class: `key ${line.colour}` },
            lines.length > 1 ? [make("i", { "aria-hidden": "true" }), line.label, " "] : null, this._values[place])))),
      this._canvas,
    );
    this._data = [[], ...lines.map(() => [])];
    this._range = null;
    this._sized = new ResizeObserver(() => this._draw());
    this._sized.observe(this._canvas);
    this._recolour = () => this._begin();
    scheme.addEventListener("change", this._recolour);
  }

  leave() {
    this._sized.disconnect();
    scheme.removeEventListener("change", this._recolour);
    this._plot?.destroy();
    this._plot = null;
  }

  // `data`: times in seconds, then the values of each line, null for none.
  show(data, range = null) {
    this._data = data;
    this._range = range;
    const last = data.slice(1).map((line) => line.findLast((value) => value !== null && value !== undefined));
    last.forEach((value, place) => {
      const text = value === undefined ? "–" : this._written(value);
      if (this._values[place].textContent !== text) this._values[place].textContent = text;
    });
    if (this._plot) {
      this._plot.setData(data, false);
      this._scale();
    } else {
      this._draw();
    }
  }

  _scale() {
    const times = this._data[0];
    const [min, max] = this._range ?? [times[0], times.at(-1)];
    if (min === undefined) return;
    let most = this._least;
    for (const line of this._data.slice(1)) for (const value of line) if (value > most) most = value;
    this._plot.batch(() => {
      this._plot.setScale("x", { min, max: max > min ? max : min + 1 });
      this._plot.setScale("y", { min: 0, max: most * 1.1 });
    });
  }

  _draw() {
    const width = Math.floor(this._canvas.clientWidth);
    if (width < 40) return;
    if (!this._plot) this._begin();
    else if (this._plot.width !== width) this._plot.setSize({ width, height: this._height });
  }

  _begin() {
    const width = Math.floor(this._canvas.clientWidth);
    if (width < 40) return;
    this._plot?.destroy();
    const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const series = this._lines.map((line) => ({
      label: line.label, stroke: colour(line.colour), width: 1.75, dash: line.dash, spanGaps: false,
      fill: this._fill ? `${colour(line.colour)}22` : undefined,
      points: { show: this._points, size: 5 },
    }));
    this._plot = new uPlot({
      width, height: this._height,
      legend: { show: false }, cursor: { show: false }, select: { show: false },
      padding: [8, 18, 0, 0],
      scales: { x: { time: true, auto: false, range: (_, min, max) => [min, max] }, y: { auto: false, range: (_, min, max) => [min, max] } },
      axes: [
        { ...axis, size: 24, space: 70, values: (_, ticks) => ticks.map(clock) },
        { ...axis, size: 46, space: 28, values: (_, ticks) => ticks.map((each) => this._written(each)) },
      ],
      series: [{}, ...series],
    }, this._data, this._canvas);
    this._scale();
  }
}

function clock(seconds) {
  const when = new Date(seconds * 1000);
  const two = (number) => String(number).padStart(2, "0");
  const time = `${two(when.getHours())}:${two(when.getMinutes())}`;
  return when.getSeconds() ? `${time}:${two(when.getSeconds())}` : time;
}

// Charts side by side.
export function grid(...charts) {
  const element = make("div", { class: "charts" });
  put(element, charts.map((chart) => chart.element));
  return element;
}
