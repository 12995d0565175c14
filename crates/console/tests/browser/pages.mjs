// Every page in both themes: accessible, in its window, without a complaint of the browser; and how it looks.
import { api, assert, check, gateway, open, screenshot, test } from './harness.mjs';

const first = async (path) => (await api('GET', path)).value.data?.[0];
const connection = await first('/api/v1/connections');

export const PAGES = [
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

// Declares the tests of every page in a window, and of the page before a session.
export const look = (viewport) => {
  const place = viewport.width;
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

    test(`signing in at ${place} px, ${scheme}`, async () => {
      const { context, page, complaints } = await open({ viewport, scheme, signedIn: false });
      await page.goto('/console');
      assert.match(page.url(), /\/console\/login/);
      await screenshot(page, `login-${place}-${scheme}`);
      await check(page, complaints, `login at ${place} px, ${scheme}`);
      await context.close();
    });
  }
};
