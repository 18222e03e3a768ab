"use strict";
const run = JSON.parse(document.getElementById("run").textContent);
const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const money = (value) => value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const sign = (value) => (value > 0 ? "good" : value < 0 ? "bad" : "");
const make = (tag, text, kind) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

/* Head and figures. */
const sum = run.summary;
byId("strategy").textContent = sum.strategy;
byId("span").textContent = `${sum.begin} to ${sum.end} UTC · ${sum.minutes.toLocaleString("en")} minutes · ` +
  Object.keys(run.prices).join(", ");
const figure = (name, value, note, kind) => {
  const box = make("div");
  box.append(make("dt", name), make("dd", value, kind));
  if (note) box.lastChild.append(make("small", note));
  byId("figures").append(box);
};
const counted = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
const change = sum.equity_end - sum.cash_begin;
figure("Account at the end", money(sum.equity_end), `began with ${money(sum.cash_begin)}`);
figure("Result", money(change), `${(100 * change / sum.cash_begin).toFixed(2)} % of the beginning`, sign(change));
figure("Largest drawdown", money(sum.largest_drawdown), `${(100 * sum.largest_drawdown_fraction).toFixed(2)} %`);
figure("Closed trades", sum.trades, `${sum.won} won, ${sum.lost} lost, ${sum.still_open} open at the end`);
figure("Fees", money(sum.fees), `${sum.maker_fills} fills as maker, ${sum.taker_fills} as taker`);
figure("Time in the market", `${(100 * sum.exposed_fraction).toFixed(1)} %`,
  sum.average_holding_min === null ? "" : `${sum.average_holding_min.toFixed(1)} min on average`);
figure("Longest without a stop", `${sum.uncovered_longest_s.toFixed(2)} s`, `${counted(sum.alarms, "alarm")}, ${counted(sum.liquidations, "liquidation")}`);

/* Several instruments: each has its colour. */
const names = Object.keys(run.prices);
const isDark = matchMedia("(prefers-color-scheme: dark)");
const hues = [212, 28, 285, 160, 335, 95, 188, 50, 250, 125, 310, 8];
const colourOf = (name) => `hsl(${hues[names.indexOf(name) % hues.length]} 62% ${isDark.matches ? 66 : 42}%)`;

/* Charts: one time axis for all of them. */
const charts = [];
let zooming = false;
const zoomTo = (min, max) => {
  zooming = true;
  for (const chart of charts) chart.setScale("x", { min, max });
  zooming = false;
};
const two = (n) => String(n).padStart(2, "0");
const utc = (s) => {
  const d = new Date(s * 1000);
  return `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
};
const clock = (u, splits, index, space, step) => splits.map((s) => {
  const d = new Date(s * 1000), day = `${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`;
  const atMidnight = d.getUTCHours() === 0 && d.getUTCMinutes() === 0;
  return step >= 86400 || atMidnight ? day : `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
});
const sync = uPlot.sync("time");
const chart = (id, height, series, data, more) => {
  const place = byId(id);
  const axis = () => ({ stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { stroke: () => colour("--line") }, font: "12px system-ui" });
  const made = new uPlot({
    width: place.clientWidth, height, tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"),
    cursor: { sync: { key: sync.key }, drag: { x: true, y: false } }, legend: { live: true },
    series: [{ label: "UTC", value: (u, v) => (v == null ? "–" : utc(v)) }, ...series],
    axes: [{ ...axis(), values: clock }, { ...axis(), size: 76, space: height < 210 ? 24 : 34, values: (u, ticks) => ticks.map((v) => v.toLocaleString("en", { maximumFractionDigits: 6 })) }],
    hooks: {
      setScale: [(u, key) => { if (key === "x" && !zooming) zoomTo(u.scales.x.min, u.scales.x.max); }],
      ...(more || {}),
    },
  }, data, place);
  charts.push(made);
  return made;
};
const line = (label, name, fill) => ({ label, stroke: () => colour(name), fill: fill ? () => colour(name) + "22" : undefined, width: 1.4, points: { show: false } });
const at = run.curve.t;
chart("equity", 240, [line("account", "--accent")], [at, run.curve.equity]);
chart("drawdown", 130, [line("below its peak, %", "--down", true)], [at, run.curve.drawdown]);

const lineOf = (name) => ({ ...line(name, "--ink"), stroke: () => colourOf(name) });
if (names.length > 1) {
  byId("each").hidden = false;
  const earned = names.map((name) => {
    const closed = run.trades.filter((t) => t.instrument === name && t.left_s).sort((a, b) => a.left_s - b.left_s);
    let next = 0, total = 0;
    return at.map((s) => {
      while (next < closed.length && closed[next].left_s <= s) total += closed[next++].net;
      return total;
    });
  });
  chart("earned", 200, names.map(lineOf), [at, ...earned]);
}

