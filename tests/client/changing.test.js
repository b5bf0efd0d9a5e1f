// Changing messages: edits, deletions and reactions go through the same outbox as messages, exactly once and in order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDBFactory } from 'fake-indexeddb';
import { Outbox } from '../../web/client/outbox.js';
import { connect, contents, join, times, until } from './fixture.js';
import { asReceived, position, Service } from './service.js';

const CHANGES = ['editMessage', 'deleteMessage', 'react'];
const isChange = ({ action }) => CHANGES.includes(action);
/** The frames of changes that the service got. */
const changes = (service) => service.frames.filter(isChange);
/** The entries of changes that the service stored. */
const stored = (service) => service.of('alice', 'bob').filter(({ kind }) => kind);
/** For tests in which replies are lost. */
const impatient = { times: { ...times, answer: 50 } };

/** A conversation in which alice has said 'Hi' and bob 'Hello'. */
function talk() {
  const service = new Service();
  service.append('alice', 'bob', 'Hi', 'c-1');
  service.append('bob', 'alice', 'Hello');
  return service;
}

test('edit, react and delete resolve with the message as it now is', async () => {
  const service = talk();
  const chat = await join(service);
  const edited = await chat.edit('bob', 1, 'Hi, Bob!');
  assert.deepEqual([edited.seq, edited.content, edited.version], [1, 'Hi, Bob!', 3]);
  assert.equal(typeof edited.editedAt, 'number');
  assert.deepEqual((await chat.react('bob', 2, '👍')).reactions, { '👍': ['alice'] });
  assert.equal((await chat.react('bob', 2, '👍', false)).reactions, undefined);
  const deleted = await chat.delete('bob', 1);
  assert.deepEqual([deleted.content, deleted.deleted?.by, deleted.version], ['', 'alice', 6]);

  const { messages, pending, changes: queued, high } = chat.conversation('bob');
  assert.deepEqual(messages, service.messagesOf('alice', 'bob'));
  assert.deepEqual([pending, queued, high], [[], [], 6]);
  assert.deepEqual(
    chat.changes.map(({ seq, version }) => [seq, version]),
    [
      [1, 3],
      [2, 4],
      [2, 5],
      [1, 6],
    ],
  );
  assert.deepEqual(chat.seen, [], 'a change is no message');
  assert.deepEqual(
    changes(service).map(({ ref: _, clientMessageId: __, position: ___, user: ____, ...fields }) => fields),
    [
      { action: 'editMessage', targetId: 'bob', seq: 1, content: 'Hi, Bob!' },
      { action: 'react', targetId: 'bob', seq: 2, reaction: '👍', on: true },
      { action: 'react', targetId: 'bob', seq: 2, reaction: '👍', on: false },
      { action: 'deleteMessage', targetId: 'bob', seq: 1 },
    ],
  );
});

test('status events of a change name its kind and its target', async () => {
  const service = talk();
  const chat = await join(service);
  await chat.delete('bob', 1);
  const [{ clientMessageId }] = changes(service);
  const common = { clientMessageId, peer: 'bob', kind: 'delete', target: 1 };
  const own = chat.statuses.filter((status) => status.clientMessageId === clientMessageId);
  assert.deepEqual(own, [
    { ...common, state: 'queued' },
    { ...common, state: 'sent', seq: 3 },
  ]);
});

test('a message carries replyTo and mentions, from the outbox to the conversation', async () => {
  const service = talk();
  service.refuses = () => true;
  const chat = connect(service, 'alice', { times });
  const sent = chat.send('bob', 'See above', { replyTo: 2, mentions: ['bob'] });
  await until(() => chat.conversation('bob').pending.length === 1);
  const [{ replyTo, mentions }] = chat.conversation('bob').pending;
  assert.deepEqual([replyTo, mentions], [2, ['bob']]);
  service.refuses = () => false;
  const message = await sent;
  assert.deepEqual([message.replyTo, message.mentions], [2, ['bob']]);
  await chat.send('bob', 'And more', { mentions: [] });
  assert.deepEqual(
    asReceived(chat.conversation('bob').messages.slice(-2)),
    service.messagesOf('alice', 'bob').slice(2),
  );
  assert.equal(service.messagesOf('alice', 'bob').at(-1).mentions, undefined, 'an empty list is like none');
});

