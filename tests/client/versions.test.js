// Receiving changes: of each message the newest version counts, in whatever order pushes and pages arrive.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, contents, interruptWalk, join, online, times, until } from './fixture.js';
import { asReceived, Service } from './service.js';

const asked = (service, action) => service.frames.filter((frame) => frame.action === action);
const bob = (chat) => chat.conversation('bob');
/** Bob's messages '1' to `count`. */
function told(count) {
  const service = new Service();
  for (let number = 1; number <= count; number += 1) service.append('bob', 'alice', `${number}`);
  return service;
}

/** Stores a change that is not pushed, and returns its entry. */
const silently = (service, work) => {
  const { loses } = service;
  service.loses = () => true;
  const entry = work();
  service.loses = loses;
  return entry;
};

/** What the client shows is what the service holds. */
const same = (service, chat) =>
  assert.deepEqual(
    asReceived(bob(chat).messages),
    service.messagesOf('alice', 'bob').slice(-bob(chat).messages.length),
  );

test('a pushed change replaces the message, and gives one event', async () => {
  const service = told(3);
  const chat = await join(service);
  const before = bob(chat);
  const entry = service.edit('bob', 'alice', 2, 'two');
  await until(() => chat.changes.length === 1);
  assert.deepEqual(contents(bob(chat).messages), ['1', 'two', '3']);
  assert.deepEqual(contents(before.messages), ['1', '2', '3'], 'what was handed out does not change');
  assert.deepEqual(asReceived(chat.changes), [service.messagesOf('alice', 'bob')[1]]);
  const { messages, high } = bob(chat);
  assert.equal(high, 4);
  service.push(entry);
  service.say('bob', 'alice', 'end');
  await until(() => chat.seen.length === 1);
  assert.equal(chat.changes.length, 1, 'a push that comes twice changes nothing');
  assert.equal(bob(chat).messages[1], messages[1]);
});

test('an older version that comes later is dropped', async () => {
  const service = told(3);
  const chat = await join(service);
  const first = silently(service, () => service.edit('bob', 'alice', 2, 'old'));
  const late = service.pushOf(first);
  service.edit('bob', 'alice', 2, 'new');
  await until(() => chat.changes.length === 1);
  for (const socket of service.sockets) socket.tell(late);
  await until(() => bob(chat).high === 5);
  assert.deepEqual(contents(bob(chat).messages), ['1', 'new', '3']);
  assert.deepEqual(contents(chat.changes), ['new']);
});

test('a change of a message that is held ahead of a hole is kept', async () => {
  const service = told(2);
  const chat = await join(service);
  service.script = ({ action }) => (action === 'getMessages' ? 'ignore' : undefined);
  const hole = silently(service, () => service.say('bob', 'alice', '3'));
  const fourth = service.say('bob', 'alice', '4');
  const late = service.pushOf(fourth);
  service.edit('bob', 'alice', 4, 'four');
  for (const socket of service.sockets) socket.tell(late);
  service.say('bob', 'alice', '6');
  // The frames are in order, so this one comes after the changes.
  service.push(hole);
  await until(() => chat.seen.length === 3);
  assert.deepEqual(contents(chat.seen), ['3', 'four', '6']);
  assert.deepEqual(contents(bob(chat).messages), ['1', '2', '3', 'four', '6']);
  assert.deepEqual(chat.changes, [], 'the message was not shown before it changed');
  assert.equal(asked(service, 'getMessages').length, 1, 'from the pushes alone');
});

test('a change that overtakes its message is kept until the message comes', async () => {
  const service = told(2);
  const chat = await join(service);
  service.script = ({ action }) => (action === 'getMessages' ? 'ignore' : undefined);
  const third = silently(service, () => service.say('bob', 'alice', '3'));
  const late = service.pushOf(third);
  service.delete('bob', 'alice', 3);
  for (const socket of service.sockets) socket.tell(late);
  await until(() => chat.seen.length === 1);
  assert.deepEqual([chat.seen[0].content, chat.seen[0].version], ['', 4]);
  same(service, chat);
  assert.equal(bob(chat).high, 4);
});

