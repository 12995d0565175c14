// Pages of a gateway that nobody has used yet: each one teaches, with its own URL.
import { PHONE, WIDE, assert, check, gateway, open, screenshot, test } from './harness.mjs';

const PAGES = ['', '/events', '/sources', '/destinations', '/connections', '/dead-letters', '/replays', '/performance', '/slos', '/rollouts', '/load-tests', '/test', '/dry-run'];

for (const [place, viewport, scheme] of [['1280', WIDE, 'light'], ['390', PHONE, 'dark']]) {
  test(`empty pages at ${place} px, ${scheme}`, async () => {
    const { context, page, complaints } = await open({ url: gateway.empty_url, key: gateway.empty_key, viewport, scheme });
    for (const path of PAGES) {
      const name = `empty${path.replaceAll('/', '-') || '-overview'}`;
      await page.goto(`/console${path}`);
      await screenshot(page, `${name}-${place}-${scheme}`);
      await check(page, complaints, name);
    }
    await page.goto('/console/events');
    assert.match(await page.locator('.command pre').first().innerText(), new RegExp(`curl .*${gateway.empty_url}`));
    await context.close();
  });
}
