// A Chromium that takes its orders from standard input, one JSON object a line, and answers each with one.
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const DEADLINE = 30_000;

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    // Chromium's sandbox does not work for root.
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
  });
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  const orders = {
    goto: (url) => {
      errors.length = 0;
      return page.goto(url).then(() => true);
    },
    evaluate: (expression) => page.evaluate(expression),
    wait: (expression) => page.waitForFunction(expression, null, { timeout: DEADLINE }).then(() => true),
    viewport: ([width, height]) => page.setViewportSize({ width, height }).then(() => true),
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
