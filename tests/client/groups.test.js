// Groups: one log for all members. Entries of kind `group` say who joined and left, and what else has changed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDBFactory } from 'fake-indexeddb';
import { connect, contents, interruptWalk, online, pagesOfWalk, times, until } from './fixture.js';
import { asReceived, Service } from './service.js';

const asked = (service, action) => service.frames.filter((frame) => frame.action === action);
const impatient = { times: { ...times, answer: 50 } };

/** A client of alice with a record of the events `group`. */
function alice(service, options = {}) {
  const chat = connect(service, 'alice', { times, ...options });
  chat.groups = [];
  chat.addEventListener('group', ({ detail }) => chat.groups.push(detail));
  return chat;
}

/** A group that bob has made, with alice and carol, and a client of alice that holds it. */
async function start({ members = ['alice', 'carol'], ...fields } = {}, options = {}) {
  const service = new Service();
  const group = service.create('bob', { members, ...fields });
  const chat = alice(service, options);
  await chat.open(group);
  await until(() => chat.hasInbox);
  const view = () => chat.conversation(group);
  return { service, group, chat, view };
}

/** Cuts the connection, and lets the client back after `work`. */
async function away(service, chat, work) {
  service.refuses = () => true;
  for (const socket of service.sockets) if (socket.user === chat.userId) socket.drop(1006);
  await until(() => chat.connection.state !== 'online');
  await work();
  service.refuses = () => false;
  await online(chat);
  await until(() => chat.hasInbox);
}

/** Stores without a push. */
function silently(service, work) {
  const { loses } = service;
  service.loses = () => true;
  const result = work();
  service.loses = loses;
  return result;
}

const roles = ({ group }) => group.members?.map(({ userId, role }) => `${userId} ${role}`).sort();

test('a group is created, and known from its first entry', async () => {
  const service = new Service();
  const chat = alice(service);
  await until(() => chat.hasInbox);
  const groupId = await chat.createGroup({ name: 'Räder', members: ['bob', 'carol'], posting: 'admins' });
  const { key, peer, high, group, notices, groupChanges, messages } = chat.conversation({ groupId });
  assert.deepEqual([peer, high, messages, groupChanges, chat.newGroups], [undefined, 1, [], [], []]);
  assert.deepEqual(group, {
    name: 'Räder',
    count: 3,
    history: 'all',
    posting: 'admins',
    adding: 'admins',
    left: false,
    you: 'owner',
    members: [
      { userId: 'alice', role: 'owner', readSeq: undefined },
      { userId: 'bob', role: 'member', readSeq: undefined },
      { userId: 'carol', role: 'member', readSeq: undefined },
    ],
  });
  assert.deepEqual(notices, chat.groups);
  assert.deepEqual([notices[0].added, notices[0].created, notices[0].groupId], [['bob', 'carol'], true, groupId]);
  assert.deepEqual(
    chat.statuses.map(({ state, kind, groupId: id, seq }) => [state, kind, id, seq]),
    [
      ['queued', 'create', undefined, undefined],
      ['sent', 'create', groupId, 1],
    ],
  );
  assert.deepEqual(
    chat.conversations.map((c) => [c.key, c.groupId]),
    [[key, groupId]],
  );
  assert.equal(asked(service, 'getGroup').length, 0, 'the entry says all of it');
  assert.equal((await chat.send({ groupId }, 'Hi')).groupId, groupId);
  assert.deepEqual(contents(chat.seen), ['Hi']);
});

test('a group is created offline, survives a reload, and a lost reply makes no second one', async () => {
  const service = new Service();
  const indexedDB = new IDBFactory();
  service.refuses = () => true;
  const before = alice(service, { indexedDB });
  const lost = before.createGroup({ name: 'Team', members: ['bob'] });
  await until(() => before.newGroups.length === 1);
  const [{ kind, group, groupId, clientMessageId }] = before.newGroups;
  assert.deepEqual([kind, group, groupId], ['create', { name: 'Team', members: ['bob'] }, undefined]);
  assert.deepEqual(before.conversations, [], 'it is no conversation yet');
  before.close();
  await assert.rejects(lost, { code: 'closed' });

  service.refuses = () => false;
  service.loses = () => true;
  service.script = ({ action }) => (action === 'createGroup' ? 'mute' : undefined);
  const second = alice(service, { indexedDB });
  await until(() => service.messages.size === 1);
  assert.equal(second.newGroups[0].clientMessageId, clientMessageId);
  second.close();

  service.script = () => undefined;
  const chat = alice(service, { indexedDB });
  await until(() => chat.statuses.some(({ state }) => state === 'sent'));
  assert.equal(service.messages.size, 1);
  const sent = chat.statuses.find(({ state }) => state === 'sent');
  assert.deepEqual([sent.kind, sent.clientMessageId], ['create', clientMessageId]);
  assert.equal(`group:${sent.groupId}`, [...service.messages.keys()][0]);
  await until(() => chat.conversation(sent).group.name === 'Team');
  assert.deepEqual(chat.newGroups, []);
  assert.equal(asked(service, 'createGroup').length, 2);
});

