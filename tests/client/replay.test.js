// Random conversations with changes, between two users and in groups: whatever is lost, late or read too early, a client
// that is back holds what a fresh one loads, and both hold what a fold of the log gives. SEEDS=4,5 runs other seeds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, random, until } from './fixture.js';
import { groupAt } from './groups.js';
import { asReceived, Service } from './service.js';

const OPERATIONS = 150;
const USERS = ['alice', 'bob'];
/** Users who join and leave a group. One has the name of a property that every object has. */
const OTHERS = ['carol', 'dave', '__proto__', '李雷'];
const peerOf = (user, peer) => (user === peer ? 'alice' : peer);
const times = { first: 100, longest: 200, answer: 3000, check: 1500, open: 5000 };
/** Timers run faster by this, so that a run has many gaps, repeats and reconnects. */
const HASTE = 100;

/** Keeps what the service stores, in order: the entry and the frame that led to it. */
function record(service) {
  const log = [];
  const { append, appendChange, appendGroup } = service;
  service.append = (...args) => {
    const entry = append.apply(service, args);
    log.push({ entry, frame: { action: 'sendMessage', content: args[2] } });
    return entry;
  };
  service.appendChange = (...args) => {
    const entry = appendChange.apply(service, args);
    log.push({ entry, frame: args[2] });
    return entry;
  };
  service.appendGroup = (...args) => {
    const entry = appendGroup.apply(service, args);
    log.push({ entry, frame: { action: 'changeGroup' } });
    return entry;
  };
  return log;
}

/** What the log of a group leads to, for alice. Written apart from the service and the client. */
function foldGroup(log) {
  let group = { roles: {} };
  let since;
  const entries = log.map(({ entry }) => entry).filter(({ kind }) => kind === 'group');
  for (const { seq, senderId, created, added = [], removed = [], roles = {}, ...rest } of entries) {
    const { name, posting, adding, history } = { ...group, ...JSON.parse(JSON.stringify(rest)) };
    const pairs = [...Object.entries(group.roles), ...added.map((user) => [user, 'member']), ...Object.entries(roles)];
    const left = Object.entries(Object.fromEntries([...(created ? [[senderId, 'owner']] : []), ...pairs]));
    group = {
      name,
      posting,
      adding,
      history,
      roles: Object.fromEntries(left.filter(([user]) => !removed.includes(user))),
    };
    if (added.includes('alice')) since = seq;
  }
  return { ...group, floor: group.history === 'joined' ? since : 1 };
}

/** What a client shows of a group, as {@link foldGroup} gives it. */
const foldedGroup = ({ members, name, posting, adding, history }) => ({
  name,
  posting,
  adding,
  history,
  roles: Object.fromEntries(members.map(({ userId, role }) => [userId, role])),
});

/** The messages that a log leads to. Written apart from the service, so that one can correct the other. */
function fold(log) {
  const messages = new Map();
  for (const { entry, frame } of log) {
    const { seq, senderId, createdAt } = entry;
    const m = messages.get(frame.seq);
    if (frame.action === 'changeGroup') continue;
    if (frame.action === 'sendMessage') {
      const { content } = frame;
      messages.set(seq, { seq, senderId, content, version: 0, editedAt: undefined, reactions: [], isDeleted: false });
      continue;
    }
    m.version = seq;
    if (frame.action === 'editMessage') Object.assign(m, { content: frame.content, editedAt: createdAt });
    if (frame.action === 'deleteMessage')
      Object.assign(m, { content: '', editedAt: undefined, reactions: [], isDeleted: true });
    if (frame.action === 'react') {
      const isOwn = ([reaction, user]) => reaction === frame.reaction && user === senderId;
      const isThere = m.reactions.some(isOwn);
      if (frame.on && !isThere) m.reactions.push([frame.reaction, senderId]);
      if (!frame.on) m.reactions = m.reactions.filter((one) => !isOwn(one));
    }
  }
  return [...messages.values()].map((m) => ({ ...m, reactions: m.reactions.map((one) => one.join()).sort() }));
}

/** A message of a client, as {@link fold} gives it. */
const folded = ({ seq, senderId, content, version = 0, editedAt, deleted, reactions = {} }) => ({
  seq,
  senderId,
  content,
  version,
  editedAt,
  reactions: Object.entries(reactions)
    .flatMap(([reaction, users]) => users.map((user) => `${reaction},${user}`))
    .sort(),
  isDeleted: deleted !== undefined,
});

/** The messages of a client, loaded to the first one. */
async function whole(chat, peer) {
  for (let isWhole = false; !isWhole; ) {
    try {
      for await (const page of chat.history(peer)) void page;
      isWhole = true;
    } catch (error) {
      // The limit for a reply is short, and the machine may be busy.
      assert.equal(error.code, 'timeout');
    }
  }
  return chat.conversation(peer).messages.map(folded);
}

