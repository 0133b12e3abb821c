// Service worker: caches the web app, so that it opens without a network. The version covers all files: a changed file
// makes a new worker, which fetches all files again and then deletes the old cache.
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
// Requests to the platform's API are never answered from the cache.
self.addEventListener("fetch", event => {
  if (event.request.method !== "GET") return;
  event.respondWith(caches.match(event.request, { ignoreSearch: true }).then(kept => kept || fetch(event.request)));
});