test('a group that is refused fails with a reason, and can be created again or discarded', async () => {
  const service = new Service();
  const chat = alice(service);
  service.script = ({ action }) =>
    action === 'createGroup' ? { type: 'error', code: 'forbidden', message: 'no groups here' } : undefined;
  await assert.rejects(chat.createGroup({ name: 'Team' }), { code: 'forbidden' });
  await assert.rejects(chat.createGroup({ name: 'Other' }), { code: 'forbidden' });
  const [team, other] = chat.newGroups;
  assert.deepEqual([team.group.name, team.failed.message, other.group.name], ['Team', 'no groups here', 'Other']);
  service.script = () => undefined;
  assert.equal(await chat.discard(team.clientMessageId), true);
  assert.equal(await chat.retry(other.clientMessageId), true);
  await until(() => chat.conversations.length === 1);
  assert.deepEqual([chat.newGroups, chat.conversations[0].group.name], [[], 'Other']);
});

test('the inbox names a group, and getGroup says the rest', async () => {
  const service = new Service();
  const group = service.create('bob', { name: '读书会', members: ['alice', '李雷'], history: 'joined' });
  service.say('李雷', group, '你好');
  const chat = alice(service);
  await until(() => chat.hasInbox);
  const { group: known, unread, lastMessage } = chat.conversation(group);
  assert.deepEqual(
    [known, unread, lastMessage.content, chat.unread],
    [{ name: '读书会', left: false, count: 3 }, 1, '你好', 1],
  );
  service.membersPerPage = 1;
  const loaded = await chat.loadGroup(group);
  assert.deepEqual(roles(loaded), ['alice member', 'bob owner', '李雷 member']);
  const { posting, adding, history, you } = loaded.group;
  assert.deepEqual([posting, adding, history, you], ['all', 'admins', 'joined', 'member']);
  assert.equal(asked(service, 'getGroup').length, 3);
});

test('a group of the inbox is asked for when it is opened, and not before', async () => {
  const service = new Service();
  const group = service.create('bob', { members: ['alice'], posting: 'admins' });
  const chat = alice(service);
  await until(() => chat.hasInbox);
  assert.equal(chat.conversation(group).group.count, 2);
  assert.equal(asked(service, 'getGroup').length, 0);
  await chat.open(group);
  await until(() => chat.conversation(group).group.members);
  const { posting, you } = chat.conversation(group).group;
  assert.deepEqual([posting, you], ['admins', 'member']);
});

test('entries keep the members and the settings up to date, whatever is lost, late or doubled', async () => {
  const { service, group, chat, view } = await start();
  await chat.loadGroup(group);
  const changes = [
    { added: ['dave'] },
    { roles: { dave: 'admin', carol: 'admin' } },
    { removed: ['carol'], name: 'Crew' },
    { posting: 'admins', adding: 'all' },
    { added: ['carol'] },
  ];
  const entries = silently(service, () => changes.map((fields) => service.alter('bob', group, fields)));
  for (const index of [3, 1, 1, 0, 4, 3]) service.push(entries[index]);
  await until(() => view().high === 6);
  const { name, posting, adding, count, you, left } = view().group;
  assert.deepEqual([name, posting, adding, count, you, left], ['Crew', 'admins', 'all', 4, 'member', false]);
  assert.deepEqual(roles(view()), ['alice member', 'bob owner', 'carol member', 'dave admin']);
  assert.deepEqual(
    chat.groups.map(({ seq }) => seq),
    [2, 3, 4, 5, 6],
    'each once and in order',
  );
  assert.deepEqual(asReceived(view().notices), asReceived(service.of('bob', group)));
  assert.equal(asked(service, 'getGroup').length, 1);
  service.alter('bob', group, { roles: { alice: 'admin' } });
  await until(() => view().group.you === 'admin');
  assert.deepEqual([chat.unread, view().messages], [0, []], 'entries of a group are no messages');
});