/** Checks at each event that no message goes back to an earlier version. */
function watch(chat, peer) {
  const shown = new Map();
  const check = ({ seq, version = 0 }, isAllowed) => {
    assert.ok(isAllowed(version, shown.get(seq) ?? 0), `message ${seq} goes from ${shown.get(seq)} to ${version}`);
    shown.set(seq, version);
  };
  chat.addEventListener('message', ({ detail }) => check(detail, (now, before) => now >= before));
  const changed = new Map();
  chat.addEventListener('change', ({ detail: { seq, version } }) => {
    assert.ok(version > (changed.get(seq) ?? 0), `event change ${version} of message ${seq} after ${changed.get(seq)}`);
    changed.set(seq, version);
  });
  chat.addEventListener('conversation', ({ detail }) => {
    if (detail.key !== chat.conversation(peer).key) return;
    for (const m of detail.messages) check(m, (now, before) => now >= before);
    const seqs = detail.messages.map(({ seq }) => seq);
    assert.deepEqual(
      seqs,
      [...new Set(seqs)].sort((a, b) => a - b),
    );
  });
  let last = 0;
  chat.addEventListener('group', ({ detail: { seq } }) => {
    assert.ok(seq > last, `event group ${seq} after ${last}`);
    last = seq;
  });
}

/**
 * A random operation of a user, on a message that exists; undefined if there is none that fits. Half of them are about a
 * message near `place`.
 */
function operation(service, user, peer, chance, place = Infinity) {
  const all = service.of('alice', peer).filter(({ kind, deleted }) => !kind && !deleted);
  const near = all.filter(({ seq }) => Math.abs(seq - place) < 8);
  const messages = near.length && chance() < 0.5 ? near : all;
  const pick = (list) => list[Math.floor(chance() * list.length)];
  const own = pick(messages.filter(({ senderId }) => senderId === user));
  const kind = chance();
  if (kind < 0.35 || !messages.length) return { action: 'sendMessage', content: `text ${chance()}` };
  if (kind < 0.6)
    return { action: 'react', seq: pick(messages).seq, reaction: pick(['👍', '😀', '🎉']), on: chance() < 0.7 };
  if (kind < 0.85) return own && { action: 'editMessage', seq: own.seq, content: `edit ${chance()}` };
  return own && { action: 'deleteMessage', seq: own.seq };
}

/** A random change of a group by bob, its owner. */
function groupChange(service, group, chance) {
  const { members } = groupAt(service.of('alice', group));
  const pick = (list) => list[Math.floor(chance() * list.length)];
  const inside = ['alice', ...OTHERS].filter((user) => members.has(user));
  const outside = ['alice', ...OTHERS].filter((user) => !members.has(user));
  const kind = chance();
  if (kind < 0.35 && outside.length)
    return { added: [pick(outside)], name: chance() < 0.3 ? `name ${chance()}` : undefined };
  if (kind < 0.6 && inside.length) return { removed: [pick(inside)] };
  if (kind < 0.8 && inside.length)
    return { roles: Object.fromEntries([[pick(inside), pick(['owner', 'admin', 'member'])]]) };
  return { posting: pick(['all', 'all', 'admins']), adding: pick(['all', 'admins']) };
}

/** By a device of the user that is not a client of the test. */
function perform(service, user, peer, { action, content, ...fields }) {
  const isMember = !peer.groupId || groupAt(service.of(user, peer)).members.has(user);
  if (!isMember) return undefined;
  if (action === 'sendMessage') return service.say(user, peerOf(user, peer), content);
  return service.change(user, peerOf(user, peer), { action, content, ...fields });
}

/** By a client. What the service refuses because another device was faster is no failure. */
function call(chat, peer, { action, seq, content, reaction, on }) {
  const work = {
    sendMessage: () => chat.send(peer, content),
    editMessage: () => chat.edit(peer, seq, content),
    deleteMessage: () => chat.delete(peer, seq),
    react: () => chat.react(peer, seq, reaction, on),
  }[action]();
  return work.catch((error) =>
    assert.ok(['forbidden', 'closed'].includes(error.code), `${error.code}: ${error.message}`),
  );
}

