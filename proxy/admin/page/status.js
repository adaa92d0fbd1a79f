// The status page: asks /status.json and /sessions.json every two seconds and draws what changed.
// What comes from there reaches the page as text nodes and numbers only, never as markup.
"use strict";

const PERIOD_MS = 2000;
const POINTS = 60;            // Two minutes of history.
const WINDOW = 5;             // Latencies are those of the last so many periods.
const SESSIONS_SHOWN = 50;
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

// --- Words.

const SI = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

function count(value) {
  for (const [size, prefix] of SI) {
    if (value >= size) return (value / size).toFixed(value >= 10 * size ? 0 : 1) + " " + prefix;
  }
  return value >= 10 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}

const bytes = (value) => count(value) + (value >= 1e3 ? "B" : " B");

function seconds(value) {
  if (value === null) return "–";
  if (value < 1e-3) return (value * 1e6).toFixed(0) + " µs";
  if (value < 1) return (value * 1e3).toFixed(value < 0.01 ? 1 : 0) + " ms";
  return value.toFixed(value < 10 ? 1 : 0) + " s";
}

function duration(value) {
  if (value < 60) return Math.round(value) + " s";
  if (value < 3600) return Math.floor(value / 60) + " min";
  const [big, size, small, part] = value < 86400 ? ["h", 3600, "min", 60] : ["d", 86400, "h", 3600];
  return `${Math.floor(value / size)} ${big} ${Math.floor(value % size / part)} ${small}`;
}

const words = (name) => name.replaceAll("_", " ");

// --- Elements.

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// rows: arrays of cells, each text, or {text, kind}. The first is the row's heading.
function fillTable(id, caption, headings, rows, nothing) {
  const numeric = headings.map((heading) => heading.startsWith("#"));
  const head = element("tr", {}, ...headings.map((heading, i) => element("th",
    {scope: "col", className: numeric[i] ? "number" : ""}, heading.replace("#", ""))));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell, i) => {
    const {text = cell, kind = ""} = cell instanceof Object ? cell : {};
    const made = element(i === 0 ? "th" : "td",
      {className: (numeric[i] ? "number " : "") + kind}, String(text));
    if (i === 0) made.scope = "row";
    if (kind.includes("text")) made.title = String(text);
    return made;
  })));
  if (rows.length === 0) {
    body.push(element("tr", {}, element("td",
      {colSpan: headings.length, className: "empty"}, nothing)));
  }
  byId(id).replaceChildren(element("caption", {}, caption), element("thead", {}, head),
    element("tbody", {}, ...body));
}

// --- Charts.

function svgPath(className) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("class", className);
  return path;
}