for (const order of ['before', 'after']) {
  test(`a change of an older message that is not loaded, pushed ${order} the page that was read before the change`, async () => {
    const service = told(60);
    const chat = await join(service, { pageSize: 50 });
    let page;
    service.script = (frame, socket) => {
      if (frame.action !== 'getMessages' || page) return undefined;
      page = { ref: frame.ref, ...service.answer(socket, frame) };
      const deliver = () => socket.tell(JSON.parse(stale));
      const stale = JSON.stringify(page);
      if (order === 'after') deliver();
      service.edit('bob', 'alice', 5, 'five');
      if (order === 'before') deliver();
      return 'ignore';
    };
    const older = await chat.older('bob');
    await until(() => bob(chat).high === 61);
    assert.equal(bob(chat).messages[4].content, 'five');
    if (order === 'before') {
      assert.equal(older[4].content, 'five');
      assert.deepEqual(chat.changes, [], 'it was not shown before it changed');
    } else {
      assert.deepEqual(contents(chat.changes), ['five']);
    }
    same(service, chat);
  });
}

test('a newer version that was kept aside stays, and an older one does not replace it', async () => {
  const service = told(60);
  const chat = await join(service, { pageSize: 50 });
  const first = silently(service, () => service.react('alice', 'bob', 5, '👍'));
  const late = service.pushOf(first);
  service.react('alice', 'bob', 5, '😀');
  await until(() => bob(chat).high === 62 || service.frames.some(({ after }) => after));
  for (const socket of service.sockets) socket.tell(late);
  await until(() => bob(chat).high === 62);
  // The page that was read before both.
  service.script = (frame, socket) => {
    if (frame.action !== 'getMessages') return undefined;
    const { value, ...rest } = service.answer(socket, frame);
    const messages = value.messages.map(({ reactions: _, version: __, ...m }) => m);
    return { ...rest, value: { ...value, messages } };
  };
  await chat.older('bob');
  assert.deepEqual(bob(chat).messages[4].reactions, { '👍': ['alice'], '😀': ['alice'] });
});

test('a page that was read before a push and comes after it changes nothing back', async () => {
  const service = told(3);
  const chat = await join(service);
  service.script = (frame, socket) => {
    if (frame.action !== 'getMessages') return undefined;
    service.script = () => undefined;
    const stale = JSON.stringify({ ref: frame.ref, ...service.answer(socket, frame) });
    service.edit('bob', 'alice', 3, 'three');
    setImmediate(() => socket.tell(JSON.parse(stale)));
    return 'ignore';
  };
  silently(service, () => service.say('bob', 'alice', '4'));
  service.say('bob', 'alice', '5'); // the client asks for what is missing, from message 3 on
  await until(() => chat.seen.length === 2);
  await until(() => bob(chat).high === 6);
  assert.deepEqual(contents(bob(chat).messages), ['1', '2', 'three', '4', '5']);
  assert.deepEqual(contents(chat.changes), ['three']);
});

test('an inbox that was read before a push and comes after it changes nothing back', async () => {
  const service = told(3);
  let read;
  service.script = (frame, socket) => {
    if (frame.action !== 'getConversations') return undefined;
    const stale = JSON.stringify({ ref: frame.ref, ...service.answer(socket, frame) });
    read = () => socket.tell(JSON.parse(stale));
    return 'ignore';
  };
  const chat = connect(service, 'alice', { times });
  await chat.open('bob');
  await until(() => read);
  service.edit('bob', 'alice', 3, 'three');
  await until(() => chat.changes.length === 1);
  read();
  await until(() => chat.hasInbox);
  assert.deepEqual(contents(bob(chat).messages), ['1', '2', 'three']);
  await until(() => bob(chat).high === 4);
});

test('changes while the client was away are there when it is back, also those of messages that no page brings', async () => {
  const service = told(200);
  const chat = await join(service, { pageSize: 100 });
  await chat.older('bob');
  for (const socket of service.sockets) socket.drop(1006);
  await until(() => chat.connection.state !== 'online');
  service.edit('bob', 'alice', 7, 'seven');
  service.delete('bob', 'alice', 8);
  service.react('alice', 'bob', 9, '👍');
  service.say('bob', 'alice', 'News');
  service.edit('bob', 'alice', 204, 'More news');
  await until(() => chat.seen.length === 1);
  await until(() => bob(chat).high === 205);
  assert.deepEqual(contents(chat.seen), ['More news']);
  assert.deepEqual(
    chat.changes.map(({ seq }) => seq),
    [7, 8, 9],
  );
  same(service, chat);
});

