// Every page, in both widths and both themes: accessible, in its window, without a complaint of the browser; and how it looks.
import { PHONE, WIDE, api, assert, check, gateway, open, screenshot, test } from './harness.mjs';

const first = async (path) => (await api('GET', path)).value.data?.[0];
const connection = await first('/api/v1/connections');

const PAGES = [
  ['overview', '/console'],
  ['events', '/console/events'],
  ['events-search', '/console/events?q=pull_request&source=github'],
  ['events-none', '/console/events?source=github&since=3600&q=nothing-like-this'],
  ['event', `/console/events/${gateway.event}`],
  ['event-dead', `/console/events/${gateway.dead_event}`],
  ['event-replay', `/console/events/${gateway.dead_event}/replay`],
  ['sources', '/console/sources'],
  ['source', '/console/sources/github'],
  ['source-new', '/console/sources/new'],
  ['source-edit', '/console/sources/github/edit'],
  ['source-delete', '/console/sources/github/delete'],
  ['destinations', '/console/destinations'],
  ['destination', '/console/destinations/warehouse'],
  ['destination-new', '/console/destinations/new'],
  ['destination-edit', '/console/destinations/warehouse/edit'],
  ['destination-rotate', '/console/destinations/billing/rotate'],
  ['destination-delete', '/console/destinations/audit/delete'],
  ['connections', '/console/connections'],
  ['connection', `/console/connections/${connection.id}`],
  ['connection-new', '/console/connections/new'],
  ['connection-edit', `/console/connections/${connection.id}/edit`],
  ['connection-delete', `/console/connections/${connection.id}/delete`],
  ['dry-run', '/console/dry-run'],
  ['test', '/console/test?source=shop'],
  ['dead-letters', '/console/dead-letters'],
  ['replay-new', '/console/replays/new?state=dead'],
  ['replays', '/console/replays'],
  ['performance', '/console/performance'],
  ['slos', '/console/slos'],
  ['rollouts', '/console/rollouts'],
  ['rollout', '/console/rollouts/checkout'],
  ['load-tests', '/console/load-tests'],
  ['load-test', '/console/load-tests/smoke-2'],
  ['more', '/console/more'],
  ['keyboard', '/console/keyboard'],
  ['not-found', '/console/nothing-here'],
];

for (const [place, viewport] of [['1280', WIDE], ['390', PHONE]]) {
  for (const scheme of ['light', 'dark']) {
    test(`every page at ${place} px, ${scheme}`, async () => {
      const { context, page, complaints } = await open({ viewport, scheme });
      for (const [name, path] of PAGES) {
        const answer = await page.goto(path);
        assert.ok(answer.status() < 500, `${name}: ${answer.status()}`);
        await page.waitForLoadState('load');
        await screenshot(page, `${name}-${place}-${scheme}`);
        await check(page, complaints, `${name} at ${place} px, ${scheme}`);
      }
      await context.close();
    });
  }
}

test('signing in looks right', async () => {
  for (const [place, viewport] of [['1280', WIDE], ['390', PHONE]]) {
    for (const scheme of ['light', 'dark']) {
      const { context, page, complaints } = await open({ viewport, scheme, signedIn: false });
      await page.goto('/console');
      assert.match(page.url(), /\/console\/login/);
      await screenshot(page, `login-${place}-${scheme}`);
      await check(page, complaints, `login at ${place} px, ${scheme}`);
      await context.close();
    }
  }
});

test('a theme that was chosen holds against the system, on every page', async () => {
  const { context, page } = await open({ scheme: 'light' });
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.click('.themes button[value=dark]');
  await page.waitForLoadState('load');
  const dark = await background();
  assert.notEqual(dark, light);
  await page.goto('/console/sources');
  assert.equal(await background(), dark);
  await context.close();
});

test('a key that may only read sees no button that it may not press', async () => {
  const { context, page, complaints } = await open({ key: gateway.read_key });
  for (const [name, path] of PAGES.filter(([name]) => !/new|edit|delete|rotate|replay|test|dry-run/.test(name))) {
    await page.goto(path);
    const posts = await page.locator('main form[method=post]:not(.themes):not([action="/console/logout"])').count();
    assert.equal(posts, 0, `${name} has a form for somebody who may only read`);
    await check(page, complaints, `${name}, read only`);
  }
  await context.close();
});
