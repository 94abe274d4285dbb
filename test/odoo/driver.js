// Chromium with as many separate users as are asked for. Takes orders from standard input, one JSON array a line
// ([order, page, argument]), and answers each with one JSON object.
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const DEADLINE = Number(process.env.ODOO_BUS_TEST_DEADLINE || 30) * 2000 * Number(process.env.ODOO_BUS_TEST_SLOWNESS || 1);

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    // Chromium's sandbox does not work for root. Pages in the background are pages that somebody looks at elsewhere.
    args: [
      ...(process.getuid() === 0 ? ["--no-sandbox"] : []),
      "--disable-dev-shm-usage",
      "--disable-background-timer-throttling",
      "--disable-backgrounding-occluded-windows",
      "--disable-renderer-backgrounding",
    ],
  });
  const contexts = {};
  const pages = {};
  const errors = {};
  // A page in the context (the cookies, the SharedWorker) of the user of that name.
  async function open(name, { user, options }) {
    contexts[user] ??= await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await contexts[user].newPage();
    page.setDefaultTimeout(DEADLINE);
    page.setDefaultNavigationTimeout(DEADLINE * 3);
    pages[name] = page;
    errors[name] = [];
    page.on("pageerror", (error) => errors[name].push(String(error)));
    page.on("console", (message) => message.type() === "error" && errors[name].push(message.text()));
    return true;
  }
  const orders = {
    open,
    goto: (name, url) => pages[name].goto(url, { waitUntil: "domcontentloaded" }).then(() => pages[name].url()),
    reload: (name) => pages[name].reload({ waitUntil: "domcontentloaded" }).then(() => true),
    url: (name) => pages[name].url(),
    evaluate: (name, expression) => pages[name].evaluate(expression),
    wait: (name, expression) => pages[name].waitForFunction(expression, null, { polling: 100 }).then(() => true),
    see: (name, selector) => pages[name].locator(selector).first().waitFor().then(() => true),
    gone: (name, selector) => pages[name].locator(selector).first().waitFor({ state: "hidden" }).then(() => true),
    count: (name, selector) => pages[name].locator(selector).count(),
    texts: (name, selector) => pages[name].locator(selector).allInnerTexts(),
    click: (name, selector) => pages[name].locator(selector).first().click().then(() => true),
    hover: (name, selector) => pages[name].locator(selector).first().hover().then(() => true),
    fill: (name, [selector, text]) => pages[name].locator(selector).first().fill(text).then(() => true),
    // Keys one by one, as a user types them.
    type: (name, [selector, text]) =>
      pages[name].locator(selector).first().pressSequentially(text, { delay: 20 }).then(() => true),
    press: (name, [selector, key]) => pages[name].locator(selector).first().press(key).then(() => true),
    cookies: (name) => pages[name].context().cookies(),
    errors: (name) => errors[name],
    screenshot: (name, path) => pages[name].screenshot({ path }).then(() => true),
    close: async (name) => {
      await pages[name].close();
      return true;
    },
    forget: async (name) => {
      const context = pages[name].context();
      for (const [user, one] of Object.entries(contexts)) {
        if (one === context) delete contexts[user];
      }
      await context.close();
      return true;
    },
  };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [order, name, argument] = JSON.parse(line);
    let answer;
    try {
      answer = { value: (await orders[order](name, argument)) ?? null };
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await browser.close();
}

main();