/** A reaction that comes and goes. */
const reaction = (seq, count) => ({ action: 'react', seq, reaction: '😀', on: count % 2 === 0 });

test('a newest page whose changes are of older messages leaves none of them behind', async () => {
  const service = told(1);
  const chat = connect(service, 'alice', { times, pageSize: 3 });
  await until(() => chat.hasInbox);
  for (let number = 2; number <= 6; number += 1) service.say('bob', 'alice', `${number}`);
  await until(() => chat.seen.length === 5);
  // The pushes of these are lost; the newest page shows that they exist, and not what has changed.
  silently(service, () => service.edit('bob', 'alice', 1, 'one'));
  silently(service, () => service.edit('bob', 'alice', 2, 'two'));
  silently(service, () => service.say('bob', 'alice', '9'));
  await chat.open('bob');
  await until(() => bob(chat).high === 9);
  assert.deepEqual(contents(bob(chat).messages), ['one', 'two', '3', '4', '5', '6', '9']);
});

test('a conversation whose newest entries are changes has its newest message', async () => {
  const service = told(2);
  for (let count = 0; count < 30; count += 1) service.appendChange('bob', 'alice', reaction(1, count));
  const chat = connect(service, 'alice', { times });
  // A push before the inbox is read, so that the client asks for the newest entry.
  service.script = ({ action }) => (action === 'getConversations' ? 'ignore' : undefined);
  await online(chat);
  service.react('bob', 'alice', 1, '😀');
  await until(() => bob(chat).high === 33);
  service.script = () => undefined;
  for (const socket of service.sockets) socket.drop(1006);
  await until(() => chat.hasInbox);
  await until(() => bob(chat).lastMessage?.content === '2');
  assert.equal(bob(chat).unread, 2);
});

test('open, older and history give messages, whatever number of changes is between them', async () => {
  const service = told(3);
  for (let count = 0; count < 40; count += 1) service.appendChange('bob', 'alice', reaction(2, count));
  service.append('bob', 'alice', '4');
  for (let count = 0; count < 40; count += 1) service.appendChange('bob', 'alice', reaction(44, count));
  const chat = await join(service, { pageSize: 10 });
  assert.deepEqual(contents(bob(chat).messages).at(-1), '4');
  const pages = [];
  for await (const page of chat.history('bob')) pages.unshift(page);
  assert.deepEqual(contents(pages.flat()), ['1', '2', '3', '4']);
  assert.ok(pages.every((page) => page.length));
  assert.deepEqual([bob(chat).low, bob(chat).high, bob(chat).hasOlder], [1, 84, false]);
  assert.deepEqual(await chat.older('bob'), []);
  assert.deepEqual(chat.seen, []);
});

test('open has messages before the inbox is read, although the newest page has only changes', async () => {
  const service = told(3);
  for (let count = 0; count < 40; count += 1) service.appendChange('bob', 'alice', reaction(2, count));
  service.script = ({ action }) => (action === 'getConversations' ? 'ignore' : undefined);
  const chat = connect(service, 'alice', { times, pageSize: 10 });
  assert.deepEqual(contents((await chat.open('bob')).messages), ['1', '2', '3']);
});

test('changes do not count as unread, and a read position after them is one', async () => {
  const service = told(3);
  service.react('bob', 'alice', 1, '👍');
  service.edit('bob', 'alice', 2, 'two');
  const chat = connect(service, 'alice', { times });
  await until(() => chat.hasInbox);
  assert.deepEqual([bob(chat).unread, chat.unread, bob(chat).high], [3, 3, 5], 'from the inbox alone');
  service.react('bob', 'alice', 3, '👍');
  service.say('bob', 'alice', '4');
  await until(() => chat.seen.length === 1);
  assert.equal(chat.unread, 4);
  await chat.open('bob');
  assert.equal(chat.unread, 4);
  assert.equal(chat.markRead('bob', 2), true);
  assert.equal(chat.unread, 2);
  assert.equal(chat.markRead('bob'), true);
  assert.deepEqual([chat.unread, bob(chat).readSeq], [0, 7]);
  await until(() => asked(service, 'markRead').at(-1)?.seq === 7);
  service.react('bob', 'alice', 3, '😀');
  await until(() => bob(chat).high === 8);
  assert.deepEqual([chat.unread, chat.markRead('bob')], [0, false]);
});

