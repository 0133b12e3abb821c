// The phone's storage in IndexedDB: secrets encrypted under a non-extractable WebCrypto key. A copy of the browser's files
// holds the encrypted bytes and the key's handle, but not the key. A script that runs on this page can use the key while
// the page is open. A native app's secure element is stronger, so codes of the web app get fewer capabilities.
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

/** The phone's secret, by which the platform authenticates the phone. */
export async function phone() {
  const kept = await get("phone");
  return kept && { secret: await unseal(kept.secret), name: kept.name };
}

export const keepPhone = async (secret, name) => put("phone", { secret: await seal(secret), name });

/** The session: secret key, certificate, and difference to the platform's clock. */
export async function session() {
  const kept = await get("session");
  return kept && { ...kept, secret: await unseal(kept.secret) };
}

export const keepSession = async session => put("session", { ...session, secret: await seal(session.secret) });

/** Deletes everything, including the wrapping key. */
export const forget = () => within("readwrite", store => store.clear());
