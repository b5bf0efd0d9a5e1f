// Runs clients of web/chat-client.js for `chaos`. Arguments: the paths of chat-client.js and of fake-indexeddb. Reads
// operations from stdin and writes events to stdout, as lines of JSON. Each device is one page; the pages of one browser
// share the storage that survives a reload.

import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [clientPath, indexedDbPath] = process.argv.slice(2);
const { ChatClient } = await import(pathToFileURL(clientPath).href);
const { IDBFactory } = await import(pathToFileURL(indexedDbPath).href);

/** Stored outboxes by origin. @type {Map<string, IDBFactory>} */
const stores = new Map();
/** Storages that don't fail, while a page closes or after the faults. @type {Set<IDBFactory>} */
const repaired = new Set();
/** Calls of `open` that are answered when the storage is repaired. @type {Map<IDBFactory, (() => void)[]>} */
const unanswered = new Map();
/** Open pages by device. */
const pages = new Map();
/** The last operation of each device; its next one waits for it. @type {Map<string, Promise<unknown>>} */
const queues = new Map();

/** Clocks of devices are wrong, and are set back and forth. */
const realNow = Date.now;
let clockError = 0;
Date.now = () => realNow() + clockError;
setInterval(() => {
  clockError = Math.round((Math.random() - 0.5) * 4 * 3_600_000);
}, 700).unref();

/**
 * The storage as one page sees it. Some calls fail, from the time when the page has read what an earlier one has queued: a
 * page that can't read that sends its own messages first.
 *
 * @param {IDBFactory} storage
 * @param {number} failures rate per thousand
 * @param {Promise<unknown>} ready
 */
function unreliable(storage, failures, ready) {
  let isReady = false;
  ready.then(() => {
    isReady = true;
  });
  const fails = () => isReady && !repaired.has(storage) && Math.random() * 1000 < failures;
  const lost = () => new DOMException('Connection to Indexed Database server lost', 'UnknownError');
  return {
    open(...args) {
      if (fails()) throw lost();
      if (fails()) return openLater(storage, args);
      const opening = storage.open(...args);
      opening.addEventListener('success', () => {
        const database = opening.result;
        const transaction = database.transaction.bind(database);
        database.transaction = (...parts) => {
          if (fails()) {
            database.close();
            database.onclose?.();
          }
          if (fails()) throw lost();
          const begun = transaction(...parts);
          if (fails()) begun.abort();
          return begun;
        };
      });
      return opening;
    },
  };
}

/** Opens a database when the storage is repaired. Otherwise, a page that waits for it would never be durable. */
function openLater(storage, args) {
  const late = {};
  const open = () => {
    const opening = storage.open(...args);
    for (const type of ['upgradeneeded', 'success', 'error'])
      opening.addEventListener(type, (event) => {
        Object.assign(late, { result: opening.result, error: opening.error });
        late[`on${type}`]?.(event);
      });
  };
  unanswered.set(storage, [...(unanswered.get(storage) ?? []), open]);
  return late;
}

/** From now on, the storage does not fail. */
function repair(storage) {
  repaired.add(storage);
  for (const open of unanswered.get(storage) ?? []) open();
  unanswered.delete(storage);
}

const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
/** What the name of a group begins with where `chaos` names the other user of a direct conversation. */
const GROUP = 'group:';

/** The conversation of a name that `chaos` uses. */
const peerOf = (name) => (name.startsWith(GROUP) ? { groupId: name.slice(GROUP.length) } : name);

/** The name that `chaos` uses for the conversation of a value of the module. */
const nameOf = ({ groupId, peer }) => (groupId === undefined ? peer : GROUP + groupId);

/** Waits for this action until it is in the outbox. */
const keyOf = ({ kind, target, content, reaction, on, group }) =>
  JSON.stringify([kind, target, content, reaction, on, group && Object.entries(group).sort()]);

