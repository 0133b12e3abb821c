// Web app of the resident code: binds this phone once, fetches a certificate a day, shows a new code every four seconds.
import { agreement, answer, challengeOf, draw, freshSession, hex, present, proof, sessionOf, slotAt, SLOT_MS, unhex } from "./code.js";
import * as keep from "./keep.js";
import * as scan from "./scan.js";

const HOUR_MS = 3_600_000;
/** A certificate is renewed when it expires sooner than this; a failed attempt is repeated after a pause. */
const RENEW_MS = 12 * HOUR_MS, RETRY_MS = 30_000, STANDING_EVERY_MS = 10 * 60_000;
const TICK_MS = 200, WAIT_MS = 8_000;
/** Time for which an answer code is shown: the kiosk waits for it, and the owner is in front of the kiosk. */
const ANSWER_MS = 60_000;
/** Views that stay until their owner leaves them. */
const STAYS = ["uses", "licences", "loss", "scan", "confirm", "pair", "consent", "consents", "broken"];
/** Interval at which consent requests are fetched while a code is shown. */
const ASKED_EVERY_MS = 4_000, SETTLES_MS = 800;
const IDENTITY_PAGE = document.querySelector("meta[name=identity-page]").content;

const at = id => document.getElementById(id);
const main = at("main");
/** State of the page: `phone` and `session` from storage, the view `shown`, the online `token` for scanners that cannot read
 * the offline code, a kiosk's challenge `asked` and its current answer `answering`, and a scanned `pairing` code. */
let phone, session, shown = "", token, asked, answering, pairing, renewing = false, renewAt = 0;
/** The consent request that is shown. */
let consenting;

const WORDS = {
  "not-in-person": "没有核验通过，请再试一次。",
  "pairing-over": "这个码已失效。请在终端上重新开通。",
  "other-number": "后六位不对，请看着身份证再输一次。",
  "not-in-base": "还没有您的居民服务卡信息。请带身份证到就近的服务中心办理。",
  "card-not-in-force": "您的居民服务卡已挂失或未激活，渝快码暂停使用。",
  "too-many": "今天更新得太多了，请稍后再试。",
  "not-bound": "这部手机上的码已停用，请重新核验本人。",
  "consent-over": "时间过了，这次不用再选。需要时他们会再问。",
  offline: "网络不通，请连上网后再试。",
};
const ENDED = at("endedWhy").textContent;
const words = code => WORDS[code] ?? "暂时办不了，请稍后再试。";

/** Sends a request to the platform; throws the code of a refusal, or `offline` when the network fails. */
async function ask(name, body) {
  let answer, told;
  try {
    answer = await fetch("v1/" + name, { method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify(body), cache: "no-store", signal: AbortSignal.timeout(WAIT_MS) });
    told = await answer.json();
  } catch {
    throw "offline";
  }
  if (answer.ok) return told;
  if (told.code === "not-bound") await unbound("not-bound");
  throw told.code;
}

function go(state) {
  // The camera stops whenever its view is left.
  if (main.dataset.state === "scan" && state !== "scan") scan.stop(at("camera"));
  main.dataset.state = state;
  at("nav").hidden = state !== "code";
}

async function unbound(why) {
  phone = session = token = asked = undefined;
  endAnswer();
  await keep.forget();
  at("notice").hidden = !why;
  at("notice").textContent = why ? words(why) : "";
  go("unbound");
}

/** Verification (实人核验): goes to the trusted identity service and back, with a random state that only this visit knows. */
function leaveForIdentity() {
  const state = hex(crypto.getRandomValues(new Uint8Array(16)));
  sessionStorage.setItem("state", state);
  const back = location.origin + location.pathname;
  location.assign(IDENTITY_PAGE + "?" + new URLSearchParams({ return: back, state }));
}

/** Reads the parameters of the URL and removes them from it before anything else happens. */
function brought() {
  const told = new URLSearchParams(location.hash.slice(1));
  if (location.hash) history.replaceState(null, "", location.pathname);
  return told;
}

/** Binds this phone to the resident; data of an earlier binding are deleted. */
async function bindBy(proof) {
  const bound = await ask("bindings", proof);
  await keep.forget();
  await keep.keepPhone(unhex(bound.phone), bound.name);
  navigator.storage?.persist?.();
}

/** Continues after the return from the identity service. */
async function backFromIdentity(told) {
  const ticket = told.get("ticket"), expected = sessionStorage.getItem("state");
  sessionStorage.removeItem("state");
  if (!ticket || !expected || told.get("state") !== expected) return;
  try {
    await bindBy({ ticket });
  } catch (code) {
    await unbound(code);
    throw code;
  }
}

