// Typing indicators: what is sent, and when the indicator ends.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, mockClock, online, until } from './fixture.js';
import { Service } from './service.js';

/** A client of alice, who has a conversation with bob, on a clock that the test moves. It records the events. */
async function start(t, options) {
  const service = new Service();
  service.append('bob', 'alice', 'Hi');
  const tick = mockClock(t);
  const chat = connect(service, 'alice', options);
  const events = [];
  chat.addEventListener('typing', ({ detail }) => events.push(detail));
  await until(() => chat.hasInbox);
  return { service, chat, events, tick };
}

const sent = (service) => service.frames.filter(({ action }) => action === 'typing');
/** Resolves when the service has handled what was sent before, and the client has its replies. */
const settled = (chat) => chat.presence(['bob']);
const STARTED = { peer: 'bob', isTyping: true };
const ENDED = { peer: 'bob', isTyping: false };

test('at most one frame in 8 seconds is sent to a peer', async (t) => {
  const { service, chat, tick } = await start(t);
  service.append('carol', 'alice', 'Hi');
  await chat.open('carol');
  for (let key = 0; key < 5; key += 1) chat.typing('bob');
  chat.typing('carol');
  tick(7_999);
  chat.typing('bob');
  await until(() => sent(service).length === 2);
  tick(1);
  chat.typing('bob');
  await until(() => sent(service).length === 3);
  assert.deepEqual(
    sent(service).map(({ targetId }) => targetId),
    ['bob', 'carol', 'bob'],
  );
});

test('nothing is sent without a connection, and nothing is made up for', async (t) => {
  const { service, chat, tick } = await start(t);
  [...service.sockets][0].drop(1006);
  await until(() => chat.connection.state === 'waiting');
  chat.typing('bob');
  tick(3_000);
  await online(chat);
  await settled(chat);
  assert.deepEqual(sent(service), []);
  chat.typing('bob');
  await until(() => sent(service).length === 1);
});

test('nothing is sent before the first message, to oneself, and to what is no user', async (t) => {
  const { service, chat, tick } = await start(t);
  await chat.send('alice', 'Note');
  await chat.open('dave');
  for (const peer of ['dave', 'alice', 'nobody', '', undefined]) chat.typing(peer);
  await settled(chat);
  assert.deepEqual(sent(service), []);
  await chat.send('dave', 'Hello');
  tick(0);
  chat.typing('dave');
  await until(() => sent(service).length === 1);
});

test('the missing reply of a frame is no sign of a dead connection', async (t) => {
  const { service, chat, tick } = await start(t);
  chat.typing('bob');
  await until(() => sent(service).length === 1);
  tick(20_000);
  await settled(chat);
  assert.equal(chat.connection.state, 'online');
  assert.equal(service.attempts, 1);
});

test('frames without a reply do not hide a dead connection', async (t) => {
  const { service, chat, tick } = await start(t);
  const [dead] = service.sockets;
  service.script = (_, socket) => (socket === dead ? 'ignore' : undefined);
  for (let second = 0; second < 250 && chat.connection.state === 'online'; second += 8) {
    chat.typing('bob');
    tick(8_000);
  }
  assert.notEqual(chat.connection.state, 'online');
});

test('a refusal ends it until the next connection, in silence', async (t) => {
  const { service, chat, tick } = await start(t);
  let refused = 0;
  service.script = ({ action }) => {
    if (action !== 'typing') return undefined;
    refused += 1;
    return { type: 'error', code: 'forbidden', message: 'typing indicators are turned off here' };
  };
  chat.typing('bob');
  await settled(chat);
  tick(60_000);
  chat.typing('bob');
  await settled(chat);
  assert.equal(refused, 1);
  [...service.sockets][0].drop(1006);
  await until(() => chat.connection.state === 'waiting');
  tick(3_000);
  await online(chat);
  chat.typing('bob');
  await until(() => refused === 2);
});

