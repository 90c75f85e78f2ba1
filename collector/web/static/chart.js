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
  const times = readings.map((one) => Date.parse(one.time) / 1000);
  const values = readings.map(number);
  if (!values.some((value) => value !== null)) return;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Shaded gaps, limits and marks are the server's: its picture stays when there is something that only it can show.
  if (drawn.querySelector("rect, .limit, .when")) return;
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--edge"), width: 1 }, ticks: { stroke: colour("--edge") } };
  const options = {
    width: figure.clientWidth, height: 260, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), wish.zone),
    scales: { x: { min: Number(wish.from) / 1000, max: Number(wish.to) / 1000 } },
    fmtDate: (template) => uPlot.fmtDate(template),
    series: [
      { value: (plot, at) => (at === null ? "--" : new Date(at * 1000).toLocaleString(document.documentElement.lang, { timeZone: wish.zone })) },
      {
        label: wish.unit ? `${wish.name} (${wish.unit})` : wish.name, stroke: colour("--blue"), width: 1.8, points: { show: false },
        paths: wish.steps === "1" ? uPlot.paths.stepped({ align: 1 }) : undefined,
      },
    ],
    axes: [axis, axis],
  };
  const plot = new uPlot(options, [times, values], figure);
  drawn.remove();
  window.addEventListener("resize", () => plot.setSize({ width: figure.clientWidth, height: 260 }));
})();
