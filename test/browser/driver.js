// A Chromium that takes its orders from standard input, one JSON object a line, and answers each with one. Its pages
// are tabs of one browser: they share cookies and workers.
const { readFileSync } = require("node:fs");
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const DEADLINE = 30_000 * Number(process.env.ODOO_BUS_TEST_SLOWNESS || 1);

// What a promise of the page comes to, if it does.
function inTime(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not settled after ${DEADLINE} ms: ${what}`)), DEADLINE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    // Pages may be cached when one goes back and forth, as they are for people.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
    // Chromium's sandbox does not work for root.
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
  });
  const context = await browser.newContext();
  const errors = [];
  const pages = new Map();
  let page = null;

  async function open(name) {
    const opened = await context.newPage();
    opened.on("pageerror", (error) => errors.push(String(error)));
    opened.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    pages.set(name, opened);
    return opened;
  }
  // What a page that is not seen does, and one that the browser has frozen.
  async function setLifecycle(state) {
    const session = await context.newCDPSession(page);
    await session.send("Page.setWebLifecycleState", { state });
    await session.detach();
    return true;
  }

  page = await open("main");
  const orders = {
    goto: (url) => {
      errors.length = 0;
      return page.goto(url).then(() => true);
    },
    // Another tab becomes the one that orders are for; it is opened when there is none of that name.
    tab: async (name) => {
      page = pages.get(name) ?? (await open(name));
      return true;
    },
    // What follows is done by somebody who has not been here before.
    "forget cookies": () => context.clearCookies().then(() => true),
    close: async (name) => {
      await pages.get(name).close();
      pages.delete(name);
      page = pages.get("main");
      return true;
    },
    back: () => page.goBack().then(() => true),
    // The time of all pages of this browser is ours from here on, and goes on when it is told to.
    "stop clock": () => page.clock.install().then(() => page.clock.pauseAt(Date.now() + 1000)).then(() => true),
    "go on": (milliseconds) => page.clock.runFor(milliseconds).then(() => true),
    reload: () => page.reload().then(() => true),
    offline: (offline) => context.setOffline(offline).then(() => true),
    lifecycle: setLifecycle,
    evaluate: (expression) => inTime(page.evaluate(expression), expression),
    wait: (expression) => page.waitForFunction(expression, null, { timeout: DEADLINE }).then(() => true),
    viewport: ([width, height]) => page.setViewportSize({ width, height }).then(() => true),
    dark: (dark) => page.emulateMedia({ colorScheme: dark ? "dark" : "light" }).then(() => true),
    hover: (selector) => page.hover(selector, { timeout: DEADLINE }).then(() => true),
    // The faults of the page that axe finds, each with the elements that have it.
    axe: async () => {
      // Not as an element of the page, whose policy may refuse scripts.
      await page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
      const { violations } = await inTime(page.evaluate("axe.run()"), "axe");
      return violations.map(({ id, nodes }) => [id, nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`)]);
    },
    click: (selector) => page.click(selector, { timeout: DEADLINE }).then(() => true),
    screenshot: ([path, fullPage]) => page.screenshot({ path, fullPage }).then(() => true),
    errors: () => errors,
  };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, argument] = JSON.parse(line);
    let answer;
    try {
      answer = { value: await orders[name](argument) };
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await browser.close();
}

main();
