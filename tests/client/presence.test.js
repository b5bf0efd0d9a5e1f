// Presence: which users are online, asked once or again and again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, mockClock, online, until } from './fixture.js';
import { Service } from './service.js';

/** A client of alice on a clock that the test moves, and the users that it was told about. */
async function start(t, options, peers = ['bob', 'carol']) {
  const service = new Service();
  for (const peer of peers) service.append(peer, 'alice', 'Hi');
  const tick = mockClock(t);
  const chat = connect(service, 'alice', options);
  const events = [];
  chat.addEventListener('presence', ({ detail }) => events.push(detail));
  await until(() => chat.hasInbox);
  return { service, chat, events, tick };
}

/** What the service was asked. */
const asked = (service) =>
  service.frames.filter(({ action }) => action === 'getPresence').map(({ userIds }) => userIds);

/** Resolves when the service has handled what was sent before, and the client has its replies. */
const settled = (chat) => chat.older('bob');

test('presence says who is online, and leaves strangers out', async (t) => {
  const { service, chat } = await start(t);
  const bob = connect(service, 'bob');
  await online(bob);
  service.lastSeen.set('carol', 1234);
  assert.deepEqual(await chat.presence(['carol', 'stranger', 'bob']), [
    { userId: 'bob', online: true },
    { userId: 'carol', online: false, lastSeenAt: 1234 },
  ]);
});

test('presence asks in parts of 20, and nothing for no users', async (t) => {
  const peers = Array.from({ length: 45 }, (_, n) => `user-${n}`);
  const { service, chat } = await start(t, {}, peers);
  assert.deepEqual(await chat.presence([]), []);
  assert.deepEqual(asked(service), []);
  const users = await chat.presence(peers);
  assert.deepEqual(
    asked(service).map(({ length }) => length),
    [20, 20, 5],
  );
  assert.deepEqual(users.map(({ userId }) => userId).sort(), [...peers].sort());
});

test('presence waits for a connection, and rejects what the service refuses', async (t) => {
  const { service, chat, tick } = await start(t);
  [...service.sockets][0].drop(1006);
  await until(() => chat.connection.state === 'waiting');
  const answer = chat.presence(['bob']);
  tick(3_000);
  assert.deepEqual(await answer, [{ userId: 'bob', online: false }]);
  service.script = () => ({ type: 'error', code: 'forbidden', message: 'presence is turned off here' });
  await assert.rejects(chat.presence(['bob']), { code: 'forbidden' });
  await assert.rejects(chat.presence(['']), { code: 'bad_request' });
});

test('watched users are asked about at once, and every minute', async (t) => {
  const { service, chat, events, tick } = await start(t);
  chat.watchPresence(['bob', 'bob']);
  await until(() => events.length === 1);
  assert.deepEqual(events, [[{ userId: 'bob', online: false }]]);
  const bob = connect(service, 'bob');
  await until(() => bob.hasInbox);
  tick(59_999);
  await settled(chat);
  assert.deepEqual(asked(service), [['bob']]);
  tick(1);
  await until(() => events.length === 2);
  assert.deepEqual(events[1], [{ userId: 'bob', online: true }]);
  chat.watchPresence([]);
  tick(180_000);
  await settled(chat);
  assert.deepEqual(asked(service), [['bob'], ['bob']]);
});

test('a user who is added is asked about at once, and the others in their minute', async (t) => {
  const { service, chat, events, tick } = await start(t);
  chat.watchPresence(['bob']);
  await until(() => events.length === 1);
  tick(30_000);
  chat.watchPresence(['bob', 'carol']);
  await until(() => events.length === 2);
  chat.watchPresence(['carol']);
  chat.watchPresence(['bob', 'carol']);
  await settled(chat);
  assert.deepEqual(asked(service), [['bob'], ['carol']]);
  tick(30_000);
  await until(() => events.length === 3);
  assert.deepEqual(asked(service).at(-1), ['bob', 'carol'], 'one request for all of them');
});