let shownName = names[0];
const marks = (u) => {
  const { ctx } = u, { min, max } = u.scales.x, ratio = uPlot.pxRatio;
  const x = (s) => u.valToPos(s, "x", true), y = (v) => u.valToPos(v, "y", true);
  ctx.save();
  ctx.beginPath(); ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height); ctx.clip();
  ctx.strokeStyle = colour("--stop"); ctx.lineWidth = 1.6 * ratio;
  ctx.beginPath();
  for (const [name, from, to, level] of run.stops) {
    if (name !== shownName || to < min || from > max) continue;
    ctx.moveTo(x(from), y(level)); ctx.lineTo(x(to), y(level));
  }
  ctx.stroke();
  const seen = run.trades.filter((t) => t.instrument === shownName && t.entered_s <= max && (t.left_s || max) >= min);
  const size = (seen.length > 400 ? 2.5 : seen.length > 120 ? 4 : 6) * ratio;
  for (const t of seen) {
    const long = t.side === "long", ex = x(t.entered_s), ey = y(t.entry_price);
    if (t.left_s) {
      ctx.strokeStyle = colour(t.net > 0 ? "--up" : "--down"); ctx.lineWidth = 1 * ratio;
      ctx.beginPath(); ctx.moveTo(ex, ey); ctx.lineTo(x(t.left_s), y(t.exit_price)); ctx.stroke();
      ctx.fillStyle = colour("--soft");
      ctx.beginPath(); ctx.arc(x(t.left_s), y(t.exit_price), size * 0.55, 0, 7); ctx.fill();
    }
    ctx.fillStyle = colour(long ? "--up" : "--down");
    const tip = long ? ey : ey, dir = long ? 1 : -1;
    ctx.beginPath(); ctx.moveTo(ex, tip); ctx.lineTo(ex - size * 0.8, tip + dir * size * 1.5); ctx.lineTo(ex + size * 0.8, tip + dir * size * 1.5); ctx.fill();
  }
  ctx.restore();
};
let priceChart, exposure;
const drawPrice = () => {
  if (priceChart) { charts.splice(charts.indexOf(priceChart), 1); priceChart.destroy(); }
  const p = run.prices[shownName];
  priceChart = chart("price", 380,
    [{ ...line("high", "--line"), width: 0.6 }, { ...line("low", "--line"), width: 0.6 }, line(shownName, "--ink")],
    [p.t, p.high, p.low, p.close], { draw: [marks] });
  if (exposure) exposure.setData(heldOf(shownName), false);
  if (charts[0] !== priceChart && charts[0].scales.x.min != null) zoomTo(charts[0].scales.x.min, charts[0].scales.x.max);
};
for (const name of names) byId("instrument").append(make("option", name));
byId("instrument").onchange = (event) => { shownName = event.target.value; drawPrice(); };
drawPrice();
const heldOf = (name) => [at, run.curve.exposure, ...(names.length > 1 ? [run.curve.held[name]] : [])];
exposure = chart("exposure", 150, [
  names.length > 1 ? { ...line("held in all, USDT", "--soft", true), width: 0.6 } : line("held, USDT", "--accent", true),
  ...(names.length > 1 ? [{ ...line("of it in the instrument above", "--ink"), stroke: () => colourOf(shownName) }] : []),
], heldOf(shownName));
addEventListener("resize", () => { for (const c of charts) c.setSize({ width: c.root.parentNode.clientWidth, height: c.height }); });
isDark.addEventListener("change", () => { for (const c of charts) c.redraw(); });

/* Tables. */
const table = (id, columns, rows, onClick) => {
  const place = byId(id);
  place.textContent = "";
  const head = place.createTHead().insertRow();
  for (const column of columns) {
    const cell = make("th", undefined, column.text ? "t" : "");
    if (column.sort) {
      const button = make("button", column.name);
      button.onclick = () => column.sort(column);
      cell.append(button);
    } else cell.textContent = column.name;
    head.append(cell);
  }
  const body = place.createTBody();
  for (const row of rows) {
    const made = body.insertRow();
    for (const column of columns) {
      const value = row[column.key];
      const cell = made.insertCell();
      cell.textContent = typeof value !== "number" ? value : column.money ? money(value) : column.digits ? value.toFixed(column.digits) : value;
      cell.className = [column.text ? "t" : "", column.wide ? "w" : "", column.signed ? sign(value) : ""].join(" ");
    }
    if (onClick) made.onclick = () => onClick(row);
  }
  if (!rows.length) { const cell = body.insertRow().insertCell(); cell.textContent = "none"; cell.className = "t"; cell.colSpan = columns.length; }
};
const groups = (name) => [
  { key: "name", name, text: true, wide: true }, { key: "trades", name: "trades" }, { key: "won", name: "won" },
  { key: "gross", name: "gross", money: true }, { key: "fees", name: "fees", money: true },
  { key: "net", name: "net", money: true, signed: true }, { key: "held_min", name: "held, min", digits: 1 },
];
table("instruments", groups("instrument"), run.instruments);
for (const row of byId("instruments").tBodies[0].rows) {
  const swatch = make("i", undefined, "of");
  swatch.style.background = colourOf(row.cells[0].textContent);
  row.cells[0].prepend(swatch);
}
table("regimes", groups("regime"), run.regimes);
table("causes", groups("reason"), run.causes);
table("denied", [{ key: 0, name: "because", text: true, wide: true }, { key: 1, name: "times" }], run.denied);
table("settings", [{ key: 0, name: "setting", text: true }, { key: 1, name: "value", text: true }, { key: 2, name: "from", text: true }], run.settings);
byId("said").textContent = run.said.join("\n") || "none";

