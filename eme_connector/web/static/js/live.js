// Keeps an open page true: statuses change where they stand, news announce themselves and
// wait. The stream says ids and states only; the words come from the server, for this reader.
const page = document.body.dataset;
const POLL_MS = 5_000;
const LOST_MS = 8_000;
const MINUTE_MS = 60_000;
const GATHER_MS = 60;
const COUNT_MS = 1_000;
const MOST = 100;

const touched = new Set();
let after = Number(page.liveAfter);
let source = null;
let gathering = 0;
let counting = 0;
let counted = 0;
let lost = 0;
let polling = 0;

const parts = (id) => document.querySelectorAll(`[data-live$=":${CSS.escape(id)}"]`);
const newsPlace = () => document.querySelector("[data-news]");

function take(change) {
  after = Math.max(after, change.id);
  if (page.liveThreat === change.threat) notice();
  if (parts(change.threat).length) touch(change.threat);
  else if (page.liveNew) countSoon();
}

function touch(id) {
  touched.add(id);
  gathering ||= setTimeout(refresh, GATHER_MS);
}

async function refresh() {
  const ids = [...touched].slice(0, MOST);
  touched.clear();
  gathering = 0;
  const query = new URLSearchParams(ids.map((id) => ["id", id]));
  const answer = await fetch(`${page.liveParts}?${query}`).catch(() => null);
  if (answer?.status === 401) return loggedOut();
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of fresh.querySelectorAll("[data-live]")) replace(part);
}

function replace(part) {
  for (const old of document.querySelectorAll(`[data-live="${CSS.escape(part.dataset.live)}"]`)) {
    // never under the reader's own hand
    if (old.textContent === part.textContent || old.contains(document.activeElement)) continue;
    const copy = document.importNode(part, true);
    if (!part.dataset.live.startsWith("left:")) copy.classList.add("changed");
    old.replaceWith(copy);
  }
}

// at most once a second, however much arrives
function countSoon() {
  counting ||= setTimeout(countNew, Math.max(0, counted + COUNT_MS - Date.now()));
}

async function countNew() {
  counted = Date.now();
  counting = 0;
  const filters = new URLSearchParams(location.search);
  filters.set("since", page.liveSince);
  const answer = await fetch(`${page.liveNew}?${filters}`).catch(() => null);
  if (!answer?.ok) return;
  const { ids, more } = await answer.json();
  const count = ids.filter((id) => !parts(id).length).length;
  if (count === 0) return;
  show(more ? page.liveMany : count === 1 ? page.liveOne : page.liveSome.replace("{n}", count));
}

function show(words) {
  const address = new URL(location.href);
  address.searchParams.delete("cursor");
  link(newsPlace(), words, address.href, "button button-small button-main");
}

function notice() {
  const place = document.querySelector("[data-live-notice]");
  link(place, place.dataset.words, location.href.split("#")[0], "button button-small");
}

function link(place, words, address, look) {
  if (!place) return;
  const found = place.querySelector("a") ?? place.appendChild(document.createElement("a"));
  found.href = address;
  found.className = look;
  if (found.textContent !== words) found.textContent = words;
}

function say(words) {
  const place = newsPlace();
  if (!place) return;
  const old = place.querySelector(".news-state");
  if (!words) return old?.remove();
  const found = old ?? place.appendChild(document.createElement("span"));
  found.className = "news-state small soft";
  if (found.textContent !== words) found.textContent = words;
}

function loggedOut() {
  close();
  clearInterval(polling);
  const place = newsPlace() ?? document.querySelector("[data-live-notice]");
  link(place, page.liveOut, location.href, "button button-small");
}

function open() {
  source = new EventSource(`${page.liveStream}?after=${after}`);
  source.addEventListener("open", connected);
  source.addEventListener("change", (event) => take(JSON.parse(event.data)));
  source.addEventListener("reset", () => page.liveThreat ? notice() : show(page.liveMany));
  source.addEventListener("out", loggedOut);
  source.addEventListener("error", failed);
}

function connected() {
  clearTimeout(lost);
  lost = 0;
  clearInterval(polling);
  polling = 0;
  say("");
}

function failed() {
  lost ||= setTimeout(() => say(page.liveLost), LOST_MS);
  if (source?.readyState !== EventSource.CLOSED) return;
  close();
  polling ||= setInterval(poll, POLL_MS);
  poll();
}

function close() {
  source?.close();
  source = null;
}

async function poll() {
  const answer = await fetch(`${page.livePoll}?after=${after}`).catch(() => null);
  if (answer?.status === 401) return loggedOut();
  if (!answer?.ok) return;
  const { changes, room, reset } = await answer.json();
  if (reset) show(page.liveMany);
  changes.forEach(take);
  if (room && !source) open();
}

function minute() {
  if (document.hidden) return;
  const waiting = document.querySelectorAll('[data-live^="left:"]');
  for (const part of waiting) touch(part.dataset.live.slice("left:".length));
}

// a hidden page needs no stream; it catches up by number when it is looked at again
function visibility() {
  if (document.hidden) {
    clearTimeout(lost);
    lost = 0;
    close();
  } else if (!source && !polling) {
    open();
    minute();
  }
}

if (page.liveStream) {
  open();
  setInterval(minute, MINUTE_MS);
  document.addEventListener("visibilitychange", visibility);
  // another page of the list, or other filters: what was announced may be on it now
  document.addEventListener("htmx:after:swap", () => {
    newsPlace()?.replaceChildren();
    if (page.liveNew) countSoon();
  });
}
