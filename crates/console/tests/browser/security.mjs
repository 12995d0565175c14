// Script in every field is text, forms of other sites are refused, and the policy holds.
import { api, assert, fetchText, gateway, open, test } from './harness.mjs';

const SCRIPT = '"\'><script>document.title="run"</script><img src=x onerror=\'document.title="run"\'>{{7*7}}';
const untouched = async (page, complaints, name) => {
  assert.doesNotMatch(await page.title(), /^run$/, `${name} ran script`);
  assert.equal(await page.locator('img').count(), 0, `${name} has an image that nobody drew`);
  assert.equal(await page.locator('body script, main script').count(), 0, `${name} has a script in its body`);
  assert.deepEqual(complaints, [], `${name}: the browser complains`);
};

test('script in every field of every form is text, and nothing is stored half', async () => {
  const { context, page, complaints } = await open();
  const before = (await api('GET', '/api/v1/sources')).value.data.length;
  const connection = (await api('GET', '/api/v1/connections')).value.data[0].id;
  const forms = [
    '/console/sources/new', '/console/sources/github/edit', '/console/destinations/new', '/console/destinations/billing/edit', '/console/destinations/billing/rotate',
    '/console/connections/new', `/console/connections/${connection}/edit`, '/console/dry-run', '/console/test?source=shop', '/console/replays/new',
  ];
  for (const path of forms) {
    await page.goto(path);
    // The page's own form, without the browser's help: fields that are folded in, too.
    const fields = await page.evaluate((text) => {
      const form = document.querySelector('main form.form');
      form.noValidate = true;
      form.querySelectorAll('details').forEach((part) => { part.open = true; });
      const filled = [];
      form.querySelectorAll('input[type=text], input[type=password], textarea').forEach((field) => { field.value = text; filled.push(field.name); });
      return filled;
    }, SCRIPT);
    assert.ok(fields.length > 0, path);
    await page.locator('main form.form .submit button').first().click();
    await page.waitForLoadState('load');
    await untouched(page, complaints, path);
    assert.equal(await page.locator('[role=alert]').count(), 1, `${path} says what is wrong`);
  }
  assert.equal((await api('GET', '/api/v1/sources')).value.data.length, before);
  await context.close();
});

test('script in the address is text', async () => {
  const { context, page, complaints } = await open();
  const text = encodeURIComponent(SCRIPT);
  for (const path of [`/console/events?q=${text}`, `/console/events?source=${text}`, `/console/sources/${text}`, `/console/events/${text}`, `/console/${text}`,
    `/console/replays/new?destination=${text}&from=${text}`, `/console/test?destination=${text}`, `/console/dry-run?filter=${text}&event=${text}&body=${text}`,
    `/console/load-tests?name=${text}`, `/console/rollouts/${text}`, `/console/performance?window=${text}`, `/console/events?done=${text}`]) {
    await page.goto(path);
    await untouched(page, complaints, path);
  }
  await context.close();
  const outside = await open({ signedIn: false });
  await outside.page.goto(`/console/login?next=${text}&ended=${text}`);
  await untouched(outside.page, outside.complaints, 'login');
  await outside.context.close();
});

test('what senders and receivers wrote is text', async () => {
  const { context, page, complaints } = await open();
  for (const path of [`/console/events/${gateway.event}`, `/console/events/${gateway.dead_event}`, '/console/destinations/warehouse', '/console/dead-letters']) {
    await page.goto(path);
    await untouched(page, complaints, path);
  }
  await context.close();
});

test('a form without its token, with another one, or from another site does nothing', async () => {
  const { context, page } = await open();
  await page.goto('/console/sources/new');
  const token = await page.inputValue('main form.form input[name=token]');
  const form = { name: 'smuggled', provider: 'none', enabled: 'true' };
  const posts = [
    ['no token', { form }],
    ['another token', { form: { ...form, token: `${token.slice(1)}A` } }],
    ['another site', { form: { ...form, token }, headers: { origin: 'https://evil.example' } }],
    ['an origin that is hidden', { form: { ...form, token }, headers: { origin: 'null' } }],
    ['another site, by what it fetches', { form: { ...form, token }, headers: { 'sec-fetch-site': 'cross-site' } }],
  ];
  for (const [name, options] of posts) {
    const answer = await fetchText(context, '/console/sources', { method: 'POST', ...options });
    assert.equal(answer.status, 403, name);
    assert.match(answer.text, /did not come from this session/, name);
  }
  const login = await fetchText(context, '/console/login', { method: 'POST', form: { key: gateway.admin_key }, headers: { origin: 'https://evil.example' } });
  assert.equal(login.status, 403);
  assert.equal((await api('GET', '/api/v1/sources/smuggled')).status, 404);
  const right = await fetchText(context, '/console/sources', { method: 'POST', form: { ...form, token } });
  assert.equal(right.status, 303);
  assert.equal((await api('DELETE', '/api/v1/sources/smuggled')).status, 204);
  await context.close();
});

test('every page carries the policy, and no cookie is no page', async () => {
  const { context } = await open();
  for (const path of ['/console', '/console/events', '/console/login', '/console/nothing-here']) {
    const { headers } = await fetchText(context, path);
    assert.equal(headers['content-security-policy'], "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'", path);
    assert.equal(headers['cache-control'], 'no-store', path);
    assert.equal(headers['referrer-policy'], 'same-origin', path);
  }
  const { text } = await fetchText(context, '/console');
  for (const [, path] of text.matchAll(/(?:href|src)="(\/console\/assets\/[^"]+)"/g)) {
    const { status, headers } = await fetchText(context, path);
    assert.equal(status, 200, path);
    assert.match(headers['cache-control'], /immutable/, path);
  }
  await context.close();
  const outside = await open({ signedIn: false });
  for (const path of ['/console', '/console/events/x', '/console/sources/new', '/console/live?page=overview']) {
    const { status } = await fetchText(outside.context, path);
    assert.ok(status === 303 || status === 401, `${path}: ${status}`);
  }
  await outside.context.addCookies([{ name: 'spillway_session', value: 'A'.repeat(120), url: `${gateway.url}/console` }]);
  assert.equal((await fetchText(outside.context, '/console')).status, 303);
  await outside.context.close();
});

test('a key that may only read cannot change anything by hand either', async () => {
  const { context, page } = await open({ key: gateway.read_key });
  await page.goto('/console');
  const token = await page.inputValue('input[name=token]');
  const answer = await fetchText(context, '/console/destinations/billing/pause', { method: 'POST', form: { token } });
  assert.equal(answer.status, 403);
  assert.match(answer.text, /scope write/);
  assert.equal((await api('GET', '/api/v1/destinations/billing')).value.state, 'active');
  await context.close();
});

test('whoever tries keys is slowed down by the API', async () => {
  const { context, page } = await open({ signedIn: false });
  let last;
  for (let n = 0; n < 40 && last?.status !== 429; n += 1) {
    last = await fetchText(context, '/console/login', { method: 'POST', form: { key: `spk_${n}` } });
  }
  assert.equal(last.status, 429);
  assert.match(last.headers['retry-after'], /^\d+$/);
  await page.goto('/console/login');
  await page.fill('#key', gateway.admin_key);
  await page.click('button[type=submit]');
  await page.waitForURL((url) => url.pathname === '/console');
  await context.close();
});
