"use strict";
// Players in step: the ground truth leads and carries the sound; the others follow it, muted.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const DRIFT = 0.15; // seconds that a follower may be off before it jumps; below, it is sped up or slowed down
let current = null, videos = [], leader = null, now = -1, wasPlaying = false;
let still = 0; // the position where there is no video to ask

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function figureFor(track, index) {
  const figure = element("figure");
  let picture;
  if (track.video) {
    picture = element("video");
    picture.src = track.video;
    picture.muted = index > 0;
    picture.playsInline = true;
    picture.preload = "auto";
    picture.setAttribute("aria-label", track.name);
    videos.push(picture);
    if (index === 0) leader = picture;
  } else {
    picture = element("div", track.why || "no video", "none");
  }
  figure.append(picture);
  if (track.heat) {
    const heat = element("img", undefined, "heat");
    heat.src = track.heat;
    heat.alt = "Inter-frame difference of " + track.name;
    heat.hidden = !byId("heat").checked;
    figure.append(heat);
  }
  const caption = element("figcaption");
  const name = element("b");
  const key = element("i", undefined, "key c" + (index % 7));
  key.setAttribute("aria-hidden", "true");
  name.append(key, track.name);
  caption.append(name, track.says || "");
  figure.append(caption);
  return figure;
}

function showCase(index) {
  const resume = wasPlaying;
  pause();
  current = data.cases[index];
  videos = []; leader = null; now = -1;
  if (byId("case")) byId("case").value = String(index);
  const players = byId("players");
  players.replaceChildren();
  if (current.picture) {
    const figure = element("figure");
    const still = element("img", undefined, "still");
    still.src = current.picture;
    still.alt = "Reference picture";
    const caption = element("figcaption");
    caption.append(element("b", "reference picture"), "all that a system sees of the face");
    figure.append(still, caption);
    players.append(figure);
  }
  current.tracks.forEach((track, k) => players.append(figureFor(track, k)));
  byId("said").textContent = current.text || "";
  byId("about").textContent = current.about || "";
  byId("scrub").max = String(current.num_frames - 1);
  byId("heat-max").textContent = current.heat_max.toFixed(1);
  drawStrip();
  drawOpenings();
  setSpeed();
  setSound();
  byId("play").disabled = !leader;
  show(0);
  if (leader) {
    leader.addEventListener("ended", onEnded);
    leader.addEventListener("loadeddata", () => show(time()), { once: true });
  }
  if (resume) play();
}

function drawStrip() {
  const strip = byId("strip");
  strip.querySelectorAll("button").forEach((old) => old.remove());
  strip.hidden = current.phonemes.length === 0;
  current.phonemes.forEach((phoneme, k) => {
    const button = element("button", phoneme.symbol === "SIL" ? "·" : phoneme.symbol);
    button.type = "button";
    button.tabIndex = -1; // the slider is the keyboard's way; these are for the pointer
    button.dataset.index = String(k);
    button.title = phoneme.symbol + "  " + phoneme.start.toFixed(2) + "–" + phoneme.end.toFixed(2) + " s";
    if (phoneme.symbol === "SIL") button.classList.add("silence");
    button.style.left = (100 * phoneme.start / current.duration) + "%";
    button.style.width = (100 * (phoneme.end - phoneme.start) / current.duration) + "%";
    button.addEventListener("click", () => show(phoneme.start + 0.001));
    strip.append(button);
  });
}

function drawOpenings() {
  const chart = byId("openings");
  chart.replaceChildren();
  const curves = current.tracks.map((track) => track.opening || []);
  const known = curves.flat().filter((value) => value !== null);
  byId("openings-box").hidden = known.length === 0;
  if (!known.length) return;
  const low = Math.min(...known), span = Math.max(...known) - low || 1;
  curves.forEach((curve, k) => {
    if (!curve.length) return;
    let line = "", pen = "M";
    curve.forEach((value, i) => {
      if (value === null) { pen = "M"; return; }
      const x = 1000 * (i + 0.5) / curve.length, y = 104 - 98 * (value - low) / span;
      line += pen + x.toFixed(1) + " " + y.toFixed(1);
      pen = "L";
    });
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", line);
    path.setAttribute("class", "c" + (k % 7));
    chart.append(path);
  });
  const needle = document.createElementNS(SVG, "line");
  needle.setAttribute("id", "openings-needle");
  needle.setAttribute("y1", "0"); needle.setAttribute("y2", "110");
  needle.setAttribute("class", "c2");
  chart.append(needle);
}

