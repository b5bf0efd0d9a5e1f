// Groups: the user is removed and added, and no entry of others is shown or lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contents, online, until } from './fixture.js';
import { alice, asked, away, impatient, roles, silently, start } from './group-client.js';
import { asReceived, Service } from './service.js';

/** A group with twenty messages of bob, and a client of alice that holds the newest five. */
async function startWithOlder() {
  const service = new Service();
  const group = service.create('bob', { members: ['alice'], history: 'joined' });
  for (let count = 1; count <= 20; count += 1) service.say('bob', group, `old ${count}`);
  const chat = alice(service, { pageSize: 5 });
  await chat.open(group);
  await until(() => chat.hasInbox);
  const view = () => chat.conversation(group);
  return { service, group, chat, view };
}

test('an entry that is pushed before the first contact, and older than the membership, leaves no gap', async () => {
  const service = new Service();
  const group = service.create('bob', { members: ['alice'] });
  service.script = ({ action }) => (/^get/.test(action) ? 'ignore' : undefined);
  const chat = alice(service, impatient);
  await online(chat);
  service.say('bob', group, 'one');
  service.alter('bob', group, { removed: ['alice'] });
  service.alter('bob', group, { added: ['alice'] });
  service.say('bob', group, 'two');
  await until(() => asked(service, 'getMessages').length > 0);
  service.script = () => undefined;
  await until(() => chat.seen.length === 2 && chat.conversation(group).group.count);
  const requests = service.frames.length;
  await chat.presence(group);
  await chat.presence(group);
  assert.ok(service.frames.length <= requests + 4, 'it does not ask again and again');
  assert.deepEqual([chat.conversation(group).low, chat.conversation(group).high], [2, 5]);
});

test('the entry that removes this user is the last one, and what is queued then fails', async () => {
  const { service, group, chat, view } = await start();
  service.say('carol', group, 'Hi');
  await until(() => chat.seen.length === 1);
  await chat.loadGroup(group);
  let hold = true;
  service.script = ({ action }) => (hold && action === 'sendMessage' ? 'ignore' : undefined);
  const sends = ['one', 'two'].map((text) => chat.send(group, text));
  await until(() => asked(service, 'sendMessage').length === 1);
  service.alter('bob', group, { removed: ['alice'] });
  service.say('bob', group, 'She is gone');
  await until(() => view().group.left);
  hold = false;
  for (const socket of service.sockets) socket.drop(1006);
  for (const result of await Promise.allSettled(sends)) assert.equal(result.reason.code, 'forbidden');
  await until(() => chat.hasInbox);
  const { high, group: known, pending, unread } = view();
  assert.deepEqual([high, known.left, known.you, known.count], [3, true, undefined, 2]);
  assert.deepEqual(roles(view()), ['bob owner', 'carol member']);
  assert.deepEqual([contents(pending), unread], [['one', 'two'], 1]);
  assert.deepEqual(contents(chat.seen), ['Hi']);
  assert.deepEqual(contents(service.of('bob', group).filter(({ kind }) => !kind)), ['Hi', 'She is gone']);

  // A member again, it sends them.
  service.alter('bob', group, { added: ['alice'] });
  await until(() => !view().group.left);
  for (const { clientMessageId } of pending) await chat.retry(clientMessageId);
  await until(() => view().pending.length === 0);
  assert.deepEqual(contents(view().messages), ['Hi', 'She is gone', 'one', 'two']);
});

test('a removal whose push is lost is found by the refusal of a message', async () => {
  const { service, group, chat, view } = await start();
  silently(service, () => service.alter('bob', group, { removed: ['alice'] }));
  await assert.rejects(chat.send(group, 'Hi'), { code: 'forbidden' });
  assert.deepEqual([view().group.left, view().high], [true, 2]);
});

test('an addition whose push is lost is found by the refusal of the same addition', async () => {
  const { service, group, chat, view } = await start({ adding: 'all' });
  silently(service, () => service.alter('bob', group, { added: ['dan'] }));
  await assert.rejects(chat.changeGroup(group, { add: ['dan'] }), { code: 'bad_request' });
  assert.deepEqual([view().high, view().notices.at(-1).added], [2, ['dan']]);
});

