// Reloads, several tabs, and outages of the network and of the server.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  launch,
  newProfile,
  openChat,
  openTab,
  say,
  shown,
  until,
  untilOffline,
  untilOnline,
  untilShown,
  untilState,
  untilText,
} from './browser.js';
import { TcpProxy } from './proxy.js';
import { System, startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

/** Starts a system, and a proxy in front of it, for one test. */
async function startWithProxy(t) {
  const system = await startSystem(t);
  const proxy = await TcpProxy.start(system.port);
  t.after(() => proxy.stop());
  return { system, proxy };
}

/** Connects now instead of after the backoff. */
const reconnect = (page) => page.evaluate(() => chat.connect());

test('a page whose modules do not start says so', async (t) => {
  const system = await startSystem(t);
  const profile = await newProfile(browser);
  for (const answer of [{ body: 'const broken = /(?<new>syntax/;', contentType: 'text/javascript' }, { status: 404 }]) {
    const page = await profile.newPage();
    await page.route('**/client/conversation.js', (route) => route.fulfill(answer));
    await page.goto(system.page);
    await page.locator('#not-started').waitFor();
    assert.match(await page.locator('#not-started').textContent(), /did not start\s+It needs Chrome/);
    await page.close();
  }
  const page = await openTab(profile, `${system.page}?userId=alice`);
  await untilOnline(page);
  assert.equal(await page.locator('#not-started').isVisible(), false);
});

test('queued messages survive a reload', async (t) => {
  const { system, proxy } = await startWithProxy(t);
  const chat = { userId: 'alice', peer: 'bob', service: proxy.address };
  const alice = await openChat(await newProfile(browser), system, chat);
  await say(alice, '1');
  await untilState(alice, 'sent');
  proxy.cut();
  await untilOffline(alice);
  for (const text of ['2', '3']) await say(alice, text);
  await untilShown(alice, ['1', '2', '3']);
  await untilState(alice, 'queued');
  await alice.locator('#notice').waitFor();
  await alice.reload();
  await untilShown(alice, ['2', '3']);
  proxy.restore();
  await reconnect(alice);
  await untilShown(alice, ['1', '2', '3']);
  await untilState(alice, 'sent');
  assert.deepEqual(await system.stored('alice', 'bob'), ['1', '2', '3']);
  await alice.reload();
  await untilShown(alice, ['1', '2', '3']);
});

test('a restart of the server loses nothing', async (t) => {
  const data = await mkdtemp(join(tmpdir(), 'chat-tables-'));
  t.after(() => rm(data, { recursive: true }));
  const system = await System.start({ data });
  t.after(() => system.stop());
  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  const bob = await openChat(await newProfile(browser), system, { userId: 'bob', peer: 'alice' });
  await say(alice, 'before');
  await untilShown(bob, ['before']);
  await system.stop();
  for (const page of [alice, bob]) await untilOffline(page);
  await say(alice, 'meanwhile');
  await untilState(alice, 'queued');

  const restarted = await System.start({ data, port: system.port });
  t.after(() => restarted.stop());
  await untilShown(bob, ['before', 'meanwhile']);
  await say(bob, 'after');
  for (const page of [alice, bob]) await untilShown(page, ['before', 'meanwhile', 'after']);
});

test('after an outage on both sides, both show all that each wrote', async (t) => {
  const { system, proxy } = await startWithProxy(t);
  const service = proxy.address;
  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob', service });
  const bob = await openChat(await newProfile(browser), system, { userId: 'bob', peer: 'alice', service });
  await say(alice, 'before');
  await untilShown(bob, ['before']);
  // Chromium keeps open sockets when it goes offline, so the proxy is cut too.
  for (const page of [alice, bob]) await page.context().setOffline(true);
  proxy.cut();
  for (const [page, text] of [
    [alice, 'from alice'],
    [bob, 'from bob'],
  ]) {
    await untilOffline(page);
    for (const number of [1, 2, 3]) await say(page, `${text} ${number}`);
    await untilState(page, 'queued');
  }
  proxy.restore();
  // The event `online` reconnects each page without a delay.
  for (const page of [alice, bob]) await page.context().setOffline(false);
  for (const page of [alice, bob]) {
    await until(page, () => document.querySelectorAll('#log .message').length === 7);
    await until(page, () => !document.querySelector('[data-state=queued]'));
  }
  const stored = await system.stored('alice', 'bob');
  assert.equal(stored.length, 7);
  for (const page of [alice, bob]) assert.deepEqual(await shown(page), stored);
  for (const name of ['from alice', 'from bob']) {
    const own = stored.filter((text) => text.startsWith(name));
    assert.deepEqual(own, [`${name} 1`, `${name} 2`, `${name} 3`]);
  }
});

test('two tabs of one user show the same, and send each message once', async (t) => {
  const { system, proxy } = await startWithProxy(t);
  const profile = await newProfile(browser);
  const chat = { userId: 'alice', peer: 'bob', service: proxy.address };
  const tabs = [await openChat(profile, system, chat), await openChat(profile, system, chat)];
  await say(tabs[0], 'from the first tab');
  await untilShown(tabs[1], ['from the first tab']);
  proxy.cut();
  for (const tab of tabs) await untilOffline(tab);
  const texts = ['from the first tab'];
  for (const number of [0, 1, 2, 3, 4, 5]) {
    texts.push(String(number));
    await say(tabs[number % 2], String(number));
    for (const tab of tabs) await untilShown(tab, texts);
  }
  proxy.restore();
  for (const tab of tabs) await reconnect(tab);
  for (const tab of tabs) {
    await until(tab, () => !document.querySelector('[data-state=queued]'));
    await until(tab, () => globalThis.chat.conversation('bob').pending.length === 0);
    assert.deepEqual(await shown(tab), texts);
  }
  assert.deepEqual(await system.stored('alice', 'bob'), texts);
});

test('the page shows at once that the network is gone, unless the service is there after all', async (t) => {
  const system = await startSystem(t);
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  const label = page.locator('#connection-state');
  assert.equal(await label.textContent(), 'Connected');
  // A machine without a network that runs the service itself.
  await page.evaluate(() => dispatchEvent(new Event('offline')));
  assert.equal(await label.textContent(), 'No connection');
  await untilText(page, '#connection-state', 'Connected');
  assert.equal(await page.locator('#notice').isVisible(), false);

  const elapsed = page.evaluate(timeUntilNotice);
  await page.context().setOffline(true);
  assert.ok((await elapsed) < 1_000, `${await elapsed} ms`);
  await untilOffline(page);
  assert.equal(await label.textContent(), 'No connection');
  await page.context().setOffline(false);
  await untilText(page, '#connection-state', 'Connected');
});

/** Runs in the page: milliseconds from the event `offline` until the page shows it. */
function timeUntilNotice() {
  return new Promise((resolve) => {
    addEventListener('offline', ({ timeStamp }) => {
      const look = () => {
        if (document.querySelector('#notice').checkVisibility()) resolve(performance.now() - timeStamp);
        else requestAnimationFrame(look);
      };
      look();
    });
  });
}