/** Pairing (配对): the code on a kiosk's screen opened this page; the owner proves to be the resident at the kiosk. */
function startPairing(code) {
  pairing = code;
  at("idEnd").value = "";
  at("pairFailed").hidden = true;
  at("pairGo").disabled = true;
  go("pair");
}

async function pair() {
  at("pairGo").disabled = true;
  at("pairFailed").hidden = true;
  try {
    await bindBy({ pairing: { code: pairing, id_end: at("idEnd").value } });
  } catch (code) {
    at("pairFailed").textContent = words(code);
    at("pairFailed").hidden = false;
    at("pairGo").disabled = code === "pairing-over";
    return;
  }
  session = token = undefined;
  renewAt = 0;
  await endPairing();
}

/** Ends pairing, whether successful or not, and shows what this phone has. */
async function endPairing() {
  pairing = undefined;
  at("idEnd").value = "";
  go("starting");
  await resume();
}

async function renew() {
  if (renewing || !phone || Date.now() < renewAt) return;
  renewing = true;
  renewAt = Date.now() + RETRY_MS;
  try {
    const fresh = freshSession(), secret = hex(phone.secret), asked = Date.now();
    const certified = await ask("certificates",
      { phone: secret, session_key: fresh.publicKey, proof: proof(secret, fresh) });
    // The answer was made between request and now; half of the round trip is the best estimate.
    const offsetMs = certified.now_ms - (asked + Date.now()) / 2;
    await keep.keepSession({ secret: fresh.secret, certificate: unhex(certified.certificate),
      endsMs: certified.ends_ms, offsetMs });
    session = { ...(await keep.session()), ...sessionOf(fresh.secret) };
    renewAt = 0;
  } catch (code) {
    if (code === "too-many") renewAt = Date.now() + HOUR_MS;
    at("endedWhy").textContent = code === "offline" ? ENDED : words(code);
  } finally {
    renewing = false;
  }
}

/** Whether the platform still accepts this session. After a card was lost and restored, a new session is needed. */
async function checkStanding() {
  if (!phone || !session) return;
  try {
    const alias = hex(session.certificate.subarray(4, 12));
    const { accepted } = await ask("standing", { phone: hex(phone.secret), alias });
    if (!accepted) [session, renewAt] = [undefined, 0];
  } catch {
    // Without a network the code is shown; the verifier decides whether it is still accepted.
  }
}

/** Estimate of the platform's clock. */
const now = () => Date.now() + session.offsetMs;

function tick() {
  if (!phone || STAYS.includes(main.dataset.state)) return;
  if (!session || session.endsMs - now() < RENEW_MS) renew();
  if (!session || now() >= session.endsMs) return go(renewing && !session ? "starting" : "ended");
  go("code");
  at("name").textContent = phone.name;
  const online = navigator.onLine;
  at("link").textContent = online ? "已联网" : "离线可用";
  at("link").dataset.link = online ? "on" : "off";
  const hours = (session.endsMs - now()) / HOUR_MS;
  at("warn").hidden = online || hours > 6;
  at("warn").textContent = `没有网络。还能用 ${Math.max(1, Math.floor(hours))} 小时，之后请连一次网。`;
  if (token && token.endsMs <= performance.now()) showToken(false);
  if (answering && answering.endsMs <= performance.now()) endAnswer();
  if (answering) {
    const { slot } = slotAt(session.certificate, now()), leftMs = answering.endsMs - performance.now();
    if (answering.slot !== slot)
      [answering.slot, answering.text] = [slot, answer(session.certificate, session, slot, answering.challenge)];
    shows(answering.text, leftMs / ANSWER_MS, Math.ceil(leftMs / 1000) + " 秒", "内有效，只对这台终端有用");
  } else if (token) {
    const leftMs = token.endsMs - performance.now();
    shows(token.text, leftMs / token.livesMs, Math.ceil(leftMs / 1000) + " 秒", "后换新码，只能用一次");
  } else {
    const { slot, endsMs } = slotAt(session.certificate, now());
    const leftMs = Math.max(0, endsMs - now());
    if (session.slot !== slot) [session.slot, session.text] = [slot, present(session.certificate, session, slot)];
    shows(session.text, leftMs / SLOT_MS, Math.ceil(leftMs / 1000) + " 秒", "后自动换新，截图会失效");
  }
}

function shows(text, part, left, what) {
  if (text !== shown) {
    draw(at("code"), text);
    shown = text;
  }
  at("slot").style.transform = `scaleX(${part})`;
  at("left").textContent = left;
  at("what").textContent = what;
}