test('a message and a leave that were stored before a lost reply do not fail after the removal', async () => {
  for (const action of ['sendMessage', 'changeGroup']) {
    const { service, group, chat, view } = await start({}, impatient);
    service.loses = () => true;
    service.script = (frame, socket) => {
      if (frame.action !== action || asked(service, action).length > 1) return undefined;
      socket.tell({ type: 'something else' });
      // A message is stored, and then its sender is removed.
      if (action === 'sendMessage') setImmediate(() => service.alter('bob', group, { removed: ['alice'] }));
      return 'mute';
    };
    const { seq } = await (action === 'sendMessage' ? chat.send(group, 'Hi') : chat.leave(group));
    assert.equal(seq, 2);
    assert.ok(!chat.statuses.some(({ state }) => state === 'failed'));
    await until(() => view().group.left);
    assert.deepEqual([view().pending, view().groupChanges, asked(service, action).length], [[], [], 2]);
  }
});

for (const history of ['all', 'joined'])
  for (const isAway of [false, true])
    test(`a user who is added again has ${history === 'all' ? 'all entries' : 'those since then'}, ${isAway ? 'away' : 'online'} meanwhile`, async () => {
      // In a group whose history begins anew, older pages are left behind.
      const { service, group, chat, view } = await start({ history }, history === 'all' ? {} : { pageSize: 1 });
      service.say('carol', group, 'before');
      await until(() => chat.seen.length === 1);
      await chat.loadGroup(group);
      const leave = () => service.alter('bob', group, { removed: ['alice'] });
      const come = () => {
        service.alter('bob', group, { name: 'Crew', removed: ['carol'] });
        service.say('bob', group, 'meanwhile');
        service.alter('bob', group, { added: ['alice', 'dave'], posting: 'admins' });
        service.say('bob', group, 'after');
      };
      if (isAway)
        await away(service, chat, () => {
          leave();
          come();
        });
      else {
        leave();
        await until(() => view().group.left);
        come();
      }
      await until(() => view().lastMessage?.content === 'after' && view().group.members);
      const all = history === 'all';
      assert.deepEqual(contents(view().messages), all ? ['before', 'meanwhile', 'after'] : ['after']);
      assert.deepEqual(contents(chat.seen), all ? ['before', 'meanwhile', 'after'] : ['before', 'after']);
      assert.deepEqual([view().low, view().high, view().hasOlder], [all ? 1 : 6, 7, false]);
      assert.deepEqual([view().unread, chat.unread], [1, 1], 'what came before the user is not unread');
      assert.deepEqual(roles(view()), ['alice member', 'bob owner', 'dave member']);
      const { name, posting, left, you, count } = view().group;
      assert.deepEqual([name, posting, left, you, count], ['Crew', 'admins', false, 'member', 3]);
      assert.deepEqual(await chat.older(group), []);
      const fresh = alice(service);
      await fresh.open(group);
      await until(() => fresh.hasInbox);
      assert.deepEqual(asReceived(fresh.conversation(group).messages), asReceived(view().messages));
      assert.deepEqual(asReceived(fresh.conversation(group).notices), asReceived(view().notices));
      assert.equal(fresh.conversation(group).unread, 1);
    });

test('what was older, asked for or held ahead before a new membership is left behind', async () => {
  const { service, group, chat, view } = await startWithOlder();
  assert.equal(view().hasOlder, true);
  let stale;
  service.script = (frame, socket) => {
    if (frame.action !== 'getMessages' || stale) return undefined;
    const text = JSON.stringify({ ref: frame.ref, ...service.answer(socket, frame) });
    stale = () => socket.tell(JSON.parse(text));
    return 'ignore';
  };
  const older = chat.older(group);
  await until(() => stale);
  silently(service, () => service.say('bob', group, 'lost'));
  service.say('bob', group, 'ahead');
  silently(service, () => service.alter('bob', group, { removed: ['alice'] }));
  service.alter('bob', group, { added: ['alice'] });
  await until(() => view().low === 25);
  stale();
  assert.deepEqual(await older, []);
  assert.equal(
    asked(service, 'getMessages').filter(({ startKey }) => startKey).length,
    1,
    'nothing older is asked for',
  );
  assert.deepEqual([view().low, view().high, view().messages, view().hasOlder], [25, 25, [], false]);
  const requests = service.frames.length;
  await until(() => view().group.count);
  for (let count = 0; count < 3; count += 1) await chat.presence(group);
  assert.ok(service.frames.length <= requests + 5, 'it does not ask again and again');
});

