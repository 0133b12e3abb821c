// Keeps the page on the phone, so that it opens without a network. The version is that of all its files together: a
// changed file is another worker, which fetches all anew and then throws the old ones away.
"use strict";
const KEPT = "code-{{version}}";
const FILES = ["./", "app.css", "app.js", "code.js", "keep.js", "scan.js", "vendor/sm2.js", "vendor/qrcode.js",
  "vendor/qrread.js", "icon.svg", "manifest.webmanifest"];

self.addEventListener("install", event => {
  event.waitUntil(caches.open(KEPT)
    .then(cache => cache.addAll(FILES.map(file => new Request(file, { cache: "reload" }))))
    .then(() => self.skipWaiting()));
});
self.addEventListener("activate", event => {
  event.waitUntil(caches.keys()
    .then(names => Promise.all(names.filter(name => name !== KEPT).map(name => caches.delete(name))))
    .then(() => self.clients.claim()));
});
// What is asked of the platform is never answered from here.
self.addEventListener("fetch", event => {
  if (event.request.method !== "GET") return;
  event.respondWith(caches.match(event.request, { ignoreSearch: true }).then(kept => kept || fetch(event.request)));
});