test('messages and changes are stored in the order of the calls', async () => {
  const service = talk();
  const chat = await join(service);
  await Promise.all([
    chat.send('bob', 'one'),
    chat.edit('bob', 1, 'Hi!'),
    chat.send('bob', 'two'),
    chat.react('bob', 2, '👍'),
    chat.delete('bob', 1),
  ]);
  assert.deepEqual(
    service
      .of('alice', 'bob')
      .slice(2)
      .map(({ content, target }) => content ?? target),
    ['one', 1, 'two', 2, 1],
  );
});

test('a change follows the position of the newest entry, and a message that of a change', async () => {
  const service = talk();
  const chat = await join(service);
  await chat.send('bob', 'one');
  await chat.edit('bob', 1, 'Hi!');
  await chat.send('bob', 'two');
  const sends = service.frames.filter((frame) => frame.action === 'sendMessage' || isChange(frame));
  const { conversationId } = service.of('alice', 'bob')[0];
  assert.deepEqual(
    sends.map((frame) => frame.position),
    [2, 3, 4].map((seq) => position({ conversationId, seq })),
  );
});

test('a change without a reply is repeated as it was, and stored once', async () => {
  const service = talk();
  const chat = await join(service, impatient);
  let lost = 0;
  service.script = (frame, socket) => {
    if (!isChange(frame) || lost++ >= 2) return undefined;
    socket.tell({ type: 'something else' }); // the connection lives; only this reply is lost
    return 'mute';
  };
  assert.equal((await chat.edit('bob', 1, 'Hi!')).content, 'Hi!');
  const attempts = changes(service).map(({ ref: _, ...frame }) => frame);
  assert.deepEqual(attempts, Array(3).fill(attempts[0]));
  assert.equal(stored(service).length, 1);
  assert.equal(chat.changes.length, 1);
});

test('a repeat resolves with the message as it is by then', async () => {
  const service = talk();
  const chat = await join(service, impatient);
  service.loses = () => true;
  service.script = (frame, socket) => {
    if (!isChange(frame) || changes(service).length > 1) return undefined;
    socket.tell({ type: 'something else' });
    // Another device of the user deletes the message, before the repeat.
    setImmediate(() => service.delete('alice', 'bob', 1));
    return 'mute';
  };
  const message = await chat.edit('bob', 1, 'Hi!');
  assert.deepEqual([message.content, message.version], ['', 4]);
  assert.equal(chat.conversation('bob').messages[0].content, '');
  service.loses = () => false;
  service.say('bob', 'alice', 'News');
  await until(() => chat.conversation('bob').high === 5);
  assert.deepEqual(asReceived(chat.conversation('bob').messages), service.messagesOf('alice', 'bob'));
});

test('a change whose reply is lost with the connection is stored once, and shown on the next connection', async () => {
  const service = talk();
  const chat = await join(service);
  service.script = (frame, socket) => {
    if (!isChange(frame) || changes(service).length > 1) return undefined;
    setImmediate(() => socket.drop(1006));
    return 'mute';
  };
  assert.deepEqual((await chat.react('bob', 2, '👍')).reactions, { '👍': ['alice'] });
  assert.equal(stored(service).length, 1);
  assert.deepEqual(chat.conversation('bob').changes, []);
  assert.deepEqual(chat.conversation('bob').messages[1].reactions, { '👍': ['alice'] });
});