test('a new membership whose push is lost is found by a page of older messages', async () => {
  const { service, group, chat, view } = await startWithOlder();
  silently(service, () => {
    for (const fields of [{ removed: ['alice'] }, { added: ['alice'] }]) service.alter('bob', group, fields);
    service.say('bob', group, 'new');
  });
  assert.deepEqual(await chat.older(group), []);
  await until(() => chat.seen.length === 1);
  const { low, messages, hasOlder } = view();
  assert.deepEqual([low, contents(messages), hasOlder], [23, ['new'], false]);
});

test('a user who was removed knows it after a reload, and may read up to there', async () => {
  const service = new Service();
  const group = service.create('bob', { members: ['alice'] });
  service.say('bob', group, 'Hi');
  service.alter('bob', group, { removed: ['alice'], name: 'Without her' });
  service.alter('bob', group, { name: 'Later' });
  const chat = alice(service);
  await until(() => chat.hasInbox);
  const { group: known, unread } = chat.conversation(group);
  assert.deepEqual([known.left, known.name, known.count, unread], [true, 'Without her', 1, 1]);
  await chat.open(group);
  assert.deepEqual([contents(chat.conversation(group).messages), chat.conversation(group).high], [['Hi'], 3]);
  assert.equal(chat.conversation(group).notices.length, 2);
  await assert.rejects(chat.loadGroup(group), { code: 'forbidden' });
});

for (const lost of ['none', 'first', 'all'])
  for (const history of ['all', 'joined'])
    test(`a group that this user is added to is known, and what follows is new: ${history}, pushes lost: ${lost}`, async () => {
      const service = new Service();
      const group = service.create('bob', { members: ['carol'], history });
      for (let count = 1; count <= 30; count += 1) service.say('bob', group, `old ${count}`);
      const chat = alice(service);
      await until(() => chat.hasInbox);
      const add = () => {
        service.alter('bob', group, { added: ['alice'] });
        service.say('bob', group, '1');
      };
      const follow = () => service.say('carol', group, '2');
      if (lost === 'none') {
        add();
        follow();
      } else if (lost === 'first') {
        silently(service, add);
        follow();
      } else {
        await away(service, chat, () => {
          add();
          follow();
        });
      }
      await until(() => chat.seen.length === 2 && chat.conversation(group).group.count);
      assert.deepEqual(contents(chat.seen), ['1', '2']);
      const { group: known, unread } = chat.conversation(group);
      assert.deepEqual([known.name, known.count, unread, chat.unread], ['Team', 3, 2, 2]);
      await chat.open(group);
      assert.deepEqual([chat.conversation(group).messages.length, chat.unread], [history === 'all' ? 32 : 2, 2]);
      assert.deepEqual(contents(chat.seen), ['1', '2'], 'history is no news');
    });

test('below the floor there is no older page and no gap', async () => {
  const service = new Service();
  const group = service.create('bob', { members: ['carol'], history: 'joined' });
  for (let count = 1; count <= 5; count += 1) service.say('bob', group, `old ${count}`);
  service.alter('bob', group, { added: ['alice'] });
  for (let count = 1; count <= 70; count += 1) service.say('bob', group, `${count}`);
  service.react('carol', group, 2, '👍');
  const chat = alice(service);
  await chat.open(group);
  const pages = [];
  for await (const page of chat.history(group)) pages.push(page.length);
  const { low, high, messages, hasOlder, notices } = chat.conversation(group);
  assert.deepEqual([low, high, messages.length, hasOlder, notices.length], [7, 78, 70, false, 1]);
  assert.deepEqual(pages, [49, 21]);
});
