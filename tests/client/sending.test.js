// Sending: exactly once and in order, whatever happens to frames, connections and pages.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDBFactory } from 'fake-indexeddb';
import { Outbox } from '../../web/client/outbox.js';
import { connect, contents, online, until } from './fixture.js';
import { position, Service } from './service.js';

const sends = (service) => service.frames.filter((frame) => frame.action === 'sendMessage');
/** What a frame says about the conversation. */
const known = ({ lastSeq, position }) => ({ lastSeq, position });

test('messages are stored in the order of the calls, and each call resolves', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  const stored = await Promise.all(['1', '2', '3'].map((text) => chat.send('bob', text)));
  assert.deepEqual(
    stored.map((m) => [m.seq, m.content, m.senderId]),
    [
      [1, '1', 'alice'],
      [2, '2', 'alice'],
      [3, '3', 'alice'],
    ],
  );
  assert.deepEqual(contents(chat.seen), ['1', '2', '3']);
  const [id] = service.messages.keys();
  assert.deepEqual(sends(service).map(known), [
    { lastSeq: 0, position: undefined },
    { lastSeq: undefined, position: position({ conversationId: id, seq: 1 }) },
    { lastSeq: undefined, position: position({ conversationId: id, seq: 2 }) },
  ]);
  assert.deepEqual(
    chat.statuses.filter(({ state }) => state === 'sent').map(({ seq }) => seq),
    [1, 2, 3],
  );
});

test('a send without a reply is repeated with the same clientMessageId and lastSeq, and stored once', async () => {
  const service = new Service();
  const chat = connect(service, 'alice', { times: { answer: 50 } });
  let lost = 0;
  service.script = ({ action }, socket) => {
    if (action !== 'sendMessage' || lost++ >= 2) return undefined;
    socket.tell({ type: 'something else' }); // the connection lives; only this reply is lost
    return 'mute';
  };
  service.say('bob', 'alice', 'Hi');
  assert.equal((await chat.send('bob', 'Once')).seq, 2);
  const attempts = sends(service);
  assert.equal(attempts.length, 3);
  assert.equal(new Set(attempts.map((frame) => `${frame.clientMessageId} ${frame.lastSeq}`)).size, 1);
  assert.deepEqual(service.contents('alice', 'bob'), ['Hi', 'Once']);
});

test('a message follows the position of the newest one, also after a reload', async () => {
  const service = new Service();
  const indexedDB = new IDBFactory();
  const first = service.say('bob', 'alice', 'Hi');
  const before = connect(service, 'alice', { indexedDB });
  await before.open('bob');
  service.script = ({ action }) => (action === 'sendMessage' ? 'ignore' : undefined);
  const lost = before.send('bob', 'Once');
  await until(() => sends(service).length === 1);
  before.close();
  await assert.rejects(lost, { code: 'closed' });

  service.script = () => undefined;
  const chat = connect(service, 'alice', { indexedDB });
  await until(() => chat.statuses.some(({ state }) => state === 'sent'));
  const expected = { lastSeq: undefined, position: position(first) };
  assert.deepEqual(sends(service).map(known), [expected, expected]);
});

test('a repeat names the same message without its position if newer ones have come', async () => {
  const service = new Service();
  const first = service.say('bob', 'alice', 'Hi');
  const chat = connect(service, 'alice', { times: { answer: 50 } });
  await chat.open('bob');
  service.script = ({ action }) => (action === 'sendMessage' && sends(service).length === 1 ? 'ignore' : undefined);
  const stored = chat.send('bob', 'Once');
  await until(() => sends(service).length === 1);
  service.say('bob', 'alice', 'News');
  assert.equal((await stored).seq, 3);
  assert.deepEqual(sends(service).map(known), [
    { lastSeq: undefined, position: position(first) },
    { lastSeq: 1, position: undefined },
  ]);
});

