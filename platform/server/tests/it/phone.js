// Drives Chromium with a phone's screen: executes the commands on standard input, one per line, and answers each with
// `done …`.
"use strict";
const { chromium } = require("playwright-core");
const [, , address, pictures, camera] = process.argv;
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--no-first-run", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
  `--use-file-for-fake-video-capture=${camera}`];

(async () => {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: QUIET });
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true,
    hasTouch: true, locale: "zh-CN" });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const faults = [];
  page.on("pageerror", error => faults.push(error.message));
  const state = name => page.waitForSelector(`main[data-state=${name}]`);
  const drawn = () => page.waitForFunction(() => document.getElementById("code").width > 40
    && document.getElementById("left").textContent !== "");
  const cameraIsOff = () => page.waitForFunction(() => document.getElementById("camera").srcObject === null);
  const seen = async (name, number) => {
    await page.tap("#bind");
    await page.fill("#name", name);
    await page.fill("#number", number);
    await page.tap("#go");
  };
  const does = {
    open: async () => {
      await page.goto(address);
      await state("unbound");
    },
    picture: name => page.screenshot({ path: `${pictures}/${name}.png` }),
    check: async (name, number) => {
      await seen(name, number);
      await page.waitForSelector("#stop:not([hidden])");
    },
    bind: async (name, number) => {
      await page.goto(address);
      await state("unbound");
      await seen(name, number);
      await page.waitForURL(address);
      await state("code");
      await drawn();
      if (page.url() !== address) throw new Error("the ticket is still in the address");
    },
    next: async () => {
      const picture = () => document.getElementById("code").toDataURL();
      const before = await page.evaluate(picture);
      await page.waitForFunction(old => document.getElementById("code").toDataURL() !== old, before);
    },
    // Checks whether the key that wraps the secrets is extractable, and whether a secret is stored unwrapped.
    secrets: () => page.evaluate(async () => {
      const db = await new Promise(done => {
        const request = indexedDB.open("yukuaima");
        request.onsuccess = () => done(request.result);
      });
      const get = key => new Promise(done => {
        const request = db.transaction("kept").objectStore("kept").get(key);
        request.onsuccess = () => done(request.result);
      });
      const [wrap, phone, session] = [await get("wrap"), await get("phone"), await get("session")];
      if (phone.secret instanceof Uint8Array || session.secret instanceof Uint8Array) throw new Error("unwrapped");
      return `extractable=${wrap.extractable}`;
    }),
    elder: async () => {
      await page.tap("#elder");
      await page.waitForSelector("body.elder");
      await does.next();
    },
    standard: async () => {
      await page.tap("[data-view=uses] [data-back]");
      await page.tap("#elder");
      await drawn();
    },
    large: async () => {
      await page.tap("#big");
      await page.waitForFunction(() => document.getElementById("hint").textContent.startsWith("大格码"));
    },
    uses: async () => {
      await page.tap("#big");
      await page.tap("#showUses");
      await page.waitForFunction(() => document.getElementById("uses").textContent === "还没有用过。");
    },
    // A relying party requests a claim: the page shows the recipient, the purpose and the items.
    asked: async () => {
      await state("consent");
      return await page.textContent("#consentWho") + await page.textContent("#consentWhat");
    },
    askedOf: () => page.textContent("#consentHow"),
    licences: async () => {
      await page.tap("#showLicences");
      await page.waitForSelector("#licences b");
      return page.textContent("#licences");
    },
    licencesElder: async () => {
      await page.tap("#elder");
      await page.waitForSelector("body.elder");
    },
    leaveLicences: async () => {
      await page.tap("#elder");
      await page.tap("[data-view=licences] [data-back]");
      await state("code");
      await drawn();
    },
    agree: async () => {
      await page.tap("#consentYes");
      await state("code");
      await drawn();
    },
    consents: async () => {
      await page.tap("#showUses");
      await page.tap("#showConsents");
      await page.waitForSelector("#consents button");
    },
    withdraw: async () => {
      await page.tap("#consents button");
      await page.waitForFunction(() => document.getElementById("consents").textContent === "没有有效的授权。");
      await page.tap("[data-view=consents] [data-back]");
      await state("code");
      await drawn();
    },
    offline: async () => {
      await page.evaluate(() => navigator.serviceWorker.ready);
      await context.setOffline(true);
      await page.reload();
      await state("code");
      await drawn();
      await page.waitForSelector("#link[data-link=off]");
    },
    // The fake camera shows the file's picture of a kiosk's screen.
    scan: async () => {
      await page.tap("#scan");
      await state("confirm");
      return page.textContent("#asks");
    },
    // The camera shows another code; the view is left in every possible way, before and after the first picture.
    strange: async () => {
      await page.tap("#scan");
      await page.waitForFunction(() => document.getElementById("scanHint").textContent.startsWith("这不是终端"));
      await state("scan");
    },
    leave: async () => {
      await page.tap("[data-view=scan] [data-back]");
      await state("code");
      await cameraIsOff();
    },
    hide: async () => {
      await page.evaluate(() => {
        Object.defineProperty(document, "hidden", { value: true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
        delete document.hidden;
      });
      await state("code");
      await cameraIsOff();
    },
    // Leaving the view while the permission prompt is open keeps the camera off.
    hasty: async () => {
      await page.evaluate(() => {
        const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
        devices.getUserMedia = async wish => {
          await new Promise(done => { window.allow = done; });
          return window.opened = await open(wish);
        };
      });
      await page.tap("#scan");
      await page.waitForFunction(() => window.allow);
      await does.leave();
      await page.evaluate(() => { delete navigator.mediaDevices.getUserMedia; window.allow(); });
      await page.waitForFunction(() => window.opened?.getTracks().every(track => track.readyState === "ended"));
      await cameraIsOff();
    },
    refused: async () => {
      await page.evaluate(() => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotAllowedError"));
      });
      await page.tap("#scan");
      await page.waitForFunction(() => document.getElementById("scanHint").textContent.includes("到柜台办理"));
      await page.evaluate(() => { delete navigator.mediaDevices.getUserMedia; });
    },
    confirm: async () => {
      await page.tap("#confirm");
      await page.waitForSelector("#answered:not([hidden])");
      await state("code");
      await cameraIsOff();
    },
    answered: async () => {
      await page.tap("#answered");
      await page.waitForSelector("#answered", { state: "hidden" });
      await does.next();
    },
    // One minute without leaving the view.
    minute: async () => {
      await page.evaluate(() => {
        performance.now = () => Performance.prototype.now.call(performance) + 60_000;
      });
      await page.waitForSelector("#answered", { state: "hidden" });
      await page.evaluate(() => { delete performance.now; });
      await does.next();
    },
    loss: async () => {
      await page.tap("#showLoss");
      await page.tap("#end");
      await page.waitForSelector("#lossFailed:not([hidden])");
    },
  };
  try {
    for await (const line of require("readline").createInterface({ input: process.stdin })) {
      const [what, ...words] = line.split(" ");
      const answer = await does[what](...words);
      if (faults.length) throw new Error(faults.join("; "));
      console.log("done " + (typeof answer === "string" ? answer : ""));
    }
  } catch (error) {
    console.log("failed " + error.message.replaceAll("\n", " ") + " at " + page.url());
  } finally {
    await browser.close();
  }
})();
