// Typing and presence in two windows, and the switches for them.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { assertAccessible } from './axe.js';
import {
  launch,
  newProfile,
  openChat,
  openTab,
  PHONE,
  say,
  until,
  untilFocused,
  untilOnline,
  untilShown,
  untilText,
  untilTexts,
} from './browser.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

/** Starts a system in which alice and bob have a conversation. */
async function start(t) {
  const system = await startSystem(t);
  const bob = await system.connect('bob');
  await bob.send('alice', 'Hi');
  bob.close();
  return system;
}

/** Opens the window of a user on a clock that the test can move, and keeps the actions of the frames that it sends. */
async function openWindow(system, userId, peer, options) {
  const profile = await newProfile(browser, options);
  await profile.clock.install();
  const actions = [];
  profile.on('page', (page) =>
    page.on('websocket', (socket) =>
      socket.on('framesent', ({ payload }) => actions.push(JSON.parse(String(payload)).action)),
    ),
  );
  const page = await openChat(profile, system, { userId, peer });
  return Object.assign(page, { actions });
}

const type = async (page, text) => {
  await page.locator('#text').focus();
  await page.keyboard.insertText(text);
};

const untilState = (page, text) => untilTexts(page, '#peer-state', [text]);
/** Waits until this is the text of the first row in the list. */
const untilPreview = (page, text) => untilTexts(page, '#list li:first-child .last', [text]);

/** Waits until the service knows that a user of a conversation with alice has no connection any more. */
async function untilAway(system, userId) {
  const device = await system.connect('alice');
  const isOnline = async () => (await device.request('getPresence', { userIds: [userId] })).value.users[0].online;
  while (await isOnline());
  device.close();
}

test('typing is shown in the header and in the list, and ends by itself', async (t) => {
  const system = await start(t);
  const alice = await openWindow(system, 'alice', 'bob');
  const bob = await openWindow(system, 'bob', 'alice');
  await untilPreview(bob, 'Hi');
  await type(alice, 'I');
  await untilState(bob, 'alice\u00a0is typing …');
  await untilPreview(bob, 'alice\u00a0is typing …');
  await untilText(bob, '#announcement', 'alice is typing');
  await type(alice, ' am');
  assert.deepEqual(
    alice.actions.filter((action) => action === 'typing'),
    ['typing'],
    'not for each key',
  );
  await bob.clock.fastForward(10_000);
  await untilState(bob, 'online');
  await untilPreview(bob, 'Hi');
  await untilTexts(bob, '#announcement', ['']);
});

test('typing ends at the next message', async (t) => {
  const system = await start(t);
  const alice = await openWindow(system, 'alice', 'bob');
  const bob = await openWindow(system, 'bob', 'alice');
  await type(alice, 'Hello');
  await untilState(bob, 'alice\u00a0is typing …');
  await alice.keyboard.press('Enter');
  await untilShown(bob, ['Hi', 'Hello']);
  await untilState(bob, 'online');
  await untilText(bob, '#announcement', 'alice: Hello');
});

test('typing is shown in the list while another conversation is open, and not for an edit', async (t) => {
  const system = await start(t);
  const device = await system.connect('alice');
  await device.send('bob', 'Hello');
  device.close();
  const alice = await openWindow(system, 'alice', 'bob');
  const bob = await openWindow(system, 'bob', 'zoe');
  await untilPreview(bob, 'Hello');
  await type(alice, 'x');
  await untilPreview(bob, 'alice\u00a0is typing …');
  assert.equal(await bob.locator('#peer-state').textContent(), '');
  assert.equal(await bob.locator('#announcement').textContent(), '', 'only the open conversation is announced');
  await bob.clock.fastForward(10_000);
  await untilPreview(bob, 'Hello');

  await alice.clock.fastForward(8_000);
  await alice.locator('#text').fill('');
  const before = alice.actions.length;
  await alice.evaluate(() => document.querySelector('.mine .act').click());
  await alice.locator('#popup').getByText('Edit', { exact: true }).click();
  await alice.locator('#text').fill('Hello!');
  await alice.keyboard.press('Enter');
  await untilPreview(bob, 'Hello!');
  assert.ok(!alice.actions.slice(before).includes('typing'));
});

test('online, and last seen after the other window is closed', async (t) => {
  const system = await start(t);
  const bob = await openWindow(system, 'bob', 'alice');
  const alice = await openWindow(system, 'alice', 'bob');
  await untilState(alice, 'online');
  await untilTexts(alice, '#list .online', [' online']);
  await bob.context().close();
  await untilAway(system, 'bob');
  await untilState(alice, 'online');
  await alice.clock.fastForward(60_000);
  await until(alice, () =>
    /^last seen (just now|1 minute ago)$/.test(document.querySelector('#peer-state').textContent),
  );
  await untilTexts(alice, '#list .online', []);
  await alice.clock.fastForward(5 * 60_000);
  await until(alice, () => /^last seen [567] minutes ago$/.test(document.querySelector('#peer-state').textContent));
  assert.match(await alice.locator('#peer-state').getAttribute('title'), /\d/);

  // A message says at once that its sender is there.
  const device = await system.connect('bob');
  await alice.clock.setSystemTime(Date.now());
  await device.send('alice', 'Back');
  await untilState(alice, 'online');
  device.close();
});