test('nothing is asked while the page is hidden, and at once when it is visible', async (t) => {
  const { service, chat, events, tick } = await start(t);
  const document = Object.assign(new EventTarget(), { hidden: true });
  globalThis.document = /** @type {any} */ (document);
  t.after(() => delete globalThis.document);
  const other = connect(service, 'alice');
  other.addEventListener('presence', ({ detail }) => events.push(detail));
  await until(() => other.hasInbox);
  other.watchPresence(['bob']);
  tick(120_000);
  await settled(other);
  assert.deepEqual(asked(service), []);
  document.hidden = false;
  document.dispatchEvent(new Event('visibilitychange'));
  await until(() => events.length === 1);
  document.hidden = true;
  tick(180_000);
  document.hidden = false;
  await settled(other);
  assert.equal(asked(service).length, 1);
  document.dispatchEvent(new Event('visibilitychange'));
  document.dispatchEvent(new Event('visibilitychange'));
  await until(() => events.length === 2);
  assert.equal(asked(service).length, 2);
  chat.close();
});

test('without a connection nothing is asked, and the next one asks at once', async (t) => {
  const { service, chat, events, tick } = await start(t);
  service.script = ({ action }) => (action === 'getPresence' ? 'mute' : undefined);
  chat.watchPresence(['bob']);
  await until(() => asked(service).length === 1);
  [...service.sockets][0].drop(1006);
  await until(() => chat.connection.state === 'waiting');
  service.script = () => undefined;
  assert.deepEqual(events, []);
  tick(3_000);
  await online(chat);
  await until(() => events.length === 1);
  assert.equal(asked(service).length, 2);
});

test('a refusal ends the questions until the next connection, in silence', async (t) => {
  const { service, chat, events, tick } = await start(t);
  let refused = 0;
  service.script = ({ action }) => {
    if (action !== 'getPresence') return undefined;
    refused += 1;
    return { type: 'error', code: 'forbidden', message: 'presence is turned off here' };
  };
  chat.watchPresence(['bob']);
  await settled(chat);
  tick(60_000);
  chat.watchPresence(['carol']);
  tick(60_000);
  await settled(chat);
  assert.equal(refused, 1);
  service.script = () => undefined;
  [...service.sockets][0].drop(1006);
  await until(() => chat.connection.state === 'waiting');
  tick(3_000);
  await until(() => events.length === 1);
});

test('a temporary error is repeated in the next minute', async (t) => {
  const { service, chat, events, tick } = await start(t);
  service.script = ({ action }) =>
    action === 'getPresence' ? { type: 'error', code: 'unavailable', message: '' } : undefined;
  chat.watchPresence(['bob']);
  await settled(chat);
  service.script = () => undefined;
  tick(60_000);
  await until(() => events.length === 1);
});

test('with the option presence: false nothing is asked', async (t) => {
  const { service, chat, events, tick } = await start(t, { presence: false });
  assert.deepEqual(await chat.presence(['bob']), []);
  chat.watchPresence(['bob']);
  tick(120_000);
  await settled(chat);
  assert.deepEqual([asked(service), events], [[], []]);
  // It may be changed at any time.
  chat.options.presence = true;
  chat.watchPresence(['bob']);
  await until(() => events.length === 1);
});

test('a closed client asks nothing any more', async (t) => {
  const { service, chat, events, tick } = await start(t);
  chat.watchPresence(['bob']);
  await until(() => events.length === 1);
  chat.close();
  tick(120_000);
  chat.watchPresence(['carol']);
  assert.equal(asked(service).length, 1);
});

test('a closed client keeps no process alive', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const service = new Service();
  service.append('bob', 'alice', 'Hi');
  const chat = connect(service, 'alice');
  await until(() => chat.hasInbox);
  chat.watchPresence(['bob']);
  service.type('bob', 'alice');
  await until(() => chat.conversation('bob').isTyping);
  chat.typing('bob');
  assert.ok(timers() > before);
  chat.close();
  assert.equal(timers(), before);
});