test('a read position is marked with the position of its message or of a later one', async () => {
  const service = new Service();
  const [first, second] = ['1', '2'].map((text) => service.say('bob', 'alice', text));
  const chat = connect(service, 'alice');
  await chat.open('bob');
  const marks = () => service.frames.filter((frame) => frame.action === 'markRead');
  chat.markRead('bob', first.seq);
  await until(() => marks().length === 1);
  chat.markRead('bob', second.seq);
  await until(() => marks().length === 2);
  assert.deepEqual(
    marks().map(({ seq, position }) => [seq, position]),
    [first, second].map(({ seq }) => [seq, position(second)]),
  );
});

test('a connection that is lost during a send changes nothing', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  let broken = 0;
  service.script = ({ action }, socket) => {
    if (action !== 'sendMessage' || broken++ >= 2) return undefined;
    setImmediate(() => socket.drop(1006));
    return broken === 1 ? 'ignore' : 'mute';
  };
  await Promise.all([chat.send('bob', '1'), chat.send('bob', '2')]);
  assert.deepEqual(service.contents('alice', 'bob'), ['1', '2']);
  assert.deepEqual(contents(chat.seen), ['1', '2']);
});

for (const code of ['unavailable', 'internal', 'rate_limited']) {
  test(`${code} is repeated with the same clientMessageId`, async () => {
    const service = new Service();
    const chat = connect(service, 'alice');
    let refused = 0;
    service.script = ({ action }) =>
      action === 'sendMessage' && refused++ < 1 ? { type: 'error', code, message: 'later' } : undefined;
    await chat.send('bob', 'Hi');
    assert.equal(new Set(sends(service).map((frame) => frame.clientMessageId)).size, 1);
    assert.equal(sends(service).length, 2);
  });
}

test('a rate-limited send is repeated after retryAfter', async (t) => {
  const service = new Service();
  const chat = connect(service, 'alice');
  const waits = t.mock.method(globalThis, 'setTimeout').mock;
  let refused = 0;
  service.script = ({ action }) =>
    action === 'sendMessage' && refused++ < 3
      ? { type: 'error', code: 'rate_limited', message: 'later', retryAfter: 7 }
      : undefined;
  await chat.send('bob', 'Hi');
  assert.equal(waits.calls.filter(({ arguments: [, time] }) => time >= 7 && time <= 8.75).length, 3);
});

test('a send is repeated after an error frame of API Gateway, which names no request', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  let failed = 0;
  service.script = ({ action }, socket) => {
    if (action !== 'sendMessage' || failed++) return undefined;
    socket.tell({ message: 'Internal server error', connectionId: 'c', requestId: 'r' });
    return 'mute';
  };
  await chat.send('bob', 'Hi');
  assert.deepEqual(service.contents('alice', 'bob'), ['Hi']);
});

test('a refused message fails with a reason, and does not delay others', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  let refuse = true;
  service.script = ({ content }) =>
    content === 'bad' && refuse ? { type: 'error', code: 'forbidden', message: 'not this one' } : undefined;
  const bad = chat.send('bob', 'bad');
  const good = chat.send('bob', 'good');
  await assert.rejects(bad, { code: 'forbidden', message: 'not this one' });
  assert.equal((await good).seq, 1);
  const [{ clientMessageId, failed }] = chat.conversation('bob').pending;
  assert.deepEqual(failed, { code: 'forbidden', message: 'not this one' });
  refuse = false;
  await chat.retry(clientMessageId);
  await until(() => chat.seen.length === 2);
  assert.deepEqual(service.contents('alice', 'bob'), ['good', 'bad']);
  assert.equal(chat.conversation('bob').pending.length, 0);
});

