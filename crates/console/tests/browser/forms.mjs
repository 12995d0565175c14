// Every form: what it makes, what it changes, what it says when the API refuses.
import { api, assert, check, gateway, open, test, until } from './harness.mjs';

const submit = (page, name) => page.getByRole('button', { name, exact: true }).first().click();
const says = async (page, text) => {
  await page.waitForLoadState('load');
  const main = await page.locator('main').innerText();
  assert.match(main, text);
};

test('a key that is none is refused with what to do, and a session ends', async () => {
  const { context, page, complaints } = await open({ signedIn: false });
  await page.goto('/console/events?q=x');
  await page.fill('#key', 'spk_wrong');
  await submit(page, 'Sign in');
  await says(page, /No key has this text.*47 characters/s);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('role')), 'alert');
  await check(page, complaints, 'login refused');
  await page.fill('#key', gateway.admin_key);
  await submit(page, 'Sign in');
  await page.waitForURL(/\/console\/events\?q=x/);
  const cookie = (await context.cookies()).find(({ name }) => name === 'spillway_session');
  assert.ok(cookie.httpOnly && cookie.sameSite === 'Strict' && !cookie.value.includes('spk_'));
  await submit(page, 'Sign out');
  await page.waitForURL(/\/console\/login/);
  await page.goto('/console/events');
  assert.match(page.url(), /\/console\/login/);
  await context.close();
});

test('a key that was deleted ends its session', async () => {
  const made = (await api('POST', '/api/v1/keys', { name: 'short-lived', scope: 'read' })).value;
  const { context, page } = await open({ key: made.key });
  await api('DELETE', `/api/v1/keys/${made.id}`);
  await page.goto('/console/events');
  await page.waitForURL(/\/console\/login\?ended=key/);
  await says(page, /not known any more/);
  await context.close();
});

test('a source: made, refused, changed, disabled, its secret rotated, deleted', async () => {
  const { context, page, complaints } = await open();
  await page.goto('/console/sources');
  await page.getByRole('link', { name: 'New source' }).click();
  await page.fill('#name', 'not a name');
  await page.selectOption('#provider', 'stripe');
  await page.fill('#secret', 'whsec_abc');
  await submit(page, 'Create');
  await says(page, /cannot be used/);
  assert.equal(await page.inputValue('#name'), 'not a name');
  assert.equal(await page.getAttribute('#name', 'aria-invalid'), 'true');
  await check(page, complaints, 'source refused');
  await page.fill('#name', 'payments');
  await page.fill('#secret', 'whsec_abc');
  await submit(page, 'Create');
  await page.waitForURL(/\/console\/sources\/payments\?done=created/);
  await page.getByRole('link', { name: 'Edit', exact: true }).click();
  await page.locator('summary', { hasText: 'Limits' }).click();
  await page.fill('#rate_limit', '100/s');
  await page.fill('#max_body_bytes', '10,000');
  await submit(page, 'Save');
  await page.waitForURL(/done=saved/);
  const stored = (await api('GET', '/api/v1/sources/payments')).value;
  assert.deepEqual([stored.rate_limit, stored.max_body_bytes, stored.enabled, stored.secrets.length], ['100/s', 10000, true, 1]);
  await submit(page, 'Disable');
  await page.waitForURL(/done=disabled/);
  await submit(page, 'Enable');
  await page.waitForURL(/done=enabled/);
  await page.locator('summary', { hasText: 'Rotate' }).click();
  await page.fill('#secret', 'whsec_new');
  await submit(page, 'Add the secret');
  await page.waitForURL(/done=secret-added/);
  assert.equal((await api('GET', '/api/v1/sources/payments')).value.secrets.length, 2);
  await page.getByRole('button', { name: 'Remove secret 2' }).click();
  await page.waitForURL(/done=secret-removed/);
  await page.getByRole('link', { name: 'Delete' }).click();
  await page.waitForURL(/\/delete$/);
  await submit(page, 'Delete payments');
  await page.waitForURL(/done=deleted/);
  assert.equal((await api('GET', '/api/v1/sources/payments')).status, 404);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a destination: made with its secret shown once, changed, paused, rotated, deleted', async () => {
  const { context, page, complaints } = await open();
  await page.goto('/console/destinations/new');
  await page.fill('#name', 'search');
  await page.fill('#url', 'ftp://example.com');
  await submit(page, 'Create');
  await says(page, /is not a destination URL/);
  await page.fill('#url', 'https://search.example.com/hooks');
  await page.locator('summary', { hasText: 'Headers' }).click();
  await page.fill('#headers', 'X-Team: search\nX-Key: value-of-mine');
  await page.locator('summary', { hasText: 'Retries' }).click();
  await page.fill('#retry_schedule_ms', '0, 1000, 60000');
  await submit(page, 'Create');
  await says(page, /whsec_[A-Za-z0-9+/=]+/);
  await check(page, complaints, 'secret shown once');
  await page.getByRole('link', { name: 'Done' }).click();
  assert.doesNotMatch(await page.content(), /whsec_|value-of-mine/);
  await page.getByRole('link', { name: 'Edit', exact: true }).click();
  await page.fill('#headers', 'x-team: (unchanged)');
  await page.locator('summary', { hasText: 'Limits' }).click();
  await page.fill('#timeout_ms', '5000');
  await submit(page, 'Save');
  await page.waitForURL(/done=saved/);
  const stored = (await api('GET', '/api/v1/destinations/search')).value;
  assert.deepEqual([Object.keys(stored.headers), stored.timeout_ms, stored.retry_schedule_ms], [['x-team'], 5000, [0, 1000, 60000]]);
  await submit(page, 'Pause');
  await says(page, /paused/);
  await submit(page, 'Resume');
  await page.waitForURL(/done=resumed/);
  await page.getByRole('link', { name: 'Rotate the secret' }).click();
  await page.fill('#grace_hours', 'many');
  await submit(page, 'Rotate');
  await says(page, /whole number of hours/);
  await page.fill('#grace_hours', '1');
  await submit(page, 'Rotate');
  await says(page, /search has a new secret/);
  assert.equal((await api('GET', '/api/v1/destinations/search')).value.signing_secrets.length, 2);
  await page.goto('/console/destinations/search/delete');
  await submit(page, 'Delete search');
  await page.waitForURL(/done=deleted/);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a change that somebody else made meanwhile is not overwritten', async () => {
  const { context, page } = await open();
  await page.goto('/console/destinations/audit/edit');
  await api('PATCH', '/api/v1/destinations/audit', { max_concurrent: 7 });
  await page.locator('summary', { hasText: 'Limits' }).click();
  await page.fill('#rate_limit', '5/s');
  await submit(page, 'Save');
  await says(page, /Changed meanwhile/);
  const stored = (await api('GET', '/api/v1/destinations/audit')).value;
  assert.deepEqual([stored.max_concurrent, stored.rate_limit], [7, null]);
  await context.close();
});

