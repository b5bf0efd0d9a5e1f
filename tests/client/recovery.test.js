// A service whose data was lost or restored, and people who wrote for the first time while the client was away.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDBFactory } from 'fake-indexeddb';
import { connect, contents, interruptWalk, online, pagesOfWalk, times, until } from './fixture.js';
import { Service } from './service.js';

async function away(service, chat, work) {
  service.refuses = () => true;
  for (const socket of service.sockets) socket.drop(1006);
  await until(() => chat.connection.state !== 'online');
  work();
  service.refuses = () => false;
  await online(chat);
  await until(() => chat.hasInbox);
}

for (const [old, isOpened, news] of [
  [3, true, 0],
  [120, true, 0],
  [120, false, 0],
  [120, true, 2],
  [120, true, 130],
  [120, false, 130],
]) {
  const name = `${old} messages ${isOpened ? 'shown' : 'listed'}, ${news} new ones when the client is back`;
  test(`a conversation that the service has lost begins again: ${name}`, async () => {
    const service = new Service();
    for (let count = 1; count <= old; count += 1) service.append('bob', 'alice', `old ${count}`);
    const chat = connect(service, 'alice', { times });
    await until(() => chat.hasInbox);
    if (isOpened) await chat.open('bob');
    await away(service, chat, () => {
      service.messages.clear();
      service.read.clear();
      for (let count = 1; count <= news; count += 1) service.append('bob', 'alice', `new ${count}`);
    });
    service.say('bob', 'alice', 'last');
    await until(() => chat.conversation('bob').lastMessage?.content === 'last');
    const { messages, high, low } = chat.conversation('bob');
    assert.equal(high, news + 1);
    assert.ok(contents(messages).every((text) => !text.startsWith('old')));
    assert.equal(messages.length, high - low + 1);
    assert.equal(chat.seen.at(-1).content, 'last');
  });
}

test('a client that was not away notices a restored conversation by the next message', async () => {
  const service = new Service();
  for (let count = 1; count <= 120; count += 1) service.append('bob', 'alice', `old ${count}`);
  const chat = connect(service, 'alice', { times });
  await chat.open('bob');
  await until(() => chat.hasInbox);
  service.of('alice', 'bob').splice(40);
  service.say('bob', 'alice', 'after the restoration');
  await until(() => chat.conversation('bob').lastMessage?.content === 'after the restoration');
  assert.equal(chat.conversation('bob').high, 41);
});

test('what the service has lost leaves no gap behind, even if it was pushed again before', async () => {
  const service = new Service();
  const old = Array.from({ length: 80 }, (_, index) => service.append('bob', 'alice', `old ${index + 1}`));
  const chat = connect(service, 'alice', { times });
  await chat.open('bob');
  // A late push of a message that the client does not hold; with the network gone, nothing tells what it means.
  service.script = ({ action }) => (action === 'getMessages' ? 'ignore' : undefined);
  service.push(old[2]);
  service.of('alice', 'bob').splice(0);
  service.script = () => undefined;
  assert.equal((await chat.send('bob', 'first')).seq, 1);
  await until(() => chat.conversation('bob').high === 1);
  assert.deepEqual(contents(chat.conversation('bob').messages), ['first']);
});

test('what another tab has sent leaves no gap when the client connects', async () => {
  const service = new Service();
  const indexedDB = new IDBFactory();
  for (const text of ['1', '2']) service.append('bob', 'alice', text);
  const other = connect(service, 'alice', { indexedDB });
  await until(() => other.hasInbox);
  service.refuses = () => true;
  const chat = connect(service, 'alice', { indexedDB, times });
  await until(() => chat.connection.state === 'waiting');
  await other.send('bob', '3');
  await until(() => chat.conversations.length === 1);
  for (const text of ['4', '5']) service.append('bob', 'alice', text);
  service.refuses = () => false;
  await until(() => chat.conversation('bob').high === 5);
});

test('who wrote for the first time while the client was away gives message events, too', async () => {
  const service = new Service();
  service.append('bob', 'alice', 'known');
  const chat = connect(service, 'alice', { times });
  await until(() => chat.hasInbox);
  assert.deepEqual(chat.seen, [], 'history is not news');
  await away(service, chat, () => {
    for (const text of ['Hello', 'Is this the bot?']) service.append('carol', 'alice', text);
  });
  await until(() => chat.seen.length === 2);
  assert.deepEqual(contents(chat.seen), ['Hello', 'Is this the bot?']);
  assert.equal(chat.conversation('carol').unread, 2);
});

test('the open conversation catches up before the inbox is read, and a walk goes on after a lost connection', async () => {
  const service = new Service();
  for (let peer = 1; peer <= 350; peer += 1) {
    service.append(`peer ${peer}`, 'alice', 'Hi').createdAt -= (350 - peer) * 7_200_000;
  }
  service.pageSize = 100;
  const chat = connect(service, 'alice', { times });
  await chat.open('peer 7');
  await until(() => chat.hasInbox);
  assert.equal(pagesOfWalk(service), 4);

  await interruptWalk(service);
  service.append('peer 9', 'alice', 'new');
  service.append('peer 7', 'alice', 'new, too');
  await until(() => chat.hasInbox);
  await until(() => chat.seen.length === 2);
  const actions = service.frames.map(({ action }) => action);
  assert.ok(actions.indexOf('getMessages') < 2, 'the open conversation does not wait for the inbox');
  assert.equal(pagesOfWalk(service), 6, 'four, of which one was lost; then the front, and the rest');
});
