// Receiving: each message once, in order, without a gap; unread counts and read positions.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, contents, online, until } from './fixture.js';
import { Service } from './service.js';

const asked = (service, action) => service.frames.filter((frame) => frame.action === action);

test('pushes that are reordered, duplicated or lost are emitted once and in order', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  await online(chat);
  service.say('bob', 'alice', '1');
  await until(() => chat.seen.length === 1);
  const [second, third] = ['2', '3'].map((text) => service.append('bob', 'alice', text));
  for (const message of [third, second, third, second]) service.push(message);
  service.append('bob', 'alice', 'lost');
  service.say('bob', 'alice', '5');
  await until(() => chat.seen.length === 5);
  assert.deepEqual(contents(chat.seen), ['1', '2', '3', 'lost', '5']);
  assert.deepEqual(asked(service, 'getMessages').at(-1).after, 2, 'from the newest one held');
});

test('every known conversation catches up after a reconnect', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  await online(chat);
  for (const peer of ['bob', 'carol']) service.say(peer, 'alice', `${peer} 1`);
  await until(() => chat.seen.length === 2);
  const [socket] = service.sockets;
  socket.drop(1006);
  for (const peer of ['bob', 'carol'])
    for (let count = 2; count < 300; count += 1) service.say(peer, 'alice', `${peer} ${count}`);
  await until(() => chat.seen.length === 2 * 299);
  for (const peer of ['bob', 'carol']) {
    assert.deepEqual(contents(chat.seen.filter((m) => m.senderId === peer)), service.contents(peer, 'alice'));
    assert.deepEqual(
      chat.conversation(peer).messages.map((m) => m.seq),
      Array.from({ length: 299 }, (_, at) => at + 1),
    );
  }
  assert.equal(asked(service, 'getConversations').length, 2, 'once per connection');
});

test('a conversation that the inbox shows to be up to date is not requested', async () => {
  const service = new Service();
  for (let number = 0; number < 30; number += 1) service.say(`friend ${number}`, 'alice', 'Hi');
  const chat = connect(service, 'alice');
  await until(() => chat.unread === 30);
  const [socket] = service.sockets;
  socket.drop(1006);
  service.say('friend 7', 'alice', 'Are you there?');
  await until(() => chat.unread === 31);
  assert.deepEqual(
    asked(service, 'getMessages').map((frame) => frame.targetId),
    ['friend 7'],
  );
  assert.deepEqual(chat.conversations[0].peer, 'friend 7');
});

test('a conversation that the inbox does not list changes when the inbox is known', async () => {
  const service = new Service();
  service.say('bob', 'alice', 'Hi');
  const chat = connect(service, 'alice');
  chat.conversation('ghost');
  let reported = false;
  chat.addEventListener('conversation', ({ detail }) => {
    if (detail.peer === 'ghost' && chat.hasInbox) reported = true;
  });
  await until(() => reported);
});

test('history yields each message once, from the newest page to the first message', async () => {
  const service = new Service();
  for (let number = 1; number <= 1010; number += 1)
    service.append(number % 2 ? 'bob' : 'alice', number % 2 ? 'alice' : 'bob', `${number}`);
  const chat = connect(service, 'alice');
  const pages = [];
  for await (const page of chat.history('bob')) pages.push(page);
  assert.deepEqual(
    pages.map((page) => page.length),
    [...Array(20).fill(50), 10],
  );
  assert.deepEqual(contents(pages.reverse().flat()), service.contents('alice', 'bob'));
  assert.equal(chat.seen.length, 0, 'old messages are not emitted');
});

test('two concurrent histories yield the same, and new messages do not disturb them', async () => {
  const service = new Service();
  for (let number = 1; number <= 120; number += 1) service.append('bob', 'alice', `${number}`);
  const chat = connect(service, 'alice');
  const walk = async () => {
    const seen = [];
    for await (const page of chat.history('bob')) {
      seen.unshift(...page);
      service.say('bob', 'alice', 'more');
    }
    return seen.filter((m) => m.content !== 'more').map((m) => m.seq);
  };
  const [one, other] = await Promise.all([walk(), walk()]);
  assert.deepEqual(
    one,
    Array.from({ length: 120 }, (_, at) => at + 1),
  );
  assert.deepEqual(other, one);
});