test('changes that were queued offline are sent by the next page, in order', async () => {
  const service = talk();
  const indexedDB = new IDBFactory();
  service.refuses = () => true;
  const before = connect(service, 'alice', { indexedDB, times });
  const queued = [
    before.edit('bob', 1, 'Hi!'),
    before.send('bob', 'and'),
    before.react('bob', 2, '👍'),
    before.delete('bob', 1),
  ];
  await until(() => before.conversation('bob').changes.length === 3);
  before.close();
  for (const change of queued) await assert.rejects(change, { code: 'closed' });

  const chat = connect(service, 'alice', { indexedDB, times });
  await chat.ready;
  assert.deepEqual(
    chat
      .conversation('bob')
      .changes.map(({ peer, kind, target, content, reaction, on }) => [peer, kind, target, content, reaction, on]),
    [
      ['bob', 'edit', 1, 'Hi!', undefined, undefined],
      ['bob', 'react', 2, undefined, '👍', true],
      ['bob', 'delete', 1, undefined, undefined, undefined],
    ],
  );
  assert.deepEqual(contents(chat.conversation('bob').pending), ['and']);
  service.refuses = () => false;
  await until(() => service.of('alice', 'bob').length === 6);
  await until(() => chat.conversation('bob').changes.length === 0);
  assert.deepEqual(
    stored(service).map(({ target }) => target),
    [1, 2, 1],
  );
});

/** Fills the outbox of alice, as an earlier page has left it. */
async function leaveBehind(service, indexedDB, ...rows) {
  const { host, pathname } = new URL(service.url);
  const options = { limit: 1000, onTabMessage() {}, onOpened() {} };
  const outbox = new Outbox(`${host}${pathname} alice`, { indexedDB }, options);
  await outbox.open();
  for (const row of rows) await outbox.add({ peer: 'bob', queuedAt: Date.now(), ...row });
  outbox.close();
}

for (const others of ['messages', 'changes']) {
  test(`a change that an earlier page has stored without a trace is found among ${others}, and not sent again`, async () => {
    const service = talk();
    const indexedDB = new IDBFactory();
    await leaveBehind(service, indexedDB, {
      clientMessageId: 'c1',
      kind: 'react',
      target: 2,
      reaction: '👍',
      on: true,
    });
    service.appendChange('alice', 'bob', { action: 'react', seq: 2, reaction: '👍', on: true, clientMessageId: 'c1' });
    for (let count = 0; count < 250; count += 1) {
      if (others === 'messages') service.append('bob', 'alice', `${count}`);
      else service.appendChange('bob', 'alice', { action: 'react', seq: 1, reaction: '😀', on: count % 2 === 0 });
    }
    const chat = connect(service, 'alice', { indexedDB, times });
    await until(() => chat.statuses.some(({ state }) => state === 'sent'));
    assert.deepEqual(changes(service), []);
    assert.deepEqual(chat.conversation('bob').changes, []);
    assert.equal(chat.statuses.find(({ state }) => state === 'sent').seq, 3);
  });
}

for (const wasStored of [true, false]) {
  test(`out_of_date: the client reads the changes that followed, and ${wasStored ? 'finds' : 'sends'} its own`, async () => {
    const service = talk();
    const indexedDB = new IDBFactory();
    const row = { clientMessageId: 'c1', kind: 'edit', target: 1, content: 'Hi!', lastSeq: 2 };
    await leaveBehind(service, indexedDB, row);
    if (wasStored) {
      const frame = { action: 'editMessage', seq: 1, content: 'Hi!', clientMessageId: 'c1' };
      service.appendChange('alice', 'bob', frame);
    }
    for (let count = 0; count < 1100; count += 1)
      service.appendChange('bob', 'alice', { action: 'react', seq: 1, reaction: '😀', on: count % 2 === 0 });
    const chat = connect(service, 'alice', { indexedDB, times });
    await until(() => chat.statuses.some(({ state }) => state === 'sent'));
    assert.equal(stored(service).filter(({ clientMessageId }) => clientMessageId === 'c1').length, 1);
    assert.equal(changes(service)[0].lastSeq, 2);
  });
}

test('what an older version of the client has queued is a message', async () => {
  const service = talk();
  const indexedDB = new IDBFactory();
  await leaveBehind(service, indexedDB, { clientMessageId: 'c1', content: 'from before', lastSeq: 2 });
  const chat = connect(service, 'alice', { indexedDB, times });
  await until(() => service.of('alice', 'bob').length === 3);
  assert.deepEqual(service.contents('alice', 'bob'), ['Hi', 'Hello', 'from before']);
  await until(() => chat.conversation('bob').pending.length === 0);
});