const SEEDS = process.env.SEEDS?.split(',').map(Number) ?? [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

for (const [kind, fields] of [
  ['a user', undefined],
  ['a group', { history: 'all' }],
  ['a group without earlier messages', { history: 'joined' }],
])
  for (const seed of SEEDS)
    test(`a client that is back equals a fresh one and a fold of the log (${kind}, seed ${seed})`, (t) =>
      replay(t, seed, fields));

/**
 * @param {import('node:test').TestContext} t
 * @param {number} seed
 * @param {object} [fields] of the group, if it is one
 */
async function replay(t, seed, fields) {
  const { setTimeout } = globalThis;
  t.mock.method(globalThis, 'setTimeout', (work, time, ...args) => setTimeout(work, time / HASTE, ...args));
  const chance = random(seed);
  const below = (limit) => Math.floor(chance() * limit);
  const service = new Service();
  const log = record(service);
  const peer = fields ? service.create('bob', { ...fields, members: ['alice', 'carol'] }) : 'bob';
  const [loss, failure] = [[0, 0.1, 0.3][below(3)], [0, 0.05][below(2)]];
  const opening = below(OPERATIONS);
  let faulty = true;
  let away = false;
  service.refuses = () => away;
  service.loses = () => faulty && chance() < loss;
  // A page may arrive long after it was read.
  service.lag = ({ type }) => (faulty ? below(type === 'messages' || type === 'group' ? 300 : 60) : 0);
  service.script = (_, socket) => {
    if (!faulty || chance() >= failure) return undefined;
    if (chance() < 0.3) setImmediate(() => socket.drop(1006));
    return chance() < 0.5 ? 'ignore' : 'mute';
  };
  for (let number = below(100); number >= 0; number -= 1) {
    const user = USERS[below(2)];
    const next = operation(service, user, peer, chance);
    if (next) perform(service, user, peer, next);
  }
  const pageSize = 1 + below(7);
  const chat = connect(service, 'alice', { times, pageSize });
  watch(chat, peer);
  // Its pages forward are as short as those backward.
  service.entriesPerPage = 1 + below(7);
  service.membersPerPage = 1 + below(3);

  const calls = [];
  let isLoading = false;
  for (let number = 0; number < OPERATIONS; number += 1) {
    const user = USERS[below(2)];
    const next = operation(service, user, peer, chance, chat.conversation(peer).low);
    if (fields && chance() < 0.15) service.alter('bob', peer, groupChange(service, peer, chance));
    else if (next && user === 'alice' && chance() < 0.3) calls.push(call(chat, peer, next));
    else if (next) perform(service, user, peer, next);
    for (let turns = below(100); turns > 0; turns -= 1) await new Promise(setImmediate);
    if (number === opening) chat.open(peer).catch(() => {});
    if (fields && chance() < 0.05) chat.loadGroup(peer).catch(() => {});
    // One at a time, as a page does it.
    const isLoaded = chat.connection.state === 'online' && chat.conversation(peer).loaded;
    if (chance() < 0.4 && isLoaded && !isLoading) {
      isLoading = true;
      const load = chat.older(peer).catch(() => {});
      load.then(() => {
        isLoading = false;
      });
    }
    if (chance() < 0.1) chat.markRead(peer);
    if (chance() < 0.02) for (const socket of service.sockets) socket.drop(1006);
    if (chance() < (away ? 0.2 : 0.02)) {
      away = !away;
      if (away) for (const socket of service.sockets) socket.drop(1006);
    }
  }

  if (fields && !groupAt(service.of('bob', peer)).members.has('alice'))
    service.alter('bob', peer, { added: ['alice'] });
  faulty = false;
  away = false;
  // What was pushed last may be lost, so the client comes back once more.
  for (const socket of service.sockets) socket.drop(1006);
  chat.connect();
  await Promise.all(calls);
  await chat.open(peer);
  await until(() => chat.hasInbox && chat.conversation(peer).high === log.length);
  const fresh = connect(service, 'alice', { times });
  const { floor, ...group } = fields ? foldGroup(log) : { floor: 1 };
  const isSeen = ({ seq }) => seq >= floor;
  const expected = fold(log).filter(isSeen);
  assert.deepEqual((await whole(chat, peer)).filter(isSeen), expected);
  assert.deepEqual(await whole(fresh, peer), expected);
  assert.ok(log.length > OPERATIONS / 2, `${log.length} entries`);

  // A read position that was lost is sent again on the last connection.
  await until(() => fresh.hasInbox && chat.conversation(peer).unread === fresh.conversation(peer).unread);
  const { pending, changes, groupChanges } = chat.conversation(peer);
  for (const { failed } of [...pending, ...changes, ...groupChanges]) assert.equal(failed?.code, 'forbidden');
  const ids = log.map(({ frame, entry }) => entry.clientMessageId ?? frame.clientMessageId).filter(Boolean);
  assert.equal(new Set(ids).size, ids.length, 'each call is stored once');
  if (!fields) {
    assert.deepEqual(pending, []);
    const deleted = expected.filter(({ isDeleted }) => isDeleted).length;
    return assert.ok(deleted > 0, `${deleted} deletions`);
  }
  const notices = log.map(({ entry }) => asReceived(entry)).filter((entry) => entry.kind === 'group' && isSeen(entry));
  await fresh.loadGroup(peer);
  for (const client of [chat, fresh]) {
    // After a gap that can't be filled, the client asks.
    await until(() => client.conversation(peer).group.count !== undefined);
    const { group: shown, notices: seen } = client.conversation(peer);
    assert.deepEqual(asReceived(seen.filter(isSeen)), notices);
    assert.deepEqual([shown.left, shown.count], [false, Object.keys(group.roles).length]);
    // Without a `loadGroup` that succeeded, the rest may not be known.
    if (shown.members) assert.deepEqual([foldedGroup(shown), shown.you], [group, group.roles.alice]);
  }
}
