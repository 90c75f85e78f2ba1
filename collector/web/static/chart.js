// Puts a uPlot chart, with a cursor that tells time and value, in the place of the server's SVG. Without it the SVG stays.
"use strict";
(async () => {
  const figure = document.getElementById("chart");
  const drawn = figure && figure.querySelector("svg.plot");
  if (!drawn || typeof uPlot === "undefined") return;
  const wish = figure.dataset;
  const query = new URLSearchParams({
    site: wish.site, gateway: wish.gateway, device: wish.device, point: wish.point, max_points: wish.points,
    from: new Date(Number(wish.from)).toISOString(), to: new Date(Number(wish.to)).toISOString(),
  });
  let answer;
  try {
    answer = await fetch(`/api/v1/readings?${query}`, { headers: { accept: "application/json" } });
  } catch {
    return;
  }
  if (!answer.ok) return;
  const readings = (await answer.json()).readings;
  const number = (one) => (one.quality === "bad" || one.value === null || Number.isNaN(Number(one.value)) ? null : Number(one.value));
  const from = Number(wish.from) / 1000;
  const span = Number(wish.to) / 1000 - from;
  // Gaps, bands, limits and marks are read off the server's picture: one place decides what they are.
  const part = (element, name) => from + (parseFloat(element.getAttribute(name)) / 100) * span;
  const stretches = [...drawn.querySelectorAll("rect")].map((rect) => {
    const start = part(rect, "x");
    return { kind: rect.getAttribute("class"), start, end: start + (parseFloat(rect.getAttribute("width")) / 100) * span };
  });
  const limits = [...drawn.querySelectorAll(".limit")].map((line) => ({ value: Number(line.dataset.value), name: line.dataset.name }));
  const marks = [...drawn.querySelectorAll(".when")].map((line) => part(line, "x1"));
  const gaps = stretches.filter((one) => one.kind === "gap").map((one) => (one.start + one.end) / 2);
  const rows = readings.map((one) => [Date.parse(one.time) / 1000, number(one)]).concat(gaps.map((at) => [at, null]));
  rows.sort((a, b) => a[0] - b[0]);
  const times = rows.map((row) => row[0]);
  const values = rows.map((row) => row[1]);
  if (!values.some((value) => value !== null)) return;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const behind = (plot) => {
    const { ctx, bbox } = plot;
    const x = (at) => plot.valToPos(at, "x", true);
    const fills = { gap: colour("--gap"), bad: colour("--red"), uncertain: colour("--yellow-shape") };
    for (const one of stretches) {
      const height = one.kind === "gap" ? bbox.height : bbox.height / (one.kind === "bad" ? 24 : 40);
      ctx.fillStyle = fills[one.kind];
      ctx.fillRect(x(one.start), bbox.top + bbox.height - height, Math.max(x(one.end) - x(one.start), 2), height);
    }
  };
  const before = (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.setLineDash([6, 4]);
    ctx.lineWidth = 1.5;
    ctx.textAlign = "right";
    ctx.textBaseline = "alphabetic";
    for (const limit of limits) {
      const y = plot.valToPos(limit.value, "y", true);
      ctx.strokeStyle = ctx.fillStyle = colour("--red");
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.fillText(limit.name, bbox.left + bbox.width - 4, y - 5);
    }
    for (const at of marks) {
      const x = plot.valToPos(at, "x", true);
      ctx.strokeStyle = colour("--ink");
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  };
  const withLimits = (plot, low, high) => {
    const reach = Math.max(high - low, Math.abs(high) * 0.1);
    const near = limits.map((limit) => limit.value).filter((value) => value >= low - reach && value <= high + reach);
    return uPlot.rangeNum(Math.min(low, ...near), Math.max(high, ...near), 0.1, true);
  };
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--edge"), width: 1 }, ticks: { stroke: colour("--edge") } };
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: wish.zone, month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const written = (at) => {
    const part = Object.fromEntries(parts.formatToParts(new Date(at * 1000)).map((one) => [one.type, one.value]));
    return { day: `${part.month}-${part.day}`, clock: `${part.hour}:${part.minute}` };
  };
  const tick = (at) => {
    const { day, clock } = written(at);
    return clock === "00:00" ? day : clock;
  };
  const options = {
    width: figure.clientWidth, height: 260, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), wish.zone),
    scales: { x: { range: [from, from + span] }, y: { range: withLimits } },
    hooks: { drawClear: [behind], draw: [before] },
    series: [
      { label: wish.time, value: (plot, at) => (at === null ? "--" : `${written(at).day} ${written(at).clock}`) },
      {
        label: wish.unit ? `${wish.name} (${wish.unit})` : wish.name, stroke: colour("--blue"), width: 1.8, points: { show: false },
        paths: wish.steps === "1" ? uPlot.paths.stepped({ align: 1 }) : undefined,
      },
    ],
    axes: [{ ...axis, values: (plot, ticks) => ticks.map(tick) }, axis],
  };
  const plot = new uPlot(options, [times, values], figure);
  drawn.remove();
  window.addEventListener("resize", () => plot.setSize({ width: figure.clientWidth, height: 260 }));
})();