const time = () => (leader ? leader.currentTime : still);
const frameAt = (seconds) => Math.min(current.num_frames - 1, Math.max(0, Math.floor(seconds * current.fps + 1e-6)));

function show(seconds) {
  const frame = frameAt(seconds);
  still = (frame + 0.5) / current.fps;
  for (const video of videos) video.currentTime = (frame + 0.5) / current.fps;
  paint((frame + 0.5) / current.fps);
}

function paint(seconds) {
  const frame = frameAt(seconds), part = Math.min(1, seconds / current.duration);
  byId("scrub").value = String(frame);
  byId("scrub").setAttribute("aria-valuetext", "frame " + frame + " of " + current.num_frames);
  byId("clock").textContent = seconds.toFixed(2) + " s · frame " + frame + "/" + (current.num_frames - 1);
  byId("needle").style.left = (100 * part) + "%";
  const line = byId("openings-needle");
  if (line) { line.setAttribute("x1", String(1000 * part)); line.setAttribute("x2", String(1000 * part)); }
  const at = current.phonemes.findIndex((p) => seconds >= p.start && seconds < p.end);
  if (at !== now) {
    byId("strip").querySelectorAll("button.now").forEach((old) => old.classList.remove("now"));
    const button = byId("strip").querySelector('button[data-index="' + at + '"]');
    if (button) button.classList.add("now");
    byId("phoneme").textContent = at >= 0 ? current.phonemes[at].symbol : "–";
    now = at;
  }
}

function follow() {
  if (!leader || leader.paused) return;
  const seconds = leader.currentTime;
  for (const video of videos) {
    if (video === leader || seconds >= video.duration) continue;
    const late = seconds - video.currentTime;
    if (Math.abs(late) > DRIFT) video.currentTime = seconds;
    video.playbackRate = leader.playbackRate * (Math.abs(late) > 0.01 ? 1 + Math.max(-0.2, Math.min(0.2, 3 * late)) : 1);
  }
  paint(seconds);
  requestAnimationFrame(follow);
}

function play() {
  if (!leader) return;
  if (leader.ended || leader.currentTime >= leader.duration - 0.5 / current.fps) for (const video of videos) video.currentTime = 0;
  wasPlaying = true;
  byId("play").textContent = "Pause";
  Promise.allSettled(videos.map((video) => video.play())).then(() => requestAnimationFrame(follow));
}

function pause() {
  wasPlaying = false;
  byId("play").textContent = "Play";
  for (const video of videos) {
    video.pause();
    if (leader && video !== leader) video.currentTime = leader.currentTime;
  }
  setSpeed();
}

function onEnded() {
  if (byId("loop").checked) { for (const video of videos) video.currentTime = 0; play(); return; }
  pause();
}

function step(frames) {
  pause();
  show((frameAt(time()) + frames + 0.5) / current.fps);
}

function setSpeed() { for (const video of videos) video.playbackRate = Number(byId("speed").value); }
function setSound() { if (leader) leader.muted = !byId("sound").checked; }
function turn(by) { showCase((data.cases.indexOf(current) + by + data.cases.length) % data.cases.length); }

byId("play").addEventListener("click", () => (wasPlaying ? pause() : play()));
byId("back").addEventListener("click", () => step(-1));
byId("forward").addEventListener("click", () => step(1));
byId("previous")?.addEventListener("click", () => turn(-1)); // a page of one clip has no chooser
byId("next")?.addEventListener("click", () => turn(1));
byId("scrub").addEventListener("input", (event) => { pause(); show((Number(event.target.value) + 0.5) / current.fps); });
byId("speed").addEventListener("change", setSpeed);
byId("sound").addEventListener("change", setSound);
byId("heat").addEventListener("change", (event) => document.querySelectorAll(".heat").forEach((img) => { img.hidden = !event.target.checked; }));
byId("case")?.addEventListener("change", (event) => showCase(Number(event.target.value)));
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, button, summary, a") || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = { " ": () => (wasPlaying ? pause() : play()), ArrowLeft: () => step(-1), ArrowRight: () => step(1), n: () => turn(1), p: () => turn(-1) }[event.key];
  if (action) { event.preventDefault(); action(); }
});

if (data.cases.length) showCase(0);