function makeTile(spec) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${POINTS - 1} 40`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const paths = [svgPath("base"), svgPath("area"), svgPath("first"), svgPath("second")];
  paths[0].setAttribute("d", `M0 40H${POINTS - 1}`);
  svg.append(...paths);
  const value = element("p", {className: "value"});
  const also = element("p", {className: "also"});
  byId("tiles").append(element("li", {id: "tile-" + spec.id},
    element("h3", {}, spec.title), value, also, svg));
  return {...spec, svg, paths, value, also, history: []};
}

// Newest at the right. A gap where nothing was measured.
function line(points, top) {
  let path = "", pen = false;
  points.forEach((point, i) => {
    if (point === null) {
      pen = false;
      return;
    }
    const x = POINTS - points.length + i;
    path += `${pen ? "L" : "M"}${x} ${(40 - 38 * point / top).toFixed(2)}`;
    pen = true;
  });
  return path;
}

function drawTile(tile, first, second, text, alsoText) {
  tile.history.push([first, second]);
  if (tile.history.length > POINTS) tile.history.shift();
  const firsts = tile.history.map((pair) => pair[0]);
  const lasts = tile.history.map((pair) => pair[1]);
  const known = [...firsts, ...lasts].filter((value) => value !== null);
  const top = Math.max(...known, tile.least);
  const path = line(firsts, top);
  tile.paths[1].setAttribute("d", firsts.includes(null) || path === "" ? "" :
    `${path}L${POINTS - 1} 40L${POINTS - firsts.length} 40Z`);
  tile.paths[2].setAttribute("d", path);
  tile.paths[3].setAttribute("d", line(lasts, top));
  tile.value.replaceChildren(text);
  if (tile.unit) tile.value.append(" ", element("small", {}, tile.unit));
  tile.also.replaceChildren(...alsoText);
  tile.svg.setAttribute("aria-label", `${tile.title}, last two minutes: now ${text}` +
    `, highest ${known.length ? tile.format(Math.max(...known)) : "unknown"}`);
}

// --- What is measured.

// The value that a share of the observations between two looks does not exceed; null without any.
function quantile(now, before, share) {
  const counts = now.counts.map((value, i) => value - before.counts[i]);
  const all = counts.reduce((sum, value) => sum + value, 0);
  if (all === 0) return null;
  let left = share * all;
  for (let i = 0; i < now.bounds.length; ++i) {
    if (counts[i] > 0 && left <= counts[i]) {
      const low = i === 0 ? 0 : now.bounds[i - 1];
      return low + (now.bounds[i] - low) * left / counts[i];
    }
    left -= counts[i];
  }
  return now.bounds[now.bounds.length - 1];
}

const total = (series, wanted = {}) => series.filter((one) =>
  Object.entries(wanted).every(([label, value]) => one[label] === value))
  .reduce((sum, one) => sum + one.value, 0);

const RATES = {
  accepted: (s) => s.numbers.connections_accepted,
  logins: (s) => total(s.by_label.logins, {outcome: "accepted"}),
  failed: (s) => total(s.by_label.logins) - total(s.by_label.logins, {outcome: "accepted"}),
  handshakes: (s) => total(s.by_label.tls_handshakes),
  resumed: (s) => total(s.by_label.tls_handshakes, {resumed: "yes"}),
  fromClients: (s) => total(s.by_label.bytes_received, {side: "client"}),
  fromServers: (s) => total(s.by_label.bytes_received, {side: "server"}),
};

const TILES = [
  {id: "open", title: "Open connections", least: 4, format: count},
  {id: "accepted", title: "New connections", unit: "/s", least: 1, format: count},
  {id: "logins", title: "Log-ins", unit: "/s", least: 1, format: count},
  {id: "handshakes", title: "TLS handshakes", unit: "/s", least: 1, format: count},
  {id: "bytes", title: "From servers", unit: "/s", least: 1000, format: bytes},
  {id: "tls_handshake_time", title: "TLS handshake, median", least: 1e-3, format: seconds},
  {id: "login_time", title: "Log-in, median", least: 1e-3, format: seconds},
  {id: "loop_lag", title: "Event loop's turn, median", least: 1e-4, format: seconds},
];

let tiles = {};
let looks = [];  // The last WINDOW + 1 answers.

function second(text, mark) {
  return [element("span", {}, mark), " " + text];
}

function drawTiles(status) {
  const before = looks[looks.length - 1] ?? status;
  const elapsed = Math.max(status.now - before.now, 1e-3);
  const rate = {};
  for (const [name, of] of Object.entries(RATES)) rate[name] = (of(status) - of(before)) / elapsed;
  const maximum = status.listeners.reduce((sum, listener) => sum + listener.max_connections, 0);

  drawTile(tiles.open, status.numbers.connections_open, null,
    count(status.numbers.connections_open), [`of ${count(maximum)} at most`]);
  drawTile(tiles.accepted, rate.accepted, null, count(rate.accepted),
    [count(status.numbers.connections_accepted) + " since the start"]);
  drawTile(tiles.logins, rate.logins, rate.failed, count(rate.logins),
    second(count(rate.failed) + " /s that failed", "┄"));
  drawTile(tiles.handshakes, rate.handshakes, rate.resumed, count(rate.handshakes),
    second(count(rate.resumed) + " /s resumed", "┄"));
  drawTile(tiles.bytes, rate.fromServers, rate.fromClients, bytes(rate.fromServers),
    second(bytes(rate.fromClients) + "/s from clients", "┄"));
  const oldest = looks[0] ?? status;
  for (const name of ["tls_handshake_time", "login_time", "loop_lag"]) {
    const now = status.histograms[name], then = oldest.histograms[name];
    const middle = quantile(now, then, 0.5), high = quantile(now, then, 0.99);
    drawTile(tiles[name], middle, high, seconds(middle), second(seconds(high) + ", 99 %", "┄"));
  }
  looks.push(status);
  if (looks.length > WINDOW + 1) looks.shift();
}

// --- Tables.

function expiry(certificate, now) {
  const days = Math.floor((certificate.not_after - now) / 86400);
  const date = new Date(certificate.not_after * 1000).toISOString().slice(0, 10);
  const kind = days < 7 ? "bad" : days < 30 ? "warn" : "";
  return {text: days < 0 ? `expired ${date}` : `${date} (${days} days)`, kind};
}

function drawTables(status) {
  const nameOf = (listener) => listener.name || listener.addresses[0] || "–";
  fillTable("listeners", "Listeners", ["Listener", "Address", "TLS", "#Open", "#Most"],
    status.listeners.map((listener) => [nameOf(listener), listener.addresses.join(" "),
      {text: listener.tls_mode, kind: listener.tls_mode === "disabled" ? "warn" : ""},
      count(listener.open), count(listener.max_connections)]), "none");

  const drained = new Map();
  for (const listener of status.listeners) {
    for (const server of listener.servers) drained.set(server.server, server.drained);
  }
  fillTable("servers", "Servers", ["Server", "State", "#Sessions"],
    [...drained].map(([server, isDrained]) => [server,
      isDrained ? {text: "drained", kind: "warn"} : {text: "in use", kind: "good"},
      count(status.census.servers[server] ?? 0)]), "none");

  fillTable("certificates", "Certificates", ["Certificate", "Listener", "Key", "Until"],
    status.listeners.filter((listener) => listener.certificate).map((listener) => [
      {text: listener.certificate.subject +
        (listener.certificate.self_signed ? " (self-signed)" : ""), kind: "text"},
      nameOf(listener), listener.certificate.key_type,
      expiry(listener.certificate, status.now)]), "TLS is disabled");

  fillTable("clients", "Clients with the most sessions", ["Client", "#Sessions", "#Bytes"],
    status.census.clients.map((client) => [client.client, count(client.sessions),
      bytes(client.bytes)]), "no sessions");

  const refused = status.by_label.connections_refused;
  const ends = [...status.by_label.connections_ended,
    ...refused.map((one) => ({...one, reason: "refused, " + one.reason}))];
  fillTable("ends", "Why connections ended, since the start", ["Reason", "#Connections"],
    ends.sort((a, b) => b.value - a.value).map((one) => [words(one.reason), count(one.value)]),
    "none has ended");

  const rows = status.by_label.tls_handshakes.map((one) => [
    `${one.version} ${one.cipher}${one.resumed === "yes" ? ", resumed" : ""}`, count(one.value)]);
  rows.push(...status.by_label.tls_handshake_failures.map((one) => [
    {text: `failed: ${words(one.reason)}`, kind: "bad"}, count(one.value)]));
  rows.push(...status.by_label.logins.map((one) => [{text: `${one.plugin}: ${words(one.outcome)}`,
    kind: one.outcome === "accepted" ? "" : "warn"}, count(one.value)]));
  fillTable("handshakes", "TLS handshakes and log-ins, since the start", ["What", "#Times"], rows,
    "none yet");
}

function drawSessions(status, page) {
  fillTable("session-table", "Open sessions",
    ["Client", "User", "Database", "Server", "TLS", "State", "#Age", "#Idle", "#From client",
      "#From server"],
    page.sessions.map((session) => [session.client, {text: session.user || "–", kind: "text"},
      {text: session.db || "–", kind: "text"}, session.server,
      session.tls === "none" ? {text: "none", kind: "warn"} : session.tls, words(session.state),
      duration(session.age_ms / 1000), duration(session.idle_ms / 1000),
      bytes(session.bytes_from_client), bytes(session.bytes_from_server)]), "no sessions");
  byId("session-note").textContent = page.next === null ? "" :
    `The first ${page.sessions.length} of ${status.numbers.connections_open}. All of them: ` +
    "sallyport --sessions";
}

function drawHead(status) {
  const workers = status.workers + (status.workers === 1 ? " worker" : " workers");
  const uptime = duration(status.now - status.start_time);
  byId("facts").textContent = `${status.version} · ${status.io_engine} · ${workers} · up ${uptime}`;
  const state = byId("state");
  const text = status.stopping ? "stopping" : "serving";
  if (state.textContent !== text) state.textContent = text;
  state.className = "badge " + (status.stopping ? "warn" : "good");
}

// --- The loop.

function reset() {
  byId("tiles").replaceChildren();
  tiles = {};
  for (const spec of TILES) tiles[spec.id] = makeTile(spec);
  looks = [];
}

async function ask(path) {
  const answer = await fetch(path, {cache: "no-store", signal: AbortSignal.timeout(4 * PERIOD_MS)});
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function look() {
  try {
    const [status, page] = await Promise.all([ask("/status.json"),
      ask(`/sessions.json?limit=${SESSIONS_SHOWN}`)]);
    if (looks.length && looks[0].start_time !== status.start_time) reset();
    drawHead(status);
    drawTiles(status);
    drawTables(status);
    drawSessions(status, page);
    document.body.dataset.looks = Number(document.body.dataset.looks ?? 0) + 1;
  } catch (error) {
    const state = byId("state");
    if (state.textContent !== "no answer") state.textContent = "no answer";
    state.className = "badge bad";
    state.title = String(error);
  }
  setTimeout(look, PERIOD_MS);
}

reset();
look();