let order = { key: "number", down: false };
const columns = [
  ["number", "#"], ["instrument", "instrument", "t"], ["side", "side", "t"], ["regime", "regime", "t"], ["entered", "entered", "t"],
  ["held_min", "held, min", "1"], ["contracts", "contracts"], ["entry_price", "entry"], ["exit_price", "exit"], ["gross", "gross", "m"],
  ["fees", "fees", "m"], ["funding", "funding", "m"], ["net", "net", "s"], ["cause", "left because", "w"], ["why", "entered because", "w"],
].filter(([key]) => key !== "instrument" || names.length > 1).map(([key, name, kind]) => ({
  key, name, text: kind === "t" || kind === "w", wide: kind === "w", money: kind === "m" || kind === "s", digits: kind === "1" ? 1 : 0, signed: kind === "s",
  sort: (column) => { order = { key: column.key, down: order.key === column.key ? !order.down : column.signed }; list(); },
}));
const list = () => {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = run.trades.filter((t) => {
    const text = `${t.instrument} ${t.side} ${t.regime} ${t.cause} ${t.why} ${t.net > 0 ? "won" : "lost"}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const value = (t) => (order.key === "contracts" ? Number(t.contracts) : t[order.key]);
  rows.sort((a, b) => (value(a) > value(b) ? 1 : value(a) < value(b) ? -1 : 0) * (order.down ? -1 : 1));
  byId("shown").textContent = `${rows.length} of ${run.trades.length}`;
  table("trades", columns, rows, (trade) => {
    if (trade.instrument !== shownName) { shownName = byId("instrument").value = trade.instrument; drawPrice(); }
    const span = Math.max(900, (trade.left_s || trade.entered_s) - trade.entered_s);
    zoomTo(trade.entered_s - span, (trade.left_s || trade.entered_s) + span);
    byId("price").scrollIntoView({ behavior: "smooth", block: "center" });
  });
};
byId("filter").oninput = list;
list();

/* Costs, and what cannot be known. */
const costs = [["before costs", sum.gross], ["fees", -sum.fees], ["funding", sum.funding], ["after costs (closed trades)", sum.net]];
const most = Math.max(1e-9, ...costs.map(([, v]) => Math.abs(v)));
const bars = make("div", undefined, "bars");
for (const [name, value] of costs) {
  const bar = make("i");
  bar.style.width = `${(100 * Math.abs(value)) / most}%`;
  bar.style.background = colour(value < 0 ? "--down" : "--up");
  bars.append(make("span", name), bar, make("span", money(value), sign(value)));
}
byId("costs").append(bars, make("p", `Spread and depth of the book are in the prices; added slippage: ${(run.settings.find((s) => s[0] === "backtest.slippage_fraction") || ["", "0"])[1]} of the price, ${money(sum.slippage)} in all.`, "small"));
const unknown = make("ul");
const say = (text) => unknown.append(make("li", text));
for (const f of run.flips) {
  say(`The path inside a candle is invented. With the ${f.path} extreme first for whatever was open, of ${f.found_again} trades found again ` +
    `${f.turned} turned (won ↔ lost) and ${f.other_cause} were left for another reason; ${f.only_default} were not made, ${f.only_other} others were. ` +
    `Net ${money(f.net)} instead of ${money(sum.net)}.`);
}
if (run.worst !== null) say(`Each trade at its worst of these paths: net ${money(run.worst)}.`);
if (!run.flips.length) say("The path inside a candle is invented, and was told one way only (--one-path): how many trades turn on another is not known.");
say("Candles of the mark price are not in the file. The mark is made from the last price, an eighth of the way to the previous close; stops trigger on it.");
say("There is no queue: a resting order fills whole once the market trades through its price, and never at its price.");
say("The book is invented, and our own orders leave no trace in it. Funding rates are not in the file either.");
byId("unknown").append(unknown);
for (const file of run.data) {
  const part = make("div");
  part.append(make("p", `${file.file}: ${file.rows.toLocaleString("en")} minutes of ${file.instrument}, ${file.first} to ${file.last}. ` +
    `${file.holes.length} holes with ${file.missing_minutes} missing minutes; ${file.zero_volume_minutes} minutes without volume; ` +
    `${file.standing_minutes} minutes at a single price, at most ${file.longest_standing} in a row.`));
  if (file.holes.length) {
    const holes = make("details"); holes.append(make("summary", "every hole"));
    holes.append(make("pre", file.holes.map(([first, minutes]) => `${first}  ${minutes} min`).join("\n")));
    part.append(holes);
  }
  byId("data").append(part);
}
