// Snapshots: no object that the client hands out changes in place, so that frameworks which compare objects draw what is
// new.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, until } from './fixture.js';
import { Service } from './service.js';

test('each change of a conversation makes a new object, and none is changed in place', async () => {
  const service = new Service();
  for (let count = 1; count <= 60; count += 1) service.append('bob', 'alice', `${count}`);
  const chat = connect(service, 'alice');
  /** Every object, with what it held when it was handed out. */
  const seen = new Map();
  const keep = (conversation) => {
    if (!seen.has(conversation)) seen.set(conversation, structuredClone(conversation));
  };
  chat.addEventListener('conversation', ({ detail }) => keep(detail));
  const whileIn = async (work) => {
    keep(chat.conversation('bob'));
    await work();
    keep(chat.conversation('bob'));
  };
  await whileIn(() => chat.open('bob'));
  await whileIn(() => chat.older('bob'));
  await whileIn(() => chat.send('bob', 'Hi'));
  await whileIn(() => chat.markRead('bob'));
  await whileIn(() => chat.react('bob', 60, '👍'));
  await whileIn(() => chat.react('bob', 1, '👍'));
  await whileIn(() => chat.edit('bob', 60, 'refused').catch(() => {}));
  await whileIn(() => chat.discard(chat.conversation('bob').changes[0].clientMessageId));
  service.delete('bob', 'alice', 60);
  await until(() => chat.conversation('bob').messages[59].deleted);
  service.script = ({ action }) =>
    action === 'sendMessage' ? { type: 'error', code: 'forbidden', message: 'no' } : undefined;
  await whileIn(() => chat.send('bob', 'refused').catch(() => {}));
  const [{ clientMessageId }] = chat.conversation('bob').pending;
  service.script = () => undefined;
  await whileIn(() => chat.retry(clientMessageId));
  await until(() => chat.conversation('bob').pending.length === 0);
  service.say('bob', 'alice', 'more');
  await until(() => chat.conversation('bob').lastMessage?.content === 'more');

  assert.ok(seen.size > 8, `${seen.size}`);
  for (const [now, then] of seen) assert.deepEqual({ ...now }, { ...then });
  assert.equal(chat.conversation('bob'), chat.conversation('bob'), 'without a change it is the same object');
});

test('a conversation works through a reactive proxy', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  service.say('bob', 'alice', 'Hi');
  await chat.open('bob');
  const proxy = new Proxy(chat.conversation('bob'), {});
  assert.deepEqual(
    [proxy.messages.length, proxy.unread, proxy.hasOlder, proxy.lastMessage.content],
    [1, 0, false, 'Hi'],
  );
});