/** What the frame of an action looks like in the outbox. */
const queuedAs = ({ action, seq, content, reaction, on, groupId: _, ...group }) =>
  ({
    sendMessage: { content },
    editMessage: { kind: 'edit', target: seq, content },
    deleteMessage: { kind: 'delete', target: seq },
    react: { kind: 'react', target: seq, reaction, on },
    changeGroup: { kind: 'group', group },
  })[action];

/** The actions of what is in the outbox. */
const actions = { edit: 'editMessage', delete: 'deleteMessage', react: 'react', group: 'changeGroup' };

/** The frame of what is in the outbox. */
const frameOf = ({ kind, peer, groupId, target, content, replyTo, mentions, reaction, on, group }) => ({
  ...{ action: actions[kind] ?? 'sendMessage', recipientId: peer, targetId: peer, groupId, seq: target },
  ...{ content, replyTo, mentions, reaction, on, ...group },
});

/** Calls the method of the module for the frame of an action. */
const calls = {
  sendMessage: (chat, peer, { content, replyTo, mentions }) => chat.send(peer, content, { replyTo, mentions }),
  editMessage: (chat, peer, { seq, content }) => chat.edit(peer, seq, content),
  deleteMessage: (chat, peer, { seq }) => chat.delete(peer, seq),
  react: (chat, peer, { seq, reaction, on }) => chat.react(peer, seq, reaction, on),
  changeGroup: (chat, peer, { action: _, groupId: __, ...change }) =>
    isLeave(chat, change) ? chat.leave(peer) : chat.changeGroup(peer, change),
};

/** Whether this user alone is removed, and nothing else changes. */
const isLeave = (chat, { remove: [user, ...others] = [], ...rest }) =>
  user === chat.userId && others.length + Object.keys(rest).length === 0;

/** Ignores that the client was closed, and that the user is not a member of the group. */
const ignoreClosed = ({ code, message }) => {
  if (!['closed', 'forbidden'].includes(code)) throw new Error(`${code} ${message}`);
};

/** Reads a conversation back to its beginning. On a slow machine, a page may fail without a fault. */
async function readHistory(chat, peer) {
  try {
    for await (const page of chat.history(peer)) void page;
  } catch (error) {
    // The user was never a member of the group.
    if (error.code === 'forbidden' && peer.groupId) return;
    if (!['timeout', 'unavailable', 'internal'].includes(error.code)) throw error;
    await readHistory(chat, peer);
  }
}