test('an own change marks what is before it as read', async () => {
  const service = told(3);
  const chat = await join(service);
  assert.equal(chat.unread, 3);
  await chat.react('bob', 1, '👍');
  assert.equal(chat.unread, 0);
  service.say('bob', 'alice', '4');
  await until(() => chat.unread === 1);
  service.react('alice', 'bob', 2, '👍'); // by another device of the user
  await until(() => chat.unread === 0);
});

test('the unread count of a conversation that is not loaded stays right while changes come', async () => {
  const service = told(120);
  for (let count = 0; count < 30; count += 1) service.appendChange('bob', 'alice', reaction(100, count));
  service.append('bob', 'alice', '121');
  const chat = connect(service, 'alice', { times, pageSize: 20 });
  await until(() => chat.unread === 121);
  service.react('bob', 'alice', 7, '👍');
  await until(() => bob(chat).high === 152);
  assert.equal(chat.unread, 121);
  await chat.open('bob');
  assert.equal(chat.unread, 121);
  for await (const _ of chat.history('bob')) assert.equal(chat.unread, 121);
});

test('the newest message and its time come from messages, so a change moves no conversation', async () => {
  const service = told(2);
  for (const message of service.of('alice', 'bob')) message.createdAt -= 10_000;
  service.append('carol', 'alice', 'Later');
  const chat = connect(service, 'alice', { times });
  await until(() => chat.hasInbox);
  service.edit('bob', 'alice', 2, 'two');
  await until(() => chat.changes.length === 1);
  assert.deepEqual(
    chat.conversations.map(({ peer, lastMessage }) => [peer, lastMessage.content]),
    [
      ['carol', 'Later'],
      ['bob', 'two'],
    ],
  );
});

test('a change resolves with its message, although the connection is lost while the client asks for that', async () => {
  const service = told(60);
  const chat = await join(service, { pageSize: 50 });
  service.changedBy = () => undefined;
  let lost = 0;
  service.script = (frame, socket) => {
    if (frame.action !== 'getMessages' || frame.after !== 4 || lost) return undefined;
    lost += 1;
    socket.drop(1006);
    return 'ignore';
  };
  assert.deepEqual((await chat.react('bob', 5, '👍')).reactions, { '👍': ['alice'] });
  assert.equal(lost, 1);
});

test('a deletion leaves no text in a snapshot', async () => {
  const service = told(60);
  const chat = await join(service, { pageSize: 50 });
  for (let seq = 1; seq <= 60; seq += 1) service.edit('bob', 'alice', seq, `secret ${seq}`);
  await until(() => bob(chat).high === 120);
  assert.match(JSON.stringify(bob(chat)), /secret 60/);
  for (let seq = 1; seq <= 60; seq += 1) service.delete('bob', 'alice', seq);
  await until(() => bob(chat).high === 180);
  await chat.older('bob');
  assert.equal(bob(chat).messages.length, 60);
  assert.doesNotMatch(JSON.stringify(bob(chat)), /secret/);
  assert.ok(bob(chat).messages.every(({ deleted }) => deleted.by === 'bob'));
});

test('an own message that is deleted before it is shown leaves no text behind', async () => {
  const service = told(1);
  const chat = await join(service);
  // What follows is missing until the end, so that the own message waits among those that are pending.
  service.script = ({ action }) => (action === 'getMessages' ? 'ignore' : undefined);
  const hole = silently(service, () => service.say('bob', 'alice', '2'));
  const { seq } = await chat.send('bob', 'secret');
  assert.deepEqual(contents(bob(chat).pending), ['secret']);
  service.delete('alice', 'bob', seq);
  service.say('bob', 'alice', '5');
  await chat.react('bob', 1, '👍'); // its reply comes after those pushes
  assert.doesNotMatch(JSON.stringify(bob(chat)), /secret/);
  service.push(hole);
  await until(() => bob(chat).high === 6);
  same(service, chat);
});