test('a refused change fails with a reason, does not delay others, and can be sent again or discarded', async () => {
  const service = talk();
  const chat = await join(service);
  service.editWindow = 0;
  const [late, foreign, missing, good] = await Promise.allSettled([
    chat.edit('bob', 1, 'Hi!'),
    chat.delete('bob', 2),
    chat.react('bob', 99, '👍'),
    chat.react('bob', 2, '👍'),
  ]);
  assert.deepEqual(
    [late, foreign, missing].map(({ reason }) => reason.code),
    ['forbidden', 'forbidden', 'bad_request'],
  );
  assert.equal(good.status, 'fulfilled');
  const failed = chat.conversation('bob').changes;
  assert.deepEqual(
    failed.map(({ kind, target, failed: { code } }) => [kind, target, code]),
    [
      ['edit', 1, 'forbidden'],
      ['delete', 2, 'forbidden'],
      ['react', 99, 'bad_request'],
    ],
  );
  assert.deepEqual(
    chat.statuses
      .filter(({ state }) => state === 'failed')
      .map(({ kind, target, code, reason }) => [kind, target, code, typeof reason]),
    failed.map(({ kind, target, failed: { code } }) => [kind, target, code, 'string']),
  );
  assert.deepEqual(contents(chat.conversation('bob').messages), ['Hi', 'Hello']);

  service.editWindow = Infinity;
  assert.equal(await chat.retry(failed[0].clientMessageId), true);
  await until(() => chat.conversation('bob').messages[0].content === 'Hi!');
  assert.equal(await chat.discard(failed[1].clientMessageId), true);
  assert.equal(await chat.discard(failed[2].clientMessageId), true);
  assert.deepEqual(chat.conversation('bob').changes, []);
  assert.equal(await chat.retry(failed[1].clientMessageId), false);
});

test('a refused change survives a reload, with its reason', async () => {
  const service = talk();
  const indexedDB = new IDBFactory();
  const before = await join(service, { indexedDB });
  await assert.rejects(before.edit('bob', 2, 'not mine'), { code: 'forbidden' });
  before.close();
  const chat = await join(service, { indexedDB });
  const [{ kind, failed, clientMessageId }] = chat.conversation('bob').changes;
  assert.deepEqual([kind, failed.code], ['edit', 'forbidden']);
  await chat.discard(clientMessageId);
  chat.close();
  const later = await join(service, { indexedDB });
  assert.deepEqual(later.conversation('bob').changes, []);
});

test('a change whose target has another text by then is sent, and the service decides', async () => {
  const service = talk();
  const indexedDB = new IDBFactory();
  service.refuses = () => true;
  const chat = connect(service, 'alice', { indexedDB, times });
  const edited = chat.edit('bob', 1, 'mine');
  await until(() => chat.conversation('bob').changes.length === 1);
  service.edit('alice', 'bob', 1, 'from another device');
  service.refuses = () => false;
  assert.equal((await edited).content, 'mine');
  service.delete('alice', 'bob', 1);
  await assert.rejects(chat.edit('bob', 1, 'too late'), { code: 'forbidden' });
});

test('a change that is not valid is refused before it is queued', async () => {
  const service = talk();
  const chat = await join(service);
  for (const work of [
    () => chat.edit('bob', 1, ' \n '),
    () => chat.edit('bob', 1, undefined),
    () => chat.edit('bob', 0, 'Hi'),
    () => chat.edit('bob', 1.5, 'Hi'),
    () => chat.edit('bob', '1', 'Hi'),
    () => chat.delete('bob', undefined),
    () => chat.delete('bob', -1),
    () => chat.delete('', 1),
    () => chat.react('bob', 1, ''),
    () => chat.react('bob', 1, ' '),
    () => chat.react('bob', 1, undefined),
    () => chat.react('bob', 1, '👍'.repeat(17)),
    () => chat.send('bob', 'Hi', { replyTo: 0 }),
    () => chat.send('bob', 'Hi', { mentions: ['bob', ''] }),
  ])
    await assert.rejects(work, { code: 'bad_request' }, `${work}`);
  await assert.rejects(chat.edit('bob', 1, 'ü'.repeat(8192 + 100)), { code: 'too_large' });
  const { pending, changes: queued } = chat.conversation('bob');
  assert.deepEqual([pending, queued], [[], []]);
  assert.ok((await chat.react('bob', 1, '👍'.repeat(16))).reactions);
});