test('a connection: made, refused twice, disabled, deleted', async () => {
  const { context, page, complaints } = await open();
  await page.goto('/console/connections/new');
  await page.selectOption('#source', 'shop');
  await page.selectOption('#destination', 'audit');
  await submit(page, 'Create');
  await page.waitForURL(/done=created/);
  const path = new URL(page.url()).pathname;
  await page.goto('/console/connections/new?source=shop&destination=audit');
  await submit(page, 'Create');
  await says(page, /exists already/);
  await page.goto(path);
  await submit(page, 'Disable');
  await says(page, /the connection is disabled/);
  await submit(page, 'Enable');
  await page.getByRole('link', { name: 'Edit', exact: true }).click();
  await submit(page, 'Save');
  await page.waitForURL(/done=saved/);
  await page.goto(`${path}/delete`);
  await page.getByRole('button', { name: /Delete shop/ }).click();
  await page.waitForURL(/done=deleted/);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a dry run keeps the form and shows what would be sent, or that it is not to be had', async () => {
  const { context, page, complaints } = await open();
  await page.goto('/console/connections/new');
  await page.selectOption('#source', 'shop');
  await page.selectOption('#destination', 'audit');
  await page.fill('#filter', '.action');
  await submit(page, 'Try it on an event');
  await page.waitForURL(/dry-run/);
  assert.equal(await page.inputValue('#filter'), '.action');
  assert.match(await page.locator('main').innerText(), /delivered|Not available here/);
  await page.fill('#filter', '.action ==');
  await submit(page, 'Run');
  await says(page, /The filter failed|Not available here/);
  await check(page, complaints, 'dry run');
  await context.close();
});

test('a test event arrives, and a delivery can be tried again', async () => {
  const { context, page, complaints } = await open();
  await page.goto('/console/sources');
  await page.getByRole('link', { name: 'Send a test to shop' }).click();
  await page.fill('#data', '{"broken"');
  await submit(page, 'Send');
  await says(page, /The value of data cannot be used/);
  await page.fill('#data', '{"test": true}');
  await submit(page, 'Send');
  await page.waitForURL(/\/console\/events\/evt_.*done=sent/);
  await until('the test is delivered', async () => {
    await page.reload();
    return /^(✓)?\s*Delivered/.test(await page.locator('h1').innerText());
  });
  await page.getByRole('button', { name: /Retry now: the delivery to billing/ }).click();
  await page.waitForURL(/done=retried/);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a replay asks first, and says what became of it', async () => {
  const { context, page } = await open();
  await page.goto(`/console/events/${gateway.dead_event}`);
  await page.getByRole('link', { name: 'Replay' }).click();
  await says(page, /Send this event again/);
  await submit(page, 'Replay');
  await says(page, /on its way again|Not available here/);
  await page.goto('/console/replays/new?state=dead');
  await says(page, /again\?|Nothing matches/);
  await submit(page, 'Replay');
  await page.waitForLoadState('load');
  assert.match(await page.locator('main').innerText(), /made due|Done|again\?|Not available/);
  await context.close();
});

test('a command for a rollout waits for its controller, where rollouts are known', async () => {
  const { context, page } = await open();
  await page.goto('/console/rollouts/checkout');
  if (await page.getByRole('button', { name: 'Pause' }).count() > 0) {
    await page.fill('#reason', 'lunch');
    await submit(page, 'Pause');
    await says(page, /Waiting for the controller: pause by/);
  } else {
    await says(page, /not found|There is/i);
  }
  await context.close();
});