test('entries of other kinds are counted, and not shown', async () => {
  const service = told(1);
  const chat = await join(service);
  const future = service.append('bob', 'alice', undefined);
  Object.assign(future, { kind: 'members', added: ['carol'] });
  service.push(future);
  service.say('bob', 'alice', '3');
  await until(() => chat.seen.length === 1);
  assert.deepEqual([contents(bob(chat).messages), bob(chat).high], [['1', '3'], 3]);
  assert.deepEqual([chat.unread, chat.changes], [2, []]);
});

test('entries that fill a page alone do not stop the client', async () => {
  const service = told(2);
  const chat = await join(service);
  for (const socket of service.sockets) socket.drop(1006);
  await until(() => chat.connection.state !== 'online');
  service.entriesPerPage = 1;
  service.say('bob', 'alice', '3');
  service.edit('bob', 'alice', 1, 'one');
  service.say('bob', 'alice', '5');
  await until(() => bob(chat).high === 5);
  assert.deepEqual(contents(bob(chat).messages), ['one', '2', '3', '5']);
});

test('a service that has lost its data is noticed by a change in place of a message', async () => {
  const service = told(40);
  const chat = await join(service);
  service.messages.clear();
  for (let number = 1; number <= 5; number += 1) service.append('bob', 'alice', `new ${number}`);
  for (let count = 0; count < 35; count += 1) service.appendChange('bob', 'alice', reaction(1, count));
  service.react('bob', 'alice', 2, '👍');
  await until(() => bob(chat).messages[0]?.content === 'new 1');
  await until(() => bob(chat).high === 41);
  same(service, chat);
});

test('changes that the inbox only counts replace no version of a message that was pushed before', async () => {
  const service = told(6);
  let read;
  service.script = (frame, socket) => {
    if (frame.action === 'getMessages' && !read?.done) return 'ignore';
    if (frame.action !== 'getConversations') return undefined;
    read = () => socket.tell({ ref: frame.ref, ...service.answer(socket, frame) });
    return 'ignore';
  };
  const chat = connect(service, 'alice', { times });
  await until(() => read);
  for (const message of service.of('alice', 'bob').slice(2, 4)) service.push(message);
  await until(() => asked(service, 'getMessages').length === 1);
  silently(service, () => service.edit('bob', 'alice', 3, 'three'));
  silently(service, () => service.edit('bob', 'alice', 3, 'Three'));
  service.entriesPerPage = 2;
  read.done = true;
  read();
  await until(() => chat.hasInbox);
  for (const socket of service.sockets) socket.drop(1006);
  service.script = () => undefined;
  await until(() => bob(chat).high === 8);
  assert.equal(bob(chat).messages.find(({ seq }) => seq === 3).content, 'Three');
});

test('a message to oneself can be changed', async () => {
  const service = new Service();
  const chat = connect(service, 'alice', { times });
  const { seq } = await chat.send('alice', 'Milk');
  await chat.edit('alice', seq, 'Milk, eggs');
  service.react('alice', 'alice', seq, '✅');
  await until(() => chat.conversation('alice').high === 3);
  assert.deepEqual(asReceived(chat.conversation('alice').messages), service.messagesOf('alice', 'alice'));
  assert.equal(chat.unread, 0);
});

test('a change that a continued walk through the inbox does not see is there when the conversation is opened', async () => {
  const service = new Service();
  for (let peer = 1; peer <= 350; peer += 1)
    service.append(`peer ${peer}`, 'alice', 'Hi').createdAt -= (350 - peer) * 7_200_000;
  service.pageSize = 100;
  const chat = connect(service, 'alice', { times });
  await until(() => chat.hasInbox);
  // Meanwhile a message on the second page changes, which moves no conversation.
  await interruptWalk(service);
  service.delete('peer 200', 'alice', 1);
  await until(() => chat.hasInbox);
  const { messages } = await chat.open('peer 200');
  assert.deepEqual(contents(messages), ['']);
});