test('nothing is asked about strangers, about oneself, and without a connection', async (t) => {
  const system = await start(t);
  const alice = await openWindow(system, 'alice', 'zoe');
  const questions = [];
  alice.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => {
      const frame = JSON.parse(payload);
      if (frame.action === 'getPresence') questions.push(frame.userIds);
    }),
  );
  // On a socket that is opened from now on, every question is seen.
  await alice.reload();
  await until(alice, () => chat.hasInbox && document.querySelector('#list .last'));
  await alice.locator('#list button', { hasText: 'bob' }).click();
  await untilState(alice, 'last seen just now');
  await say(alice, 'Hello');
  await alice.goto(`${system.page}?userId=alice&with=alice`);
  await untilOnline(alice);
  await say(alice, 'Note');
  await untilShown(alice, ['Note']);
  assert.ok(questions.length > 0);
  for (const peers of questions) assert.deepEqual(new Set(peers), new Set(['bob']));

  await alice.goto(`${system.page}?userId=alice&with=bob`);
  await until(alice, () => document.querySelector('#peer-state').textContent.startsWith('last seen'));
  await system.stop();
  await until(alice, () => chat.connection.state === 'waiting');
  await untilState(alice, '');
});

test('both can be switched off, for all tabs and after a reload', async (t) => {
  const system = await start(t);
  const bob = await system.connect('bob');
  const alice = await openWindow(system, 'alice', 'bob');
  const tab = await openTab(alice.context(), `${system.page}?userId=alice&with=bob`);
  for (const page of [alice, tab]) await untilState(page, 'online');

  await alice.locator('#settings').click();
  const typing = alice.getByRole('switch', { name: 'Show when I’m typing' });
  const presence = alice.getByRole('switch', { name: 'Show who is online' });
  assert.deepEqual([await typing.isChecked(), await presence.isChecked()], [true, true]);
  await alice.getByText('Show who is online').click();
  for (const page of [alice, tab]) {
    await untilState(page, '');
    await untilTexts(page, '#list .online', []);
  }
  await typing.click();
  await until(tab, () => chat.options.typing === false);
  await alice.keyboard.press('Escape');

  for (const page of [alice, tab]) {
    await page.reload();
    await until(page, () => chat.connection.state === 'online' && chat.conversation('bob').loaded);
  }
  alice.actions.length = 0;
  await say(alice, 'Silent');
  await untilShown(tab, ['Hi', 'Silent']);
  const types = [];
  while (types.at(-1) !== 'message') types.push((await bob.next()).type);
  assert.ok(!types.includes('typing'), `${types}`);
  await alice.clock.fastForward(120_000);
  await alice.locator('#settings').click();
  assert.deepEqual([await typing.isChecked(), await presence.isChecked()], [false, false]);
  assert.ok(!alice.actions.some((action) => action === 'typing' || action === 'getPresence'), `${alice.actions}`);

  await presence.click();
  for (const page of [alice, tab]) await untilState(page, 'online');
  bob.close();
});

test('without permission to store, each switch stays as it is set', async (t) => {
  const system = await start(t);
  const profile = await newProfile(browser);
  await profile.addInitScript(() => {
    Object.defineProperty(window, 'localStorage', {
      get() {
        throw new DOMException('forbidden', 'SecurityError');
      },
    });
  });
  const alice = await openChat(profile, system, { userId: 'alice', peer: 'bob' });
  await alice.locator('#settings').click();
  const switches = alice.locator('#popup [role=switch]');
  for (const one of await switches.all()) await one.click();
  assert.deepEqual(await alice.evaluate(() => [chat.options.typing, chat.options.presence]), [false, false]);
  for (const one of await switches.all()) assert.equal(await one.isChecked(), false);
});

test('what a peer types is not shown while typing is switched off', async (t) => {
  const system = await start(t);
  const alice = await openWindow(system, 'alice', 'bob');
  const bob = await openWindow(system, 'bob', 'alice');
  await type(alice, 'I');
  await untilState(bob, 'alice\u00a0is typing …');
  await bob.locator('#settings').click();
  await bob.getByRole('switch', { name: 'Show when I’m typing' }).click();
  await untilState(bob, 'online');
  await untilPreview(bob, 'Hi');
});

test('the settings work by keyboard, on a phone, and for screen readers', async (t) => {
  const system = await start(t);
  const phone = await openWindow(system, 'bob', 'alice', PHONE);
  const alice = await openWindow(system, 'alice', 'bob');
  await untilState(alice, 'online');
  await alice.locator('#settings').focus();
  await alice.keyboard.press('Enter');
  await untilFocused(alice, 'setting-typing');
  await alice.keyboard.press('Tab');
  await untilFocused(alice, 'setting-presence');
  await alice.keyboard.press('Space');
  await untilState(alice, '');
  await alice.keyboard.press('Space');
  await untilState(alice, 'online');
  assert.equal(await alice.locator('#settings').getAttribute('aria-expanded'), 'true');

  await type(phone, 'Hm');
  await untilState(alice, 'bob\u00a0is typing …');
  // In the list of a phone there is no conversation.
  await phone.locator('#back').click();
  await phone.locator('#settings').click();
  const box = await phone.locator('#popup').boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= PHONE.viewport.width, JSON.stringify(box));
  await phone.getByRole('switch', { name: 'Show who is online' }).uncheck();
  await untilTexts(phone, '#list .online', []);
  await phone.getByRole('switch', { name: 'Show who is online' }).check();

  for (const page of [alice, phone]) await assertAccessible(page, 'settings');
  await alice.setViewportSize({ width: 1280, height: 720 });
  await alice.keyboard.press('Escape');
  await untilFocused(alice, 'settings');
  assert.equal(await alice.locator('#popup').isVisible(), false);
});
