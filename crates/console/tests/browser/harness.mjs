// A browser, sessions in it, and checks that fail with what was seen.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const need = (name) => {
  const value = process.env[name];
  if (!value) { throw new Error(`${name} is not set: run this by \`cargo xtask test -- -p spillway-gateway --test browser\``); }
  return value;
};

const require = createRequire(join(need('SPILLWAY_BROWSER_MODULES'), 'package.json'));
const { chromium } = require('playwright-core');
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

export { assert };
export const gateway = JSON.parse(need('SPILLWAY_BROWSER_GATEWAY'));
export const screenshots = need('SPILLWAY_BROWSER_SCREENSHOTS');
export const WIDE = { width: 1280, height: 860 };
export const PHONE = { width: 390, height: 844 };
// A machine that is busy takes its time; nothing waits longer than it has to.
const PATIENCE_MS = 20_000;

const tests = [];
export const test = (name, run) => tests.push({ name, run });

let browser;

// Runs every test; the process fails when one does.
export const runAll = async () => {
  browser = await chromium.launch({
    executablePath: need('SPILLWAY_BROWSER_PROGRAM'),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  let failures = 0;
  for (const { name, run } of tests) {
    const begun = Date.now();
    try {
      await run();
      console.log(`ok   ${name} (${Date.now() - begun} ms)`);
    } catch (error) {
      failures += 1;
      console.log(`FAIL ${name}\n${error.stack}`);
    }
  }
  await browser.close();
  if (failures > 0) { process.exitCode = 1; }
};

// A context that collects what the browser complains about.
export const open = async ({ key = gateway.admin_key, url = gateway.url, viewport = WIDE, scheme = 'light', script = true, signedIn = true } = {}) => {
  const context = await browser.newContext({ viewport, colorScheme: scheme, javaScriptEnabled: script, reducedMotion: 'reduce', baseURL: url });
  context.setDefaultTimeout(PATIENCE_MS);
  const complaints = [];
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 4\d\d|status of 5\d\d/.test(message.text())) { complaints.push(message.text()); }
  });
  page.on('pageerror', (error) => complaints.push(`script: ${error.message}`));
  page.on('dialog', (dialog) => { complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on('request', (request) => { if (!request.url().startsWith(url) && !request.url().startsWith('data:')) { complaints.push(`foreign: ${request.url()}`); } });
  if (signedIn) { await signIn(page, key); }
  return { context, page, complaints };
};

export const signIn = async (page, key) => {
  await page.goto('/console/login');
  await page.fill('#key', key);
  await page.click('button[type=submit]');
  await page.waitForURL((url) => !url.pathname.endsWith('/login'));
};

// Violations of the accessibility rules of WCAG 2.2, A and AA.
export const violations = async (page) => {
  // The policy lets no script in but our own; the debugger's door is another one.
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: AXE });
  const run = "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then((result) => JSON.stringify(result.violations.map((one) => ({ id: one.id, help: one.help, nodes: one.nodes.slice(0, 4).map((node) => node.html.slice(0, 200) + ' ' + (node.any[0] || node.all[0] || node.none[0] || {}).message) }))))";
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', { expression: run, awaitPromise: true });
  if (exceptionDetails) { throw new Error(`axe failed: ${exceptionDetails.exception?.description || exceptionDetails.text}`); }
  await session.detach();
  return JSON.parse(result.value);
};

// What must hold of every page, whatever it shows.
export const check = async (page, complaints, name) => {
  // Before axe, which leaves attributes of its own behind.
  assert.deepEqual(await page.locator('[style]:not([style=""])').evaluateAll((found) => found.map((one) => one.outerHTML.slice(0, 200))), [], `${name}: no style in the page`);
  const found = await violations(page);
  assert.deepEqual(found, [], `${name}: accessibility`);
  assert.deepEqual(complaints, [], `${name}: the browser complains`);
  const { scroll, client } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth }));
  assert.ok(scroll <= client, `${name} is ${scroll} px wide in a window of ${client} px`);
  assert.equal(await page.locator('h1').count(), 1, `${name}: one heading of the page`);
  assert.equal(await page.locator('main').count(), 1, `${name}: one main landmark`);
};

export const screenshot = async (page, name) => {
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true, animations: 'disabled' });
};

// A request with the cookies of the context, outside the page.
export const fetchText = async (context, path, options = {}) => {
  const answer = await context.request.fetch(path, { maxRedirects: 0, ...options });
  return { status: answer.status(), headers: answer.headers(), text: await answer.text() };
};

export const api = async (method, path, body, key = gateway.admin_key) => {
  const answer = await fetch(`${gateway.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, value: text ? JSON.parse(text) : null };
};

export const until = async (what, condition) => {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    if (await condition()) { return; }
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  throw new Error(`it did not happen in time: ${what}`);
};