test('a temporary error does not end it', async (t) => {
  const { service, chat, tick } = await start(t);
  service.script = ({ action }) =>
    action === 'typing' ? { type: 'error', code: 'unavailable', message: '' } : undefined;
  chat.typing('bob');
  await settled(chat);
  tick(8_000);
  chat.typing('bob');
  await until(() => sent(service).length === 2);
});

test('the indicator ends 10 seconds after the last frame', async (t) => {
  const { service, chat, events, tick } = await start(t);
  const drawn = [];
  chat.addEventListener('conversation', ({ detail }) => drawn.push(detail.isTyping));
  assert.equal(chat.conversation('bob').isTyping, false);
  service.type('bob', 'alice');
  await until(() => chat.conversation('bob').isTyping);
  tick(8_000);
  service.type('bob', 'alice');
  await settled(chat);
  tick(9_999);
  assert.deepEqual(events, [STARTED]);
  tick(1);
  assert.deepEqual(events, [STARTED, ENDED]);
  assert.deepEqual(drawn, [true, false]);
  assert.equal(chat.conversation('bob').isTyping, false);
});

test("the peer's next message ends the indicator, and nobody else's", async (t) => {
  const { service, chat, events, tick } = await start(t);
  service.append('carol', 'alice', 'Hi');
  await chat.open('carol');
  service.type('bob', 'alice');
  await until(() => events.length);
  service.say('carol', 'alice', 'One');
  service.say('alice', 'bob', 'Two');
  service.react('bob', 'alice', 1, '👍');
  await until(() => chat.changes.length === 1);
  assert.deepEqual(events, [STARTED]);
  const atMessage = [];
  chat.addEventListener('message', () => atMessage.push(chat.conversation('bob').isTyping));
  service.say('bob', 'alice', 'Three');
  await until(() => events.length === 2);
  assert.deepEqual(events, [STARTED, ENDED]);
  tick(0);
  await settled(chat);
  assert.deepEqual(atMessage, [false]);
});

test('a frame that a message has overtaken is ignored', async (t) => {
  const { service, chat, events, tick } = await start(t);
  service.say('bob', 'alice', 'Quick');
  service.type('bob', 'alice');
  await settled(chat);
  assert.deepEqual(events, []);
  tick(1_000);
  service.type('bob', 'alice');
  await until(() => events.length);
});

test('a frame of another conversation, of a stranger, or without sense is ignored', async (t) => {
  const { service, chat, events } = await start(t);
  const [socket] = service.sockets;
  service.type('stranger', 'alice');
  for (const value of [
    undefined,
    null,
    {},
    { userId: 'bob' },
    { userId: 'bob', conversationId: 'group:1' },
    { userId: 7 },
  ])
    socket.tell({ type: 'typing', value });
  await settled(chat);
  assert.deepEqual(events, []);
});

test('an empty frame is ignored', async (t) => {
  const { service, chat, events } = await start(t);
  const [socket] = service.sockets;
  for (const data of ['', '{}', 'null', '""', ' ']) socket.onmessage({ data });
  service.type('bob', 'alice');
  await until(() => events.length);
  assert.equal(chat.connection.state, 'online');
  assert.equal(service.attempts, 1);
});

test('with the option typing: false nothing is sent, and no peer is typing', async (t) => {
  const { service, chat, events, tick } = await start(t, { typing: false });
  chat.typing('bob');
  service.type('bob', 'alice');
  await settled(chat);
  assert.deepEqual([sent(service), events, chat.conversation('bob').isTyping], [[], [], false]);
  // It may be changed at any time.
  chat.options.typing = true;
  tick(0);
  chat.typing('bob');
  service.type('bob', 'alice');
  await until(() => events.length && sent(service).length);
});

test('a closed client emits nothing any more', async (t) => {
  const { service, chat, events, tick } = await start(t);
  service.type('bob', 'alice');
  await until(() => events.length);
  chat.close();
  tick(20_000);
  assert.deepEqual(events, [STARTED]);
  chat.typing('bob');
});
