// What the phone keeps, in IndexedDB: secrets sealed under a key of WebCrypto's that no script can read out. Who copies
// the files of this browser has the sealed bytes and that key's handle, and not the key; who runs scripts on this page
// can use it while the page is open. A native app's secure element is better, so the platform gives a page less.
const NAME = "yukuaima", STORE = "kept";

function opened() {
  return new Promise((done, failed) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

async function within(mode, work) {
  const db = await opened();
  try {
    return await new Promise((done, failed) => {
      const transaction = db.transaction(STORE, mode, { durability: "strict" });
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => done(request.result);
      transaction.onabort = transaction.onerror = () => failed(transaction.error);
    });
  } finally {
    db.close();
  }
}

const get = key => within("readonly", store => store.get(key));
const put = (key, value) => within("readwrite", store => store.put(value, key));

async function wrap() {
  const kept = await get("wrap");
  if (kept) return kept;
  const made = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  await put("wrap", made);
  return made;
}

async function seal(bytes) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  return { iv, sealed: await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await wrap(), bytes) };
}

async function unseal({ iv, sealed }) {
  return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await wrap(), sealed));
}

/** The phone's secret, by which the platform knows it. */
export async function phone() {
  const kept = await get("phone");
  return kept && { secret: await unseal(kept.secret), name: kept.name };
}

export const keepPhone = async (secret, name) => put("phone", { secret: await seal(secret), name });

/** The session: its secret key, its certificate, and the difference to the platform's clock. */
export async function session() {
  const kept = await get("session");
  return kept && { ...kept, secret: await unseal(kept.secret) };
}

export const keepSession = async session => put("session", { ...session, secret: await seal(session.secret) });

/** Forgets all, the wrapping key too. */
export const forget = () => within("readwrite", store => store.clear());