test('a failed message can be discarded', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  service.script = ({ action }) =>
    action === 'sendMessage' ? { type: 'error', code: 'forbidden', message: 'no' } : undefined;
  await assert.rejects(chat.send('bob', 'Hi'));
  assert.equal(await chat.discard(chat.conversation('bob').pending[0].clientMessageId), true);
  assert.equal(chat.conversation('bob').pending.length, 0);
  assert.deepEqual(
    chat.statuses.map(({ state }) => state),
    ['queued', 'failed', 'discarded'],
  );
});

test('retry, discard and markRead return false for what does not exist', async () => {
  const chat = connect(new Service(), 'alice');
  assert.deepEqual(
    [await chat.retry('c1'), await chat.discard('c1'), chat.markRead('bob'), chat.markRead('bob', 7)],
    [false, false, false, false],
  );
  assert.equal(chat.conversations.length, 0);
});

test('a message that is not valid is refused before it is queued', async () => {
  const chat = connect(new Service(), 'alice');
  await assert.rejects(chat.send('bob', ' \n '), { code: 'bad_request' });
  await assert.rejects(chat.send('bob', 'ü'.repeat(8192 + 100)), {
    code: 'too_large',
    message: /by about 100 characters/,
  });
  for (const user of ['', ' bad', 'bad\n', '字'.repeat(43), 'x'.repeat(129), undefined]) {
    const refusal = { code: 'bad_request', message: /^(".*"|undefined) can't be a user id: A user id .*\.$/ };
    await assert.rejects(chat.send(user, 'Hi'), refusal);
    await assert.rejects(chat.send('bob', 'Hi', { mentions: [user] }), refusal);
    await assert.rejects(chat.presence([user]), refusal);
  }
  await assert.rejects(chat.send('bob', '\u0001'.repeat(5000)), { code: 'too_large' });
  assert.equal(chat.conversation('bob').pending.length, 0);
});

test('messages that were queued offline are sent by the next page, in order', async () => {
  const service = new Service();
  const indexedDB = new IDBFactory();
  service.refuses = () => true;
  const before = connect(service, 'alice', { indexedDB });
  const queued = ['1', '2', '3'].map((text) => before.send('bob', text));
  await until(() => before.conversation('bob').pending.length === 3);
  before.close();
  for (const message of queued) await assert.rejects(message, { code: 'closed' });

  service.refuses = () => false;
  const chat = connect(service, 'alice', { indexedDB });
  await until(() => chat.seen.length === 3);
  assert.deepEqual(service.contents('alice', 'bob'), ['1', '2', '3']);
  assert.ok(chat.isDurable);
});

test('a message that was stored before a reload is recognised after it, whatever other messages follow', async () => {
  const service = new Service();
  const indexedDB = new IDBFactory();
  service.say('bob', 'alice', 'Hi');
  const before = connect(service, 'alice', { indexedDB });
  service.script = ({ action }) => (action === 'sendMessage' ? 'mute' : undefined);
  const lost = before.send('bob', 'Once');
  await until(() => service.of('alice', 'bob').length === 2);
  before.close();
  await assert.rejects(lost, { code: 'closed' });
  for (let count = 0; count < 200; count += 1) service.say('bob', 'alice', `${count}`);

  service.script = () => undefined;
  const chat = connect(service, 'alice', { indexedDB });
  await chat.ready;
  await until(() => chat.statuses.some(({ state }) => state === 'sent'));
  assert.deepEqual(
    sends(service).map((frame) => frame.lastSeq),
    [1, 1],
  );
  assert.equal(service.contents('alice', 'bob').filter((text) => text === 'Once').length, 1);
});

for (const wasStored of [true, false]) {
  test(`out_of_date: the client reads all that followed, and ${wasStored ? 'finds' : 'sends'} the message`, async () => {
    const service = new Service();
    const indexedDB = new IDBFactory();
    service.say('bob', 'alice', 'Hi');
    const before = connect(service, 'alice', { indexedDB });
    service.script = ({ action }) => (action === 'sendMessage' ? (wasStored ? 'mute' : 'ignore') : undefined);
    const lost = before.send('bob', 'Once');
    await until(() => sends(service).length === 1);
    before.close();
    await assert.rejects(lost);
    for (let count = 0; count < 1100; count += 1) service.say('bob', 'alice', `${count}`);

    service.script = () => undefined;
    const chat = connect(service, 'alice', { indexedDB });
    await until(() => chat.statuses.some(({ state }) => state === 'sent'));
    assert.equal(service.contents('alice', 'bob').filter((text) => text === 'Once').length, 1);
  });
}

test('two tabs with one outbox send each message once, in order, and both show it', async () => {
  const service = new Service();
  const indexedDB = new IDBFactory();
  const tabs = ['one', 'other'].map(() => connect(service, 'alice', { indexedDB }));
  await Promise.all(tabs.map(online));
  const texts = Array.from({ length: 20 }, (_, number) => `${number}`);
  // Each waits until the previous one is queued, as a user does who types in two tabs.
  const stored = [];
  for (const [number, text] of texts.entries()) {
    const chat = tabs[number % 2];
    stored.push(chat.send('bob', text));
    await until(
      () =>
        chat.conversation('bob').pending.some((entry) => entry.content === text) ||
        chat.seen.some((m) => m.content === text),
    );
  }
  await Promise.all(stored);
  for (const chat of tabs) await until(() => chat.seen.length === texts.length);
  assert.deepEqual(service.contents('alice', 'bob'), texts);
  for (const chat of tabs) {
    assert.deepEqual(contents(chat.seen), texts);
    assert.equal(chat.conversation('bob').pending.length, 0);
  }
});

test('after the service lost its data, numbering starts again', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  await chat.send('bob', 'before');
  await chat.send('bob', 'before too');
  service.messages.clear();
  assert.equal((await chat.send('bob', 'after')).seq, 1);
  await until(() => contents(chat.conversation('bob').messages).join() === 'after');
});