test('older pages are asked for again when the service has a temporary problem', async () => {
  const service = new Service();
  for (let number = 1; number <= 120; number += 1) service.append('bob', 'alice', `${number}`);
  const chat = connect(service, 'alice');
  await chat.open('bob');
  let refused = 0;
  service.script = ({ action, startKey }) =>
    action === 'getMessages' && startKey && refused++ % 2 === 0
      ? { type: 'error', code: 'unavailable', message: 'later', retryAfter: 1 }
      : undefined;
  const pages = [];
  for await (const page of chat.history('bob')) pages.unshift(page);
  assert.deepEqual(contents(pages.flat()), service.contents('alice', 'bob'));
  assert.ok(refused > 2, 'it refused');
});

test('history that starts at the inbox entry has no gap', async () => {
  const service = new Service();
  for (let number = 1; number <= 200; number += 1) service.append('bob', 'alice', `${number}`);
  const chat = connect(service, 'alice');
  await until(() => chat.unread === 200);
  service.loses = () => true;
  for (let number = 201; number <= 320; number += 1) service.say('bob', 'alice', `${number}`);
  await chat.open('bob');
  await chat.older('bob');
  const { messages, low, high } = chat.conversation('bob');
  assert.equal(high, 320);
  assert.deepEqual(
    messages.map((m) => m.seq),
    Array.from({ length: high - low + 1 }, (_, at) => low + at),
  );
  assert.ok(low < 200);
});

test('unread counts the messages since the last read or own message, on every device', async () => {
  const service = new Service();
  for (let number = 1; number <= 80; number += 1) service.say('bob', 'alice', `${number}`);
  const [phone, laptop] = [0, 0].map(() => connect(service, 'alice'));
  for (const chat of [phone, laptop]) await until(() => chat.unread === 80);
  await phone.open('bob');
  assert.equal(phone.unread, 80);
  phone.markRead('bob', 78);
  for (const chat of [phone, laptop]) await until(() => chat.unread === 2);
  service.say('bob', 'alice', '81');
  for (const chat of [phone, laptop]) await until(() => chat.unread === 3);
  await laptop.send('bob', 'I have read all that');
  for (const chat of [phone, laptop]) await until(() => chat.unread === 0);
  assert.deepEqual(
    asked(service, 'markRead').map((frame) => frame.seq),
    [78],
  );
});

test('a conversation that was opened before the inbox arrived is still marked as read', async () => {
  const service = new Service();
  for (let number = 1; number <= 3; number += 1) service.say('bob', 'alice', `${number}`);
  service.script = (frame, socket) => {
    if (frame.action !== 'getConversations') return undefined;
    setTimeout(() => socket.tell({ ref: frame.ref, ...service.answer(socket, frame) }), 50);
    return 'mute';
  };
  const chat = connect(service, 'alice');
  await chat.open('bob');
  assert.equal(asked(service, 'markRead').length, 0);
  await until(() => chat.unread === 3);
  chat.markRead('bob');
  assert.equal(chat.unread, 0);
  await until(() => asked(service, 'markRead').length === 1);
});

test('a message becomes read when the peer marks it or replies', async () => {
  const service = new Service();
  const alice = connect(service, 'alice');
  const bob = connect(service, 'bob');
  await online(bob);
  const sent = await alice.send('bob', 'Hi');
  assert.equal(alice.stateOf(sent), 'sent');
  await until(() => bob.unread === 1);
  bob.markRead('alice');
  await until(() => alice.statuses.at(-1).state === 'read');
  assert.deepEqual(
    alice.statuses.map(({ state }) => state),
    ['queued', 'sent', 'read'],
  );
  const second = await alice.send('bob', 'And?');
  await bob.send('alice', 'Yes');
  await until(() => alice.stateOf(second) === 'read');
});

test('unknown and malformed frames are ignored', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  await online(chat);
  const [socket] = service.sockets;
  for (const frame of [
    null,
    7,
    'x',
    [],
    { type: 'typing', value: {} },
    { type: 'message' },
    { type: 'message', value: { seq: -1 } },
    { type: 'message', value: { seq: 1, messageId: 'm', senderId: 'x', recipientId: 'y', content: '', createdAt: 1 } },
    { type: 'read' },
  ])
    socket.tell(frame);
  service.say('bob', 'alice', 'Hi');
  await until(() => chat.seen.length === 1);
  assert.deepEqual(
    chat.conversations.map((c) => c.peer),
    ['bob'],
  );
});
