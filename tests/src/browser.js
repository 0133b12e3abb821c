// Runs a real Chromium with a phone's screen. Reads one command per line as a JSON list, and answers each with one
// line.
"use strict";
const { chromium } = require("playwright-core");
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--no-first-run"];

(async () => {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: QUIET });
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true,
    hasTouch: true, locale: "zh-CN" });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const commands = {
    open: address => page.goto(address),
    tap: what => page.tap(what),
    fill: (what, text) => page.fill(what, text),
    see: what => page.waitForSelector(what),
    picture: path => page.screenshot({ path }),
  };
  try {
    for await (const line of require("readline").createInterface({ input: process.stdin })) {
      const [what, ...with_] = JSON.parse(line);
      await commands[what](...with_);
      console.log("done");
    }
  } catch (error) {
    // The first line names the selector; later lines may contain a page address, which can hold personal data.
    console.log("failed " + error.message.split("\n")[0]);
  } finally {
    await browser.close();
  }
})();