test('the other tab shows a queued change, and the changed message, even if its own push is lost', async () => {
  const service = talk();
  const indexedDB = new IDBFactory();
  const [tab, other] = await Promise.all([1, 2].map(() => join(service, { ...impatient, indexedDB })));
  let hold = true;
  let first;
  service.script = (frame, socket) => {
    if (!isChange(frame)) return undefined;
    // Node.js may have no Web Locks. Then both tabs send the change; only the first one gets an answer.
    first ??= socket;
    return hold || socket !== first ? 'ignore' : undefined;
  };
  service.loses = () => true;
  service.frames = [];
  const edited = tab.edit('bob', 1, 'Hi!');
  await until(() => other.conversation('bob').changes.length === 1);
  const [{ kind, target, content }] = other.conversation('bob').changes;
  assert.deepEqual([kind, target, content], ['edit', 1, 'Hi!']);
  hold = false;
  await edited;
  await until(() => other.conversation('bob').changes.length === 0);
  await until(() => other.changes.length === 1);
  for (const chat of [tab, other]) {
    assert.deepEqual(asReceived(chat.conversation('bob').messages), service.messagesOf('alice', 'bob'));
    assert.deepEqual(
      chat.changes.map((m) => [m.seq, m.content]),
      [[1, 'Hi!']],
    );
  }
  assert.equal(stored(service).length, 1);
  const pages = service.frames.filter(({ action }) => action === 'getMessages');
  assert.deepEqual(pages, [], 'the other tab asks the service for nothing');
});

test('what another tab finds on a page without the changed message is shown with it', async () => {
  const service = talk();
  const indexedDB = new IDBFactory();
  const tab = await join(service, { indexedDB });
  service.loses = () => true;
  await leaveBehind(service, indexedDB, { clientMessageId: 'c1', kind: 'edit', target: 1, content: 'Hi!' });
  service.appendChange('alice', 'bob', { action: 'editMessage', seq: 1, content: 'Hi!', clientMessageId: 'c1' });
  service.entriesPerPage = 1;
  const other = connect(service, 'alice', { indexedDB, times });
  await until(() => other.statuses.some(({ state }) => state === 'sent'));
  await until(() => tab.changes.length === 1);
  assert.deepEqual([tab.conversation('bob').messages[0].content, tab.conversation('bob').high], ['Hi!', 3]);
  assert.deepEqual(changes(service), []);
});

test('a failed change can be discarded in another tab', async () => {
  const service = talk();
  const indexedDB = new IDBFactory();
  const [tab, other] = await Promise.all([join(service, { indexedDB }), join(service, { indexedDB })]);
  await assert.rejects(tab.delete('bob', 2), { code: 'forbidden' });
  await until(() => other.conversation('bob').changes[0]?.failed?.code === 'forbidden');
  await other.discard(other.conversation('bob').changes[0].clientMessageId);
  await until(() => tab.conversation('bob').changes.length === 0);
  for (const { statuses } of [tab, other]) {
    const { peer, kind, target, state, code } = statuses.at(-1);
    assert.deepEqual([peer, kind, target, state, code], ['bob', 'delete', 2, 'discarded', undefined]);
  }
});

test('a message that was just sent can be changed at once', async () => {
  const service = talk();
  const chat = await join(service);
  const { seq } = await chat.send('bob', 'Hi');
  const [edited] = await Promise.all([chat.edit('bob', seq, 'Hi!'), chat.react('bob', seq, '🙈')]);
  assert.deepEqual([edited.seq, edited.content], [seq, 'Hi!']);
  const last = chat.conversation('bob').lastMessage;
  assert.deepEqual([last.content, last.reactions], ['Hi!', { '🙈': ['alice'] }]);
});