/** The online token has a quarter of the modules: old scanners can read it, but it needs the network. */
async function showToken(on) {
  token = undefined;
  at("big").setAttribute("aria-pressed", String(on));
  at("hint").textContent = "把屏幕调亮，对准扫码窗";
  if (!on) return tick();
  try {
    const { text, lives_ms } = await ask("tokens", { phone: hex(phone.secret) });
    token = { text, livesMs: lives_ms, endsMs: performance.now() + lives_ms };
    at("hint").textContent = "大格码：请再扫一次";
  } catch (code) {
    at("big").setAttribute("aria-pressed", "false");
    if (phone) at("hint").textContent = words(code);
  }
  tick();
}

/** Scan (扫一扫): reads a challenge or pairing code from a kiosk's screen. */
async function startScan() {
  await showToken(false);
  const hint = at("scanHint");
  hint.textContent = "终端要求手机确认时，屏幕上会有这个码";
  at("camera").hidden = false;
  go("scan");
  try {
    await scan.start(at("camera"), text => {
      asked = challengeOf(text);
      if (!asked) {
        hint.textContent = "这不是终端要求确认的码";
        return false;
      }
      at("asks").textContent = asked.device;
      go("confirm");
      return true;
    });
  } catch (words) {
    at("camera").hidden = true;
    hint.textContent = typeof words === "string" ? words : "现在扫不了，请稍后再试。";
  }
}

/** The owner agreed: shows the answer code, and a message on the view of the code. */
function startAnswer() {
  answering = { challenge: asked, endsMs: performance.now() + ANSWER_MS };
  asked = undefined;
  at("hint").textContent = "把这个码对准终端的扫码窗";
  at("answered").hidden = false;
  go("code");
  tick();
}

function endAnswer() {
  answering = undefined;
  at("hint").textContent = "把屏幕调亮，对准扫码窗";
  at("answered").hidden = true;
}

const some = (tag, text, kind) => Object.assign(document.createElement(tag), { textContent: text, className: kind ?? "" });

/** Shows a view by its name, with the list that the platform answers under that name; `field` holds the items. */
async function showList(name, field, nothing, partsOf) {
  const list = at(name);
  const only = text => list.replaceChildren(some("li", text, "none"));
  only("正在查询…");
  go(name);
  try {
    const { [field]: found } = await ask(name, { phone: hex(phone.secret) });
    list.replaceChildren();
    for (const one of found) {
      const item = document.createElement("li");
      item.append(...partsOf(one));
      list.append(item);
    }
    if (!found.length) only(nothing);
  } catch (code) {
    if (phone) only(words(code));
  }
}

const showUses = () => showList("uses", "uses", "还没有用过。", ({ purpose, place, at_ms }) => {
  const when = new Date(at_ms).toLocaleString("zh-CN", { dateStyle: "long", timeStyle: "short" });
  return [some("b", purpose), some("span", place), some("time", when)];
});

/** Shows a consent request of a relying party that verified the code. */
async function lookForQuestions() {
  const looks = () => !document.hidden && session && !answering && main.dataset.state === "code";
  if (!navigator.onLine || !looks()) return;
  const { asked: questions } = await ask("consents", { phone: hex(phone.secret) }).catch(() => ({ asked: [] }));
  if (!questions.length || !looks()) return;
  [consenting] = questions;
  const { recipient, purpose, licence, items, days } = JSON.parse(consenting.text);
  at("consentHow").textContent = licence ? `只给《${licence}》上的` : "只回答“是”或“否”";
  at("consentWho").textContent = recipient;
  at("consentWhy").textContent = purpose;
  at("consentWhat").textContent = items.join("；");
  at("consentLong").textContent = days ? `${days} 天内，可以随时撤回` : "只这一次";
  at("consentFailed").hidden = true;
  // The request appears unasked, so a touch that was meant for another button must not agree.
  canDecide(false);
  setTimeout(canDecide, SETTLES_MS, true);
  go("consent");
}

function canDecide(can) {
  for (const id of ["consentYes", "consentNo"]) at(id).disabled = !can;
}

async function decide(yes) {
  canDecide(false);
  try {
    const { slot } = slotAt(session.certificate, now());
    const signed = yes ? agreement(session.certificate, session, slot, consenting.text) : null;
    await ask("consent", { phone: hex(phone.secret), consent: consenting.consent, answer: signed });
    leaveConsent();
  } catch (code) {
    if (phone && code === "consent-over") {
      leaveConsent();
      at("hint").textContent = words(code);
    } else {
      at("consentFailed").textContent = words(code);
      at("consentFailed").hidden = false;
    }
  }
  canDecide(true);
}

function leaveConsent() {
  consenting = undefined;
  shown = "";
  go("code");
  tick();
}

