// Offline codes of a time step (亮码), as defined in platform/resident-code. Byte layout and names are explained there.
import { compressPublicKeyHex, doSignature, getPublicKeyFromPrivateKey, sm3 } from "./vendor/sm2.js";
import qrcode from "./vendor/qrcode.js";

export const SLOT_MS = 4000;
const CERTIFICATE_LEN = 114, QUIET_ZONE = 4;
/** First byte of an answer code, and domain separator before the challenge that it signs. */
const ANSWER = 0x14, CHALLENGE = new TextEncoder().encode("code-challenge/1\0");
/** Domain separator before the digest of a consent's text. */
const CONSENT = new TextEncoder().encode("consent/1\0");
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

export const hex = bytes => Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");
export const unhex = text => Uint8Array.from(text.match(/../g) ?? [], pair => parseInt(pair, 16));

/** Base45, RFC 9285. */
export function base45(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 2) {
    const pair = at + 1 < bytes.length;
    let number = pair ? bytes[at] * 256 + bytes[at + 1] : bytes[at];
    for (let digit = 0; digit < (pair ? 3 : 2); digit++) {
      text += DIGITS[number % 45];
      number = Math.floor(number / 45);
    }
  }
  return text;
}

/** Generates a session key: a random number below the group's order; all but one in 2³² of random numbers are. */
export function freshSession() {
  for (;;) {
    const secret = crypto.getRandomValues(new Uint8Array(32));
    if (secret[0] !== 0xff && secret.some(byte => byte !== 0)) return sessionOf(secret);
  }
}

export function sessionOf(secret) {
  const point = getPublicKeyFromPrivateKey(hex(secret));
  return { secret, point, publicKey: compressPublicKeyHex(point) };
}

/** SM2 signature r ‖ s over bytes, with the user identity that all codes are signed with. */
function sign(bytes, session) {
  return doSignature(bytes, hex(session.secret), { hash: true, publicKey: session.point });
}

/** Proof of possession of the session key: signature over `session-key/1`, a zero byte, SM3 of the phone's secret. */
export function proof(phone, session) {
  const head = new TextEncoder().encode("session-key/1\0");
  return sign(Uint8Array.from([...head, ...unhex(sm3(unhex(phone)))]), session);
}

/** The current time step, counted from the issue of the certificate, and its end. */
export function slotAt(certificate, nowMs) {
  const issuedMs = new DataView(certificate.buffer).getUint32(12) * 1000;
  const slot = Math.floor((nowMs - issuedMs) / SLOT_MS);
  return { slot, endsMs: issuedMs + (slot + 1) * SLOT_MS };
}

/** Text of the offline code of a time step. */
export function present(certificate, session, slot) {
  const shown = new Uint8Array(CERTIFICATE_LEN + 2);
  shown.set(certificate);
  new DataView(shown.buffer).setUint16(CERTIFICATE_LEN, slot);
  return "YK1:" + base45([...shown, ...unhex(sign(shown, session))]);
}

/** A kiosk's challenge: id of the kiosk and a nonce. */
export function challengeOf(text) {
  const [, device, nonce] = /^YKC1:([A-Z0-9-]{1,16}):([0-9A-Fa-f]{32})$/.exec(text.trim()) ?? [];
  return device && { device, nonce: unhex(nonce) };
}

/** Text of the answer code to a challenge in a time step. */
export function answer(certificate, session, slot, { device, nonce }) {
  const asked = new Uint8Array(CHALLENGE.length + 32);
  asked.set(CHALLENGE);
  asked.set(new TextEncoder().encode(device), CHALLENGE.length);
  asked.set(nonce, CHALLENGE.length + 16);
  return answerOver(certificate, session, slot, asked);
}

/** Text of the answer code that agrees to a text which the owner has read. */
export function agreement(certificate, session, slot, read) {
  return answerOver(certificate, session, slot, [...CONSENT, ...unhex(sm3(new TextEncoder().encode(read)))]);
}

function answerOver(certificate, session, slot, asked) {
  const shown = new Uint8Array(CERTIFICATE_LEN + 2);
  shown.set(certificate);
  shown[0] = ANSWER;
  new DataView(shown.buffer).setUint16(CERTIFICATE_LEN, slot);
  return "YK1:" + base45([...shown, ...unhex(sign(Uint8Array.from([...shown, ...asked]), session))]);
}

/** Renders a text as a QR code with whole pixels per module, in the displayed size of the canvas. */
export function draw(canvas, text) {
  const code = qrcode(0, "M");
  code.addData(text, "Alphanumeric");
  code.make();
  const modules = code.getModuleCount(), side = modules + 2 * QUIET_ZONE;
  const scale = Math.max(1, Math.floor((canvas.clientWidth * devicePixelRatio) / side));
  canvas.width = canvas.height = side * scale;
  const context = canvas.getContext("2d", { alpha: false });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#000";
  for (let row = 0; row < modules; row++)
    for (let column = 0; column < modules; column++)
      if (code.isDark(row, column))
        context.fillRect((column + QUIET_ZONE) * scale, (row + QUIET_ZONE) * scale, scale, scale);
}
