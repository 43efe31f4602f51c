"use strict";
// Light or dark: what the reader chose before, else what the system says. Kept where the browser allows it.
const THEME = "avatarsync-theme";
const isDark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
try { document.documentElement.dataset.theme = localStorage.getItem(THEME) || ""; } catch { /* a browser without storage for files */ }

document.addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme");
  const say = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    const chosen = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    try { localStorage.setItem(THEME, chosen); } catch { /* as above */ }
    say();
  });
  say();
});
