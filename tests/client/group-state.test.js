// Groups: what the client knows of one, and keeps up to date by its entries.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDBFactory } from 'fake-indexeddb';
import { connect, contents, interruptWalk, online, pagesOfWalk, times, until } from './fixture.js';
import { alice, asked, roles, silently, start } from './group-client.js';
import { asReceived, Service } from './service.js';

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

for (const { owner, members } of [
  { owner: 'alice', members: ['carol'] },
  { owner: 'carol', members: ['alice'] },
]) {
  test(`a group that a backend creates for ${owner} has the owner and members that the entry names`, async () => {
    const service = new Service();
    const chat = alice(service);
    await until(() => chat.hasInbox);
    const group = service.create('system', { owner, members });
    service.say('carol', group, 'Hi');
    await until(() => chat.seen.length === 1);
    const { group: known } = chat.conversation(group);
    assert.deepEqual(roles({ group: known }), [`${members} member`, `${owner} owner`].sort());
    assert.deepEqual([known.count, known.you], [2, owner === 'alice' ? 'owner' : 'member']);
    assert.equal(chat.unread, 1);
    assert.deepEqual(
      chat.groups.map(({ seq }) => seq),
      [1],
    );
    assert.equal(asked(service, 'getGroup').length, 0);
  });
}

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
