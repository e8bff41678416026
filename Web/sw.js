// Wakes for a push while the page is closed. The push says only that something waits at the relay (`{relay, envelope_id}`): what it is and who it is
// from is known to the agent alone, so nothing more can be shown here.

const TITLE = "New message or call";
const TAG = "dsip-wake";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => event.waitUntil(woken()));

async function woken() {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (pages.some((page) => page.visibilityState === "visible")) return;
  await self.registration.showNotification(TITLE, { tag: TAG, renotify: true, requireInteraction: true, vibrate: [300, 150, 300, 150, 300], icon: "favicon.svg", data: { hash: "#/messages" } });
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.hash ?? "#/messages"));
});

async function open(hash) {
  const [page] = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (!page) return self.clients.openWindow(`/${hash}`);
  page.postMessage({ hash });
  return page.focus();
}
