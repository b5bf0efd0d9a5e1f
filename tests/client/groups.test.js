// Groups: what a user does in one, with and without a connection.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDBFactory } from 'fake-indexeddb';
import { contents, until } from './fixture.js';
import { alice, asked, impatient, start } from './group-client.js';
import { asReceived, Service } from './service.js';

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

test('each tab is told when a new group is queued again or discarded', async () => {
  const service = new Service();
  const indexedDB = new IDBFactory();
  const tabs = [1, 2].map(() => alice(service, { indexedDB }));
  for (const chat of tabs) await until(() => chat.hasInbox);
  service.script = ({ action }) =>
    action === 'createGroup' ? { type: 'error', code: 'forbidden', message: 'no groups here' } : undefined;
  for (const name of ['Team', 'Other']) await assert.rejects(tabs[0].createGroup({ name }), { code: 'forbidden' });
  for (const chat of tabs) await until(() => chat.newGroups.filter(({ failed }) => failed).length === 2);
  service.refuses = () => true;
  for (const socket of service.sockets) socket.drop(1006);
  for (const chat of tabs) await until(() => chat.connection.state !== 'online');

  const [team, other] = tabs[0].newGroups.map(({ clientMessageId }) => clientMessageId);
  await tabs[0].retry(team);
  await tabs[0].discard(other);
  for (const chat of tabs) {
    const last = (id) => chat.statuses.findLast(({ clientMessageId }) => clientMessageId === id);
    await until(() => last(team).state === 'queued' && last(other).state === 'discarded');
    assert.deepEqual(last(other), {
      clientMessageId: other,
      groupId: undefined,
      kind: 'create',
      target: undefined,
      state: 'discarded',
    });
    assert.deepEqual(
      chat.newGroups.map(({ group, failed }) => [group.name, failed]),
      [['Team', undefined]],
    );
  }
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
