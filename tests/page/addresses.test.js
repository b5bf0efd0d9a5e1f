// What the address of the page names: the service, the user and the peer.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, test } from 'node:test';
import { launch, newProfile, openChat, openTab, until, untilFocused, untilOnline, untilText } from './browser.js';
import { Issuer } from './issuer.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

/** A server that refuses every connection, and records the requests for one. */
async function startForeign(t) {
  const requests = [];
  const server = createServer((_, response) => response.end());
  server.on('upgrade', ({ url, headers }, socket) => {
    requests.push({ url, protocols: headers['sec-websocket-protocol'] ?? '' });
    server.emit('refused');
    socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { server, requests, host: `127.0.0.1:${server.address().port}` };
}

test('a token and a name go to the origin that they were given for, and to no other', async (t) => {
  const issuer = await Issuer.start();
  t.after(() => issuer.stop());
  const system = await startSystem(t, { parameters: issuer.parameters });
  const foreign = await startForeign(t);
  const page = await openTab(await newProfile(browser), `${system.page}#token=${issuer.token('alice')}`);
  await untilOnline(page);

  for (const service of [`ws://${foreign.host}/x`, `http://${foreign.host}/x`, `//${foreign.host}/x`]) {
    await page.goto(`${system.page}?ws=${encodeURIComponent(service)}`);
    await until(page, () => chat.connection || !document.querySelector('#name-form').hidden);
    assert.equal(await page.evaluate(() => chat.connection), undefined, 'it asks before it connects');
    assert.ok((await page.locator('#name-form').textContent()).includes(`${foreign.host}/x`), 'it names the service');
  }

  const refused = once(foreign.server, 'refused');
  await page.locator('#name').fill('mallory');
  await page.keyboard.press('Enter');
  await refused;
  assert.match(foreign.requests[0].url, /^\/x\?client=[0-9a-f-]+&userId=mallory$/);
  await untilFocused(page, 'token');
  await untilText(page, '#token-form', `${foreign.host}/x`);
  const jwt = foreign.requests.filter(({ url, protocols }) => `${url}${protocols}`.includes('eyJ'));
  assert.deepEqual(jwt, []);

  // At its own origin, the token is still there.
  await page.goto(system.page);
  await until(page, () => chat.userId === 'alice' && chat.connection.state === 'online');
});

test('the peers of one service are not listed at another', async (t) => {
  const system = await startSystem(t);
  const foreign = await startForeign(t);
  const profile = await newProfile(browser);
  await openChat(profile, system, { userId: 'alice', peer: 'bob' });
  const list = (page) => page.evaluate(() => chat.conversations.map(({ peer }) => peer));
  const again = await openTab(profile, `${system.page}?userId=alice`);
  await untilOnline(again);
  assert.deepEqual(await list(again), ['bob']);
  const refused = once(foreign.server, 'refused');
  const other = await openTab(profile, `${system.page}?userId=alice&ws=ws://${foreign.host}/x`);
  await refused;
  assert.deepEqual(await list(other), []);
});

test('bytes of the address that are no text are refused instead of replaced', async (t) => {
  const system = await startSystem(t);
  const page = await openTab(await newProfile(browser), `${system.page}?userId=%ff`);
  await until(page, () => chat.connection || !document.querySelector('#name-form').hidden);
  await untilText(page, '#name-error', 'damaged');
  assert.equal(await page.evaluate(() => chat.connection), undefined);

  await page.goto(`${system.page}?userId=alice&with=bob%ff`);
  await untilOnline(page);
  await untilText(page, '#new-chat-error', 'damaged');
  assert.equal(await page.evaluate(() => document.querySelector('#messenger').dataset.view), 'list');
});

test('a wrong address of the service is not taken for a missing token', async (t) => {
  const system = await startSystem(t);
  const page = await openTab(await newProfile(browser), `${system.page}?userId=alice&ws=/wrong`);
  await untilText(page, '#connection-state', 'Wrong address');
  await untilText(page, '#notice', `There is no chat at 127.0.0.1:${system.port}/wrong.`);
  assert.equal(await page.locator('#notice').isVisible(), true);
  assert.equal(await page.locator('#token-form').isVisible(), false);
});

test('a token that is none, or that names no user, is refused in words for users', async (t) => {
  const issuer = await Issuer.start();
  t.after(() => issuer.stop());
  const system = await startSystem(t, { parameters: issuer.parameters });
  const page = await openTab(await newProfile(browser), `${system.page}#token=abc`);
  await untilFocused(page, 'token');
  await untilText(page, '#token-error', 'This is not a token.');

  await page.locator('#token').fill('nonsense');
  await page.locator('#token-form button').click();
  await untilText(page, '#token-error', 'This is not a token.');

  // The page reloads itself, because only the fragment changes.
  await page.goto(`${system.page}#token=${issuer.token('alice')}&claim=email`);
  await untilText(page, '#token-error', 'The token does not name a user: its claim “email” is missing.');
});

test('without an open conversation, a token that is refused can be replaced', async (t) => {
  const issuer = await Issuer.start();
  t.after(() => issuer.stop());
  const next = await Issuer.start();
  t.after(() => next.stop());
  const system = await startSystem(t, { parameters: issuer.parameters });
  const page = await openTab(await newProfile(browser), `${system.page}#token=${issuer.token('alice')}`);
  await untilOnline(page);
  await system.stop();
  await startSystem(t, { port: system.port, parameters: next.parameters });
  await untilText(page, '#connection-state', 'Can’t connect');
  await page.locator('#use-token').click();
  await untilFocused(page, 'token');
  await page.locator('#token').fill(next.token('alice'));
  await page.locator('#token-form button').click();
  await untilOnline(page);
});