const operations = {
  open(call) {
    const { device, life, user, peers, origin, address, pageSize, reads, storageFailures, times } = call;
    const { opensConversations, loadsGroups } = call;
    if (!stores.has(origin)) stores.set(origin, new IDBFactory());
    if (storageFailures === 0) repair(stores.get(origin));
    // Tabs of one browser share an origin, but each connects to its own relay.
    class Socket extends WebSocket {
      constructor(url, protocols) {
        super(url.replace(origin, address), protocols);
      }
    }
    let resolveReady;
    const ready = new Promise((resolve) => {
      resolveReady = resolve;
    });
    const chat = new ChatClient({
      url: origin,
      userId: user,
      WebSocket: Socket,
      indexedDB: unreliable(stores.get(origin), storageFailures, ready),
      pageSize,
      times,
    });
    chat.ready.then(resolveReady);
    const page = { chat, origin, waiting: new Map(), names: peers };
    pages.set(device, page);
    const report = (event, fields) => emit({ device, life, event, ...fields });
    chat.addEventListener('message', ({ detail }) => {
      report('entry', { entry: detail });
      const { groupId, senderId, recipientId, seq } = detail;
      if (reads) chat.markRead({ groupId, peer: senderId === user ? recipientId : senderId }, seq);
    });
    chat.addEventListener('group', ({ detail }) => report('entry', { entry: detail }));
    chat.addEventListener('change', ({ detail }) => report('change', { message: detail }));
    chat.addEventListener('conversation', ({ detail }) =>
      report('high', { peer: nameOf(detail), high: detail.high ?? 0 }),
    );
    chat.addEventListener('status', ({ detail }) => {
      const { state, clientMessageId, seq, code, reason } = detail;
      const peer = nameOf(detail);
      const { pending, changes, groupChanges } = chat.conversation(peerOf(peer));
      const all = [...pending, ...changes, ...groupChanges];
      const queued = all.find((one) => one.clientMessageId === clientMessageId);
      if (queued) page.waiting.get(keyOf(queued))?.();
      const entry = { clientMessageId, seq };
      const message = detail.kind ? undefined : queued?.sent;
      if (state === 'sent') report('sent', { peer, entry: message ?? entry, message });
      if (state === 'failed') {
        report('refused', { peer, entry, code, reason, frame: queued && frameOf(queued) });
        chat.discard(clientMessageId);
      }
    });
    for (const name of opensConversations ? peers : []) chat.open(peerOf(name)).catch(ignoreClosed);
    const groups = peers.map(peerOf).filter(({ groupId }) => groupId);
    for (const group of loadsGroups ? groups : []) chat.loadGroup(group).catch(ignoreClosed);
  },

  /** Creates a group, and then gives roles. The page is loaded again while it creates the group. */
  async create({ device, user, url, group, roles, times, reloadAfter }) {
    const indexedDB = new IDBFactory();
    let id;
    const isCreated = (limit) =>
      new Promise((done) => {
        const chat = new ChatClient({ url, userId: user, indexedDB, times });
        const end = () => {
          chat.close();
          done();
        };
        chat.addEventListener('status', ({ detail: { kind, state, groupId, reason } }) => {
          if (kind !== 'create') return;
          if (state === 'queued' && limit !== undefined) setTimeout(end, limit);
          if (state === 'failed') emit({ device, event: 'violation', text: `the group was refused: ${reason}` });
          if (state !== 'sent') return;
          id = groupId;
          end();
        });
        if (limit !== undefined) chat.createGroup(group).catch(ignoreClosed);
      });
    await isCreated(reloadAfter);
    if (!id) await isCreated();
    const chat = new ChatClient({ url, userId: user, indexedDB, times });
    const { clientMessageId } = await chat.changeGroup({ groupId: id }, { roles });
    chat.close();
    emit({ device, event: 'created', groupId: id, clientMessageId });
  },

  /** Returns when the action is in the outbox. */
  async send({ device, peer, frame }) {
    const { chat, waiting } = pages.get(device);
    const key = keyOf(queuedAs(frame));
    const queued = new Promise((done) => waiting.set(key, done));
    const refusals = ['closed', 'forbidden', 'discarded', ...(frame.groupId ? ['bad_request'] : [])];
    calls[frame.action](chat, peerOf(peer), frame).catch(({ code, message }) => {
      if (!refusals.includes(code))
        emit({ device, event: 'violation', text: `the module refused: ${code} ${message}` });
    });
    await queued;
    waiting.delete(key);
  },

  /** Keeps a page open that has unsent messages which would not survive. */
  async close({ device }) {
    const { chat, origin } = pages.get(device) ?? {};
    const storage = stores.get(origin);
    const wasRepaired = repaired.has(storage);
    repair(storage);
    const mayClose = () =>
      chat.isDurable ||
      chat.conversations.every((c) => c.pending.length + c.changes.length + c.groupChanges.length === 0);
    while (chat && !mayClose()) await new Promise((done) => setTimeout(done, 10));
    if (!wasRepaired) repaired.delete(storage);
    chat?.close();
    pages.delete(device);
  },

  async view({ device }) {
    const { chat, names } = pages.get(device);
    const views = {};
    for (const name of names) {
      await readHistory(chat, peerOf(name));
      views[name] = chat.conversation(peerOf(name));
    }
    emit({ device, event: 'view', views });
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  const previous = queues.get(call.device) ?? Promise.resolve();
  queues.set(
    call.device,
    previous.then(() => operations[call.operation](call)),
  );
}
process.exit();