/** Lists the consents that the owner can withdraw. */
const showConsents = () => showList("consents", "agreed", "没有有效的授权。", ({ consent, text }) => {
  const { recipient, purpose, licence, items } = JSON.parse(text);
  const what = (licence ? `《${licence}》` : "") + items.join("；");
  const back = some("button", "撤回", "second");
  back.type = "button";
  back.addEventListener("click", async () => {
    back.disabled = true;
    await ask("withdrawals", { phone: hex(phone.secret), consent }).then(showConsents, code => {
      back.disabled = false;
      if (phone) back.textContent = words(code);
    });
  });
  return [some("b", recipient), some("span", `${purpose}：${what}`), back];
});

/** Lists the owner's e-certificates. */
const showLicences = () => showList("licences", "licences", "还没有您的证照。", ({ title, issuer, items }) =>
  [some("b", title), ...items.map(([name, value]) => some("span", `${name}：${value}`)), some("time", issuer)]);

async function endCode() {
  at("end").disabled = true;
  at("lossFailed").hidden = true;
  try {
    await ask("losses", { phone: hex(phone.secret) });
    await unbound();
  } catch {
    at("lossFailed").hidden = !phone;
  }
  at("end").disabled = false;
}

function elder(on) {
  document.body.classList.toggle("elder", on);
  at("elder").setAttribute("aria-pressed", String(on));
  at("elder").textContent = on ? "标准版" : "长辈版";
  localStorage.setItem("elder", on ? "1" : "");
  shown = "";
}

/** Keeps the screen on while a code is shown, if the phone allows a page to do that. */
async function lit() {
  try {
    if (!document.hidden) await navigator.wakeLock?.request("screen");
  } catch {
    // A phone in power-saving mode refuses; the code is shown nevertheless.
  }
}

async function start() {
  elder(localStorage.getItem("elder") === "1");
  if (!window.isSecureContext || !crypto.subtle || !window.indexedDB) {
    at("why").textContent = "请用手机自带的浏览器打开，不要用无痕模式。";
    return go("broken");
  }
  navigator.serviceWorker?.register("sw.js").catch(() => {});
  const told = brought();
  try {
    await backFromIdentity(told);
  } catch (code) {
    return typeof code === "string" ? undefined : unbound();
  }
  setInterval(tick, TICK_MS);
  setInterval(checkStanding, STANDING_EVERY_MS);
  setInterval(lookForQuestions, ASKED_EVERY_MS);
  if (told.get("pair")) return startPairing(told.get("pair"));
  await resume();
}

/** Shows the code of this phone, if the phone has one. */
async function resume() {
  try {
    phone = await keep.phone();
  } catch {
    return unbound();
  }
  if (!phone) return unbound();
  const kept = await keep.session().catch(() => undefined);
  session = kept && { ...kept, ...sessionOf(kept.secret) };
  if (!session) await renew();
  tick();
  checkStanding();
  lit();
}

at("bind").addEventListener("click", leaveForIdentity);
at("idEnd").addEventListener("input", () => { at("pairGo").disabled = at("idEnd").value.length !== 6; });
at("pairGo").addEventListener("click", pair);
at("pairNo").addEventListener("click", endPairing);
addEventListener("hashchange", () => {
  // The page was open already when a kiosk's code opened it again.
  const code = brought().get("pair");
  if (code) startPairing(code);
});
at("retry").addEventListener("click", () => { renewAt = 0; tick(); });
at("elder").addEventListener("click", () => { elder(!document.body.classList.contains("elder")); tick(); });
at("scan").addEventListener("click", () => { endAnswer(); startScan(); });
at("confirm").addEventListener("click", startAnswer);
at("answered").addEventListener("click", () => { endAnswer(); tick(); });
at("big").addEventListener("click", () => { endAnswer(); showToken(!token); });
at("showUses").addEventListener("click", showUses);
at("showLicences").addEventListener("click", showLicences);
at("showConsents").addEventListener("click", showConsents);
at("consentYes").addEventListener("click", () => decide(true));
at("consentNo").addEventListener("click", () => decide(false));
at("showLoss").addEventListener("click", () => { at("lossFailed").hidden = true; go("loss"); });
at("end").addEventListener("click", endCode);
for (const back of document.querySelectorAll("[data-back]"))
  back.addEventListener("click", () => { asked = undefined; shown = ""; go("code"); tick(); });
addEventListener("online", () => { renewAt = 0; });
addEventListener("resize", () => { shown = ""; });
document.addEventListener("visibilitychange", () => {
  // The page is hidden: the camera stops.
  if (document.hidden && main.dataset.state === "scan") go("code");
  lit();
  tick();
});
start();