test('an answer that was read before an entry and comes after it changes nothing back', async () => {
  const { service, group, chat, view } = await start();
  service.script = (frame, socket) => {
    if (frame.action !== 'getGroup') return undefined;
    const stale = JSON.stringify({ ref: frame.ref, ...service.answer(socket, frame) });
    service.alter('bob', group, { added: ['dave'], name: 'Crew' });
    service.alter('bob', group, { removed: ['carol'] });
    service.say('bob', group, 'Done');
    until(() => chat.seen.length).then(() => socket.tell(JSON.parse(stale)));
    return 'ignore';
  };
  await chat.loadGroup(group);
  assert.deepEqual(roles(view()), ['alice member', 'bob owner', 'dave member']);
  assert.deepEqual([view().group.name, view().group.count], ['Crew', 3]);
});

test('an answer that was read before a gap that is not filled is asked for again', async () => {
  const { service, group, chat, view } = await start({ history: 'joined' });
  service.script = (frame, socket) => {
    if (frame.action !== 'getGroup') return undefined;
    service.script = () => undefined;
    const stale = JSON.stringify({ ref: frame.ref, ...service.answer(socket, frame) });
    for (const fields of [{ removed: ['alice'] }, { added: ['dave'] }, { added: ['alice'] }])
      service.alter('bob', group, fields);
    until(() => view().low === 4).then(() => socket.tell(JSON.parse(stale)));
    return 'ignore';
  };
  await chat.loadGroup(group);
  assert.deepEqual(roles(view()), ['alice member', 'bob owner', 'carol member', 'dave member']);
});

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

test('pages of members that were read before and after a change are read again', async () => {
  const { service, group, chat, view } = await start({ members: ['alice', 'carol', 'dave'] });
  service.membersPerPage = 2;
  service.loses = () => true;
  let pages = 0;
  service.script = ({ action }) => {
    if (action === 'getGroup' && ++pages === 2)
      service.alter('bob', group, { removed: ['alice2', 'bob2'], added: ['a'] });
    return undefined;
  };
  await chat.loadGroup(group);
  assert.deepEqual(roles(view()), ['a member', 'alice member', 'bob owner', 'carol member', 'dave member']);
});

test('messages of a group are sent, changed and answered like those to a user', async () => {
  const { service, group, chat, view } = await start();
  service.say('carol', group, 'Hi');
  const { seq } = await chat.send(group, 'Hello', { replyTo: 2, mentions: ['carol'] });
  assert.equal((await chat.edit(group, seq, 'Hello, Carol')).content, 'Hello, Carol');
  assert.deepEqual((await chat.react(group, 2, '👍')).reactions, { '👍': ['alice'] });
  await chat.delete(view(), seq); // a snapshot names its conversation
  assert.deepEqual(asReceived(view().messages), service.messagesOf('alice', group));
  const named = service.frames.filter(({ action }) => /Message|react/.test(action) && action !== 'getMessages');
  for (const { recipientId, targetId, groupId } of named)
    assert.deepEqual([recipientId, targetId, groupId], [undefined, undefined, group.groupId]);
  assert.equal(named.length, 4);
  assert.ok(
    named.slice(1).every(({ position }) => position),
    'each names the position of the one before',
  );
  const [status] = chat.statuses;
  assert.deepEqual([status.peer, status.groupId], [undefined, group.groupId]);
  await assert.rejects(chat.send(group, 'Hi', { mentions: ['dave'] }), { code: 'bad_request' });
});