const outbox = (owner, indexedDB) =>
  new Outbox(owner, { indexedDB }, { limit: 1000, onTabMessage() {}, onOpened() {} });

test('tabs without locks say the same about the conversation, and notice what another tab has removed', async () => {
  const indexedDB = new IDBFactory();
  const open = async () => {
    const box = outbox('alice', indexedDB);
    await box.open();
    return box;
  };
  const [left, right] = [await open(), await open()];
  const entry = await left.add({ clientMessageId: 'c1', peer: 'bob', content: 'Hi', queuedAt: 0 });
  const [same] = await right.all();
  const later = { lastSeq: 5, position: 'of 5' };
  assert.deepEqual([await left.begin(entry, { lastSeq: 3 }), await right.begin(same, later)], [true, true]);
  assert.deepEqual([entry.lastSeq, same.lastSeq, same.position], [3, 3, undefined]);
  await left.remove(entry);
  assert.deepEqual([await right.begin(same, later), await right.all()], [false, []]);
});

test('a message that turns out to be stored while the client catches up is not sent again', async () => {
  const service = new Service();
  const indexedDB = new IDBFactory();
  const { host, pathname } = new URL(service.url);
  const earlier = outbox(`${host}${pathname} alice`, indexedDB);
  await earlier.open();
  await earlier.add({ clientMessageId: 'c1', peer: 'bob', content: 'Hi', queuedAt: 0 });
  earlier.close();
  service.append('alice', 'bob', 'Hi', 'c1');
  service.script = ({ action }) => (action === 'getConversations' ? 'ignore' : undefined);
  const chat = connect(service, 'alice', { indexedDB });
  await chat.ready;
  await chat.open('bob');
  await until(() => chat.conversation('bob').pending.length === 0);
  await chat.send('bob', 'And more');
  assert.deepEqual(
    sends(service).map((frame) => frame.content),
    ['And more'],
  );
  assert.deepEqual(service.contents('alice', 'bob'), ['Hi', 'And more']);
});
