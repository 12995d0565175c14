// Keyboard, live updates, copying, and everything without script.
import { PHONE, api, assert, check, gateway, open, test, until } from './harness.mjs';
import { PAGES } from './pages.mjs';

const publish = (data) => api('POST', '/api/v1/events', { source: 'shop', type: 'live.row', data });

test('keys lead everywhere', async () => {
  const { context, page, complaints } = await open();
  for (const [key, path] of [['e', '/console/events'], ['s', '/console/sources'], ['d', '/console/destinations'], ['c', '/console/connections'], ['x', '/console/dead-letters'],
    ['p', '/console/performance'], ['b', '/console/slos'], ['r', '/console/rollouts'], ['l', '/console/load-tests'], ['o', '/console']]) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.waitForURL((url) => url.pathname === path);
  }
  await page.keyboard.press('/');
  await page.waitForURL(/\/console\/events/);
  await until('the search has the focus', () => page.evaluate(() => document.activeElement.id === 'q'));
  await page.keyboard.type('jk?');
  assert.equal(await page.inputValue('#q'), 'jk?');
  await page.keyboard.press('Escape');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('k');
  const focused = await page.evaluate(() => [...document.querySelectorAll('[data-row]')].indexOf(document.activeElement.closest('[data-row]')));
  assert.equal(focused, 0);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/console\/events\/evt_/);
  await page.keyboard.press('r');
  await page.waitForURL(/\/replay$/);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Replay');
  await page.keyboard.press('?');
  assert.ok(await page.locator('dialog#keys').isVisible());
  await check(page, complaints, 'the list of keys');
  await page.keyboard.press('Escape');
  assert.ok(!await page.locator('dialog#keys').isVisible());
  await context.close();
});

test('the first stop of the keyboard leads past the rail', async () => {
  const { context, page } = await open();
  await page.goto('/console/sources');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  assert.ok(await page.evaluate(() => document.querySelector('main').contains(document.activeElement)));
  await context.close();
});

test('the overview follows what happens', async () => {
  const { context, page, complaints } = await open();
  await page.goto('/console');
  await until('it is live', async () => (await page.locator('[data-live-state]').innerText()) === 'Live');
  await api('POST', '/api/v1/destinations/audit/pause');
  await until('the pause is seen', async () => /audit[\s\S]*paused/.test(await page.locator('main').innerText()));
  await api('POST', '/api/v1/destinations/audit/resume');
  await until('the resumption is seen', async () => !/paused/.test(await page.locator('main').innerText()));
  assert.deepEqual(complaints, []);
  await context.close();
});

test('rows stream in at the top and wait while somebody looks, where the gateway streams', async () => {
  const { context, page, complaints } = await open();
  await page.goto('/console/events');
  const state = page.locator('[data-live-state]');
  await until('it is live or says why not', async () => /^(Live$|Live rows are not)/.test(await state.innerText()));
  // The connection stands before the API's answer does.
  const probe = await fetch(`${gateway.url}/api/v1/events/stream`, { headers: { authorization: `Bearer ${gateway.admin_key}` } });
  await probe.body?.cancel();
  if (probe.status === 404) {
    await until('it says so', async () => /not available/.test(await state.innerText()));
  } else {
    const { value } = await publish({ n: 1 });
    await until('the row is there', async () => (await page.locator(`#${value.id}`).count()) === 1);
    await page.locator('table.rows').hover();
    await until('it is held', async () => /Held/.test(await state.innerText()));
    const second = (await publish({ n: 2 })).value;
    await until('it is counted', async () => page.locator('[data-live-more]').isVisible());
    assert.equal(await page.locator(`#${second.id}`).count(), 0);
    await page.mouse.move(0, 0);
    await until('it came', async () => (await page.locator(`#${second.id}`).count()) === 1);
  }
  assert.deepEqual(complaints, []);
  await context.close();
});

test('an id is copied by a click', async () => {
  const { context, page } = await open();
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: gateway.url });
  await page.goto(`/console/events/${gateway.event}`);
  await page.locator('main button.id').first().click();
  await until('it is said', async () => (await page.locator('#said').innerText()) === 'Copied');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), gateway.event);
  await context.close();
});

test('everything but live updates works without script', async () => {
  const { context, page } = await open({ script: false, viewport: PHONE });
  await page.getByRole('link', { name: 'Events' }).click();
  await page.fill('#q', gateway.event);
  await page.getByRole('button', { name: 'Search' }).click();
  await page.waitForURL(new RegExp(gateway.event));
  await page.getByRole('link', { name: /More/ }).click();
  await page.locator('.menu').getByRole('link', { name: 'Destinations' }).click();
  await page.getByRole('link', { name: 'audit', exact: true }).click();
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.waitForURL(/done=paused/);
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.waitForURL(/done=resumed/);
  await page.goto('/console/more');
  await page.locator('main .themes button[value=dark]').click();
  await page.waitForURL(/\/console\/more/);
  assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
  await context.close();
});

test('pages answer fast', async () => {
  const { context } = await open();
  for (const path of ['/console', '/console/events', `/console/events/${gateway.dead_event}`, '/console/destinations', '/console/dead-letters', '/console/performance', '/console/slos']) {
    const times = [];
    for (let n = 0; n < 5; n += 1) {
      const begun = performance.now();
      await context.request.get(path);
      times.push(performance.now() - begun);
    }
    const best = Math.min(...times);
    console.log(`     ${path} ${best.toFixed(1)} ms at best`);
    // A debug build on a busy machine; the bar of 50 ms is measured by the benches.
    assert.ok(best < 500, `${path} took ${best} ms`);
  }
  await context.close();
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