test('a change of a group without a reply is repeated as it was, and stored once', async () => {
  const service = new Service();
  const chat = alice(service, impatient);
  const groupId = await chat.createGroup({ name: 'Team', members: ['bob'] });
  await until(() => asked(service, 'getMessages').length > 0);
  service.loses = () => true;
  service.script = ({ action }, socket) => {
    if (action !== 'changeGroup' || asked(service, 'changeGroup').length > 2) return undefined;
    socket.tell({ type: 'something else' }); // the connection lives; only this reply is lost
    return 'mute';
  };
  const { added, seq } = await chat.changeGroup({ groupId }, { add: ['carol'], name: 'Crew' });
  assert.deepEqual([added, seq], [['carol'], 2]);
  const attempts = asked(service, 'changeGroup').map(({ ref: _, ...frame }) => frame);
  assert.deepEqual(attempts, Array(3).fill(attempts[0]));
  const { notices, group, groupChanges } = chat.conversation({ groupId });
  assert.deepEqual([notices.length, group.name, group.count, groupChanges], [2, 'Crew', 3, []]);
  assert.equal(service.of('alice', { groupId }).length, 2);
});

test('a change of a group that was queued offline is sent after a reload, in order with the messages', async () => {
  const service = new Service();
  const group = service.create('alice', { members: ['bob'] });
  const indexedDB = new IDBFactory();
  service.refuses = () => true;
  const before = alice(service, { indexedDB });
  const queued = [
    before.send(group, 'one'),
    before.changeGroup(group, { roles: { bob: 'admin' }, posting: 'admins' }),
    before.send(group, 'two'),
    before.leave(group),
  ];
  await until(() => before.conversation(group).groupChanges.length === 2);
  const { changes, pending, groupChanges } = before.conversation(group);
  assert.deepEqual([changes, contents(pending)], [[], ['one', 'two']]);
  assert.deepEqual(
    groupChanges.map(({ kind, group: fields, groupId, peer }) => [kind, fields, groupId, peer]),
    [
      ['group', { roles: { bob: 'admin' }, posting: 'admins' }, group.groupId, undefined],
      ['group', { remove: ['alice'] }, group.groupId, undefined],
    ],
  );
  before.close();
  for (const change of queued) await assert.rejects(change, { code: 'closed' });

  service.refuses = () => false;
  const chat = alice(service, { indexedDB });
  await until(() => chat.statuses.some(({ state }) => state === 'failed'));
  assert.deepEqual(
    service.of('alice', group).map(({ kind, content, posting }) => content ?? posting ?? kind),
    ['all', 'one', 'admins', 'two'],
  );
  const [refused] = chat.conversation(group).groupChanges;
  assert.equal(refused.failed.code, 'forbidden', 'the last owner may not leave');
  service.alter('alice', group, { roles: { bob: 'owner' } });
  assert.equal(await chat.retry(refused.clientMessageId), true);
  await until(() => chat.conversation(group).group.left);
  assert.deepEqual(chat.conversation(group).groupChanges, []);
});

