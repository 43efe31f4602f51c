"use strict";
// Each sample's player, keyframes and wave move together; without a player there is nothing to move.
for (const sample of document.querySelectorAll(".sample")) {
  const video = sample.querySelector("video");
  if (!video) continue;
  const stills = [...sample.querySelectorAll(".stills button")];
  const svg = sample.querySelector(".wave svg");
  const needle = svg.querySelector(".needle");
  const perSecond = Number(svg.dataset.perSecond);
  let current = null;
  const show = () => {
    const x = String(video.currentTime * perSecond);
    needle.setAttribute("x1", x);
    needle.setAttribute("x2", x);
    const passed = stills.filter((still) => Number(still.dataset.t) <= video.currentTime + 0.02);
    const now = passed[passed.length - 1] || null;
    if (now !== current) {
      if (current) current.classList.remove("now");
      if (now) now.classList.add("now");
      current = now;
    }
    if (!video.paused) requestAnimationFrame(show);
  };
  video.addEventListener("play", show);
  video.addEventListener("seeked", show);
  for (const still of stills) {
    still.addEventListener("click", () => { video.currentTime = Number(still.dataset.t); });
  }
  svg.addEventListener("click", (event) => {
    video.currentTime = (event.clientX - svg.getBoundingClientRect().left) / perSecond;
  });
}