test('what is not valid is refused before it is queued', async () => {
  const service = new Service();
  const chat = alice(service);
  const group = { groupId: '0000000a-0000-4000-8000-00000000000b' };
  for (const work of [
    () => chat.createGroup({}),
    () => chat.createGroup({ name: '  ' }),
    () => chat.createGroup({ name: 'a\nb' }),
    () => chat.createGroup({ name: '读'.repeat(86) }),
    () => chat.createGroup({ name: 'Team', members: [''] }),
    () => chat.changeGroup('bob', { name: 'Team' }),
    () => chat.changeGroup(group, { remove: ['\n'] }),
    () => chat.changeGroup(group, { roles: { ' x': 'admin' } }),
    () => chat.changeGroup(group, { name: '' }),
    () => chat.leave('bob'),
    () => chat.loadGroup('bob'),
    () => chat.send({ groupId: group.groupId.toUpperCase() }, 'Hi'),
    () => chat.send({ groupId: 'abc' }, 'Hi'),
    () => chat.send({ groupId: `${group.groupId}\n` }, 'Hi'),
    () => chat.send({ groupId: 7 }, 'Hi'),
    () => chat.send({}, 'Hi'),
    () => chat.send(null, 'Hi'),
    () => chat.send(`\n${group.groupId}`, 'Hi'),
    () => chat.send(group, 'Hi', { mentions: [group] }),
    () => chat.presence({ groupId: 'abc' }),
  ])
    await assert.rejects(work, { code: 'bad_request' }, `${work}`);
  for (const peer of [undefined, null, '', 7, {}, { groupId: null }, group]) chat.typing(peer);
  assert.deepEqual([chat.newGroups, chat.conversations.flatMap((c) => c.pending)], [[], []]);
  await assert.rejects(chat.open(group), { code: 'forbidden' });
  await assert.rejects(chat.loadGroup(group), { code: 'forbidden' });
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
  const service = new Service();
  const group = service.create('bob', { members: ['alice'], history: 'joined' });
  for (let count = 1; count <= 20; count += 1) service.say('bob', group, `old ${count}`);
  const chat = alice(service, { pageSize: 5 });
  await chat.open(group);
  await until(() => chat.hasInbox);
  const view = () => chat.conversation(group);
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
  const service = new Service();
  const group = service.create('bob', { members: ['alice'], history: 'joined' });
  for (let count = 1; count <= 20; count += 1) service.say('bob', group, `old ${count}`);
  const chat = alice(service, { pageSize: 5 });
  await chat.open(group);
  await until(() => chat.hasInbox);
  silently(service, () => {
    for (const fields of [{ removed: ['alice'] }, { added: ['alice'] }]) service.alter('bob', group, fields);
    service.say('bob', group, 'new');
  });
  assert.deepEqual(await chat.older(group), []);
  await until(() => chat.seen.length === 1);
  const { low, messages, hasOlder } = chat.conversation(group);
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

test('unread counts messages after the entry that added the user, and never own ones', async () => {
  const service = new Service();
  const group = service.create('bob', { members: ['carol'] });
  for (let count = 1; count <= 60; count += 1) service.say('bob', group, `old ${count}`);
  service.alter('bob', group, { added: ['alice'] });
  service.say('bob', group, '1');
  service.alter('bob', group, { name: 'Crew' });
  service.say('carol', group, '2');
  const [phone, laptop] = [alice(service), alice(service)];
  for (const chat of [phone, laptop]) await until(() => chat.unread === 2);
  for (const chat of [phone, laptop]) await chat.open(group);
  await phone.older(group);
  assert.equal(phone.unread, 2);
  assert.equal(phone.markRead(group, 63), true);
  for (const chat of [phone, laptop]) await until(() => chat.unread === 1);
  const [{ targetId, groupId, seq }] = asked(service, 'markRead');
  assert.deepEqual([targetId, groupId, seq], [undefined, group.groupId, 63]);
  await laptop.send(group, 'mine');
  for (const chat of [phone, laptop]) await until(() => chat.unread === 0 && chat.conversation(group).high === 66);
  await laptop.send(group, 'mine, too');
  service.say('bob', group, '3');
  for (const chat of [phone, laptop]) await until(() => chat.unread === 1);
});

test('a message is read if another member has read it, and readersOf says who', async () => {
  const { service, group, chat, view } = await start();
  const carol = connect(service, 'carol', { times });
  await until(() => carol.hasInbox);
  const first = await chat.send(group, 'Hi');
  assert.deepEqual([chat.stateOf(first), chat.readersOf(first)], ['sent', []]);
  await until(() => carol.unread === 1);
  carol.markRead(group);
  await until(() => chat.statuses.at(-1).state === 'read');
  assert.deepEqual(chat.statuses.at(-1).groupId, group.groupId);
  assert.deepEqual([chat.stateOf(first), chat.readersOf(first)], ['read', ['carol']]);
  const reply = service.say('bob', group, 'Hello'); // who writes has read
  await until(() => chat.readersOf(first).length === 2);
  assert.deepEqual([chat.readersOf(first).sort(), chat.readersOf(reply)], [['bob', 'carol'], []]);
  assert.equal(chat.readersOf(view().lastMessage).length, 0);
  service.alter('a backend', group, { removed: ['carol'] });
  const second = await chat.send(group, 'And?');
  service.alter('a backend', group, { name: 'Crew' });
  await until(() => view().group.name === 'Crew');
  assert.deepEqual([chat.stateOf(second), chat.readersOf(first)], ['sent', ['bob']], 'of the members');
});

test('loadGroup asks for read positions, and the members show them', async () => {
  const { service, group, chat, view } = await start();
  const message = await chat.send(group, 'Hi');
  service.loses = () => true;
  service.say('carol', group, 'Hello');
  await chat.loadGroup(group, { readPositions: true });
  assert.deepEqual([chat.stateOf(message), chat.readersOf(message)], ['read', ['carol']]);
  assert.deepEqual(
    view().group.members.map(({ userId, readSeq }) => [userId, readSeq]),
    [
      ['alice', undefined],
      ['bob', 1],
      ['carol', 3],
    ],
  );
});

test('a user called like a group is not that group', async () => {
  const service = new Service();
  const group = service.create('bob', { members: ['alice'] });
  const names = [`group:${group.groupId}`, group.groupId, `{"groupId":"${group.groupId}"}`];
  const chat = alice(service);
  await until(() => chat.hasInbox);
  for (const name of names) await chat.send(name, `to ${name}`);
  for (const name of names) service.say(name, 'alice', `from ${name}`);
  await chat.send(group, 'to the group');
  service.say('bob', group, 'from the group');
  for (const name of names) service.type(name, 'alice');
  await until(() => chat.seen.length === 8);
  for (const name of names) {
    const { peer, groupId, messages, group: none, notices } = chat.conversation(name);
    assert.deepEqual([peer, groupId, none, notices], [name, undefined, undefined, []]);
    assert.deepEqual(contents(messages), [`to ${name}`, `from ${name}`]);
  }
  assert.deepEqual(contents(chat.conversation(group).messages), ['to the group', 'from the group']);
  assert.equal(new Set(chat.conversations.map(({ key }) => key)).size, 4);
  assert.equal(chat.unread, 4);
  chat.markRead(names[1]);
  assert.deepEqual([chat.unread, chat.conversation(group).unread], [3, 1]);
  const later = alice(service);
  await until(() => later.hasInbox);
  assert.equal(later.conversations.length, 4);
});

test('a user called __proto__ is a member like others', async () => {
  const service = new Service();
  const indexedDB = new IDBFactory();
  const chat = alice(service, { indexedDB });
  const groupId = await chat.createGroup({ name: '__proto__', members: ['__proto__', '李雷'] });
  const { roles: sent } = await chat.changeGroup({ groupId }, { roles: { ['__proto__']: 'admin' } });
  assert.deepEqual(Object.entries(sent), [['__proto__', 'admin']]);
  assert.deepEqual(roles(chat.conversation({ groupId })), ['__proto__ admin', 'alice owner', '李雷 member']);
  service.say('__proto__', { groupId }, 'Hi');
  service.type('__proto__', { groupId });
  await until(() => chat.seen.length === 1);
  const message = await chat.send({ groupId }, 'Hello', { mentions: ['__proto__'] });
  service.say('__proto__', { groupId }, 'Yes');
  await until(() => chat.readersOf(message).length === 1);
  assert.deepEqual(chat.readersOf(message), ['__proto__']);
  const other = alice(service);
  await other.open({ groupId });
  await other.loadGroup({ groupId }, { readPositions: true });
  assert.deepEqual(roles(other.conversation({ groupId })), ['__proto__ admin', 'alice owner', '李雷 member']);
});

test('typing in a group names the user, and a refusal is about this group only', async () => {
  const { service, group, chat, view } = await start();
  service.append('bob', 'alice', 'Hi');
  await chat.open('bob');
  const events = [];
  chat.addEventListener('typing', ({ detail }) => events.push(detail));
  for (const user of ['bob', 'carol', 'bob']) service.type(user, group);
  await until(() => view().typing.length === 2);
  assert.deepEqual(
    [view().typing, view().isTyping, chat.conversation('bob').isTyping],
    [['bob', 'carol'], true, false],
  );
  service.say('bob', group, 'Hi');
  await until(() => view().typing.length === 1);
  const { groupId } = group;
  assert.deepEqual(events, [
    { groupId, userId: 'bob', isTyping: true },
    { groupId, userId: 'carol', isTyping: true },
    { groupId, userId: 'bob', isTyping: false },
  ]);
  service.alter('bob', group, { removed: ['carol'] });
  service.type('carol', group); // it was overtaken
  await until(() => !view().isTyping);
  await chat.presence({ groupId });
  assert.deepEqual(events.slice(3), [{ groupId, userId: 'carol', isTyping: false }]);
  const many = Array.from({ length: 20 }, (_, n) => `user ${n}`);
  service.alter('bob', group, { added: many });
  await until(() => view().high === 4);
  chat.typing(group);
  await chat.presence({ groupId });
  chat.typing('bob');
  await until(() => asked(service, 'typing').length === 2);
  assert.deepEqual(
    asked(service, 'typing').map((frame) => frame.groupId ?? frame.targetId),
    [groupId, 'bob'],
  );
});

test('presence of a group is that of its members', async () => {
  const { service, group, chat } = await start();
  const carol = connect(service, 'carol');
  await online(carol);
  const present = await chat.presence(group);
  assert.deepEqual(
    present.map(({ userId, online: isOnline }) => [userId, isOnline]),
    [
      ['alice', true],
      ['bob', false],
      ['carol', true],
    ],
  );
  const [{ groupId, userIds }] = asked(service, 'getPresence');
  assert.deepEqual([groupId, userIds], [group.groupId, undefined]);
});

test('the other tab shows a queued change of a group, a new group, and what became of them', async () => {
  const service = new Service();
  const indexedDB = new IDBFactory();
  const group = service.create('alice', { members: ['bob'] });
  const [tab, other] = [1, 2].map(() => alice(service, { ...impatient, indexedDB }));
  for (const chat of [tab, other]) await until(() => chat.hasInbox);
  service.loses = () => true;
  let hold = true;
  let first;
  service.script = ({ action }, socket) => {
    if (!/(create|change)Group/.test(action)) return undefined;
    // Node.js may have no Web Locks. Then both tabs send the change; only the first one gets an answer.
    first ??= socket;
    return hold || socket !== first ? 'ignore' : undefined;
  };
  service.frames = [];
  const renamed = tab.changeGroup(group, { name: 'Crew' });
  const created = tab.createGroup({ name: 'Other' });
  await until(() => other.conversation(group).groupChanges.length === 1 && other.newGroups.length === 1);
  hold = false;
  await renamed;
  const groupId = await created;
  await until(() => other.conversation(group).group.name === 'Crew');
  await until(() => other.conversation({ groupId }).group.name === 'Other');
  assert.deepEqual([other.newGroups, other.conversation(group).groupChanges], [[], []]);
  assert.equal(service.messages.size, 2);
  assert.equal(asked(service, 'getConversations').length, 0, 'the tabs tell each other');
});

test('groups are listed by their newest message or change, and a walk goes on by that time', async () => {
  const service = new Service();
  const quiet = service.create('bob', { name: 'Quiet', members: ['alice'] });
  service.of('bob', quiet)[0].createdAt -= 60_000;
  service.append('carol', 'alice', 'Hi').createdAt -= 30_000;
  const renamed = service.create('bob', { name: 'Renamed', members: ['alice'] });
  const chat = alice(service);
  await until(() => chat.hasInbox);
  const order = () => chat.conversations.map((c) => c.peer ?? c.group.name);
  assert.deepEqual(order(), ['Renamed', 'carol', 'Quiet']);
  service.alter('bob', quiet, { name: 'Not quiet' }).createdAt += 1;
  await until(() => chat.conversation(quiet).group.name === 'Not quiet');
  assert.deepEqual(order(), ['Not quiet', 'Renamed', 'carol']);
  assert.equal(chat.conversation(renamed).lastMessage, undefined);
  assert.equal(asked(service, 'getMessages').length, 0, 'a group without a message needs no page');
});

test('a walk through groups without messages goes on after a lost connection', async () => {
  const service = new Service();
  for (let number = 1; number <= 350; number += 1) {
    const group = service.create('bob', { members: ['alice'] });
    service.of('bob', group)[0].createdAt -= (350 - number) * 7_200_000;
  }
  service.pageSize = 100;
  const chat = alice(service);
  await until(() => chat.hasInbox);
  await interruptWalk(service);
  await until(() => chat.hasInbox);
  assert.equal(pagesOfWalk(service), 6, 'four, of which one was lost; then the front, and the rest');
});

test('a group that the service has restored is known anew', async () => {
  const { service, group, chat, view } = await start();
  await chat.loadGroup(group);
  for (const fields of [{ added: ['dave'] }, { name: 'Crew' }]) service.alter('bob', group, fields);
  await until(() => view().group.name === 'Crew');
  service.of('bob', group).splice(1);
  service.alter('bob', group, { removed: ['carol'] });
  await until(() => view().group.members?.length === 2 && view().high === 2);
  assert.deepEqual([view().group.name, roles(view())], ['Team', ['alice member', 'bob owner']]);
});
