// A scripted service in memory. It follows the protocol, and a test can change the fate of single frames. A client takes
// its `WebSocket` in place of the browser's.

import { randomUUID } from 'node:crypto';
import { changeOf, checkExtras } from './changes.js';
import {
  admit,
  audienceOf,
  checkPosting,
  creationOf,
  groupAt,
  groupChangeOf,
  isSmall,
  presentIn,
  viewOf,
} from './groups.js';

/** The actions that change a message. */
const CHANGES = ['editMessage', 'deleteMessage', 'react'];

/**
 * @param {string} a
 * @param {any} b the other user, or a group: `{ groupId }`
 */
export const conversationId = (a, b) => {
  if (b.groupId) return `group:${b.groupId}`;
  const [one, other] = [a, b].sort();
  return `dm:${Buffer.byteLength(one)}:${one}:${other}`;
};

/** @param {any} entry */
export const position = ({ conversationId: id, seq }) => `position ${seq} of ${id}`;

/** @param {any} entry */
export const asReceived = (entry) => JSON.parse(JSON.stringify(entry));

const error = (code, message) => ({ type: 'error', code, message });

/** The user or the group that a frame names. */
const peerOf = ({ groupId, recipientId, targetId }) => (groupId ? { groupId } : (recipientId ?? targetId));

export class Service {
  /**
   * The entries of each conversation, by its id. Messages are as they are now: a change replaces its target by another
   * object.
   *
   * @type {Map<string, any[]>}
   */
  messages = new Map();
  /**
   * Read positions by `${userId} ${conversationId}`.
   *
   * @type {Map<string, number>}
   */
  read = new Map();
  /** When the last connection of a user ended. */
  lastSeen = new Map();
  /** @type {Set<any>} */
  sockets = new Set();
  /**
   * Every received frame.
   *
   * @type {any[]}
   */
  frames = [];
  /** Number of sockets that clients have opened. */
  attempts = 0;
  /**
   * Whether an upgrade is refused.
   *
   * @type {(url: URL, protocols: string[]) => boolean}
   */
  refuses = () => false;
  /**
   * Decides what happens to a frame. undefined: it is handled and answered; 'ignore': it is lost; 'mute': it is handled,
   * and the reply is lost; an object: it is not handled, and the object is the reply.
   *
   * @type {(frame: any, socket: any) => undefined | 'ignore' | 'mute' | object}
   */
  script = () => undefined;
  /**
   * Whether a push is lost.
   *
   * @type {(message: any, socket: any) => boolean}
   */
  loses = () => false;
  /**
   * By how many turns of the event loop a frame to a client is late, so that frames overtake each other.
   *
   * @type {(frame: any, socket: any) => number}
   */
  lag = () => 0;
  /** For how many milliseconds a message may be edited. */
  editWindow = Infinity;

  /** Conversations on a page. */
  pageSize = Infinity;
  /** Entries on a page of history at most: the service cuts pages by their bytes. */
  entriesPerPage = Infinity;
  /** Members on a page of `getGroup`. */
  membersPerPage = Infinity;
  /** The largest number of connections of a user. */
  limit = Infinity;

  /** Unique, so that clients of different services do not share an outbox. */
  url = `ws://chat${++Service.#count}.test/prod`;
  static #count = 0;

  constructor() {
    const service = this;
    this.WebSocket = class Socket {
      readyState = 0;
      /** @param {string} url @param {string[]} protocols */
      constructor(url, protocols) {
        const asked = new URL(url);
        this.protocols = protocols;
        this.client = asked.searchParams.get('client');
        const token = protocols[1] ?? asked.searchParams.get('token');
        service.attempts += 1;
        this.user = token ? JSON.parse(atob(token.split('.')[1])).sub : asked.searchParams.get('userId');
        this.token = token;
        setImmediate(() => {
          if (this.readyState !== 0) return;
          if (service.refuses(asked, protocols)) return this.drop(1006);
          this.readyState = 1;
          service.displace(this);
          service.sockets.add(this);
          this.onopen?.();
        });
      }
      send(text) {
        if (this.readyState === 1) setImmediate(() => service.take(this, JSON.parse(text)));
      }
      close() {
        this.drop(1000);
      }
      /** Closes the socket, from either side. */
      drop(code) {
        if (this.readyState === 3) return;
        this.readyState = 3;
        service.sockets.delete(this);
        setImmediate(() => this.onclose?.({ code }));
      }
      tell(frame) {
        if (this.readyState !== 1) return;
        const data = JSON.stringify(frame);
        const deliver = (turns) =>
          setImmediate(() => {
            if (turns > 0) deliver(turns - 1);
            else if (this.readyState === 1) this.onmessage?.({ data });
          });
        deliver(service.lag(frame, this));
      }
    };
  }

  /** Closes connections above the limit: the one of the same client, or the oldest. */
  displace(socket) {
    const mine = [...this.sockets].filter((other) => other.user === socket.user);
    if (mine.length < this.limit) return;
    (mine.find((other) => other.client === socket.client) ?? mine[0]).drop(1000);
  }

  of(a, b) {
    const id = conversationId(a, b);
    if (!this.messages.has(id)) this.messages.set(id, []);
    return this.messages.get(id);
  }

  /** The messages without the changes, as they are now and as a client gets them. */
  messagesOf(a, b) {
    return this.of(a, b)
      .filter((entry) => !entry.kind)
      .map(asReceived);
  }

  contents(a, b) {
    return this.messagesOf(a, b).map((m) => m.content);
  }

  /** Stores and pushes a message of a user without a client. */
  say(sender, recipient, content) {
    const message = this.append(sender, recipient, content, undefined);
    this.push(message, undefined);
    return message;
  }

  /** Stores and pushes a change of a user without a client. Returns the entry that announces it. */
  edit(sender, recipient, seq, content) {
    return this.change(sender, recipient, { action: 'editMessage', seq, content });
  }

  delete(sender, recipient, seq) {
    return this.change(sender, recipient, { action: 'deleteMessage', seq });
  }

  react(sender, recipient, seq, reaction, on = true) {
    return this.change(sender, recipient, { action: 'react', seq, reaction, on });
  }

  change(sender, recipient, frame) {
    const entry = this.appendChange(sender, recipient, frame);
    this.push(entry, undefined);
    return entry;
  }

  /** Creates a group for a user without a client. Returns what names it. */
  create(sender, { groupId = randomUUID(), clientMessageId, ...fields } = {}) {
    const group = { groupId };
    const entry = this.appendGroup(sender, group, {
      ...creationOf({ name: 'Team', ...fields }, sender),
      clientMessageId,
    });
    this.push(entry, undefined);
    return group;
  }

  /** Changes a group by a backend, which may do everything. Returns the entry. */
  alter(sender, group, fields) {
    const entry = this.appendGroup(sender, group, { kind: 'group', ...fields });
    this.push(entry, undefined);
    return entry;
  }

  appendGroup(sender, group, fields) {
    return this.#store(sender, group, fields);
  }

  append(sender, recipient, content, clientMessageId, { replyTo, mentions } = {}) {
    return this.#store(sender, recipient, { content, clientMessageId, replyTo, mentions });
  }

  /** Stores a change, and replaces its target. */
  appendChange(sender, recipient, frame) {
    const row = this.of(sender, recipient);
    const { seq: target, clientMessageId } = frame;
    const createdAt = Date.now();
    const announced = { seq: row.length + 1, senderId: sender, createdAt };
    const mayDelete = recipient.groupId !== undefined && admit(row, sender).mayLead;
    const changed = changeOf(row[target - 1], frame, announced, this.editWindow, mayDelete);
    const entry = this.#store(sender, recipient, { kind: 'change', target, clientMessageId, createdAt });
    row[target - 1] = changed;
    return entry;
  }

  #store(sender, recipient, fields) {
    const row = this.of(sender, recipient);
    const seq = row.length + 1;
    const id = conversationId(sender, recipient);
    const entry = {
      messageId: `m${Math.random()}`,
      conversationId: id,
      seq,
      senderId: sender,
      ...(recipient.groupId ? recipient : { recipientId: recipient }),
      createdAt: Date.now(),
      ...fields,
    };
    row.push(entry);
    this.read.set(`${sender} ${id}`, seq);
    return entry;
  }

  /** The target of a change as it is now; undefined for a message. */
  changedBy({ kind, conversationId: id, target }) {
    return kind && this.messages.get(id)?.[target - 1];
  }

  /** What is pushed to a user for an entry, as the service is now. */
  pushOf(entry, user) {
    const isHidden =
      entry.groupId && user && viewOf(this.messages.get(entry.conversationId), user).floor > entry.target;
    const changed = isHidden ? undefined : this.changedBy(entry);
    return { type: 'message', value: entry, changed, position: position(entry) };
  }

  push(entry, but) {
    const log = this.messages.get(entry.conversationId);
    const audience = entry.groupId ? audienceOf(log, entry) : [entry.senderId, entry.recipientId];
    for (const socket of this.sockets)
      if (socket !== but && audience.includes(socket.user) && !this.loses(entry, socket))
        socket.tell(this.pushOf(entry, socket.user));
  }

  take(socket, frame) {
    this.frames.push({ user: socket.user, ...frame });
    const fate = this.script(frame, socket);
    if (fate === 'ignore' || socket.readyState !== 1) return;
    const answer = typeof fate === 'object' ? fate : this.answer(socket, frame);
    if (answer && fate !== 'mute') socket.tell({ ref: frame.ref, ...answer });
  }

  /** Stores what a client sends, unless it is stored already. */
  #append(socket, frame) {
    const me = socket.user;
    const peer = peerOf(frame);
    const { clientMessageId } = frame;
    const stored = this.of(me, peer);
    if (frame.groupId) admit(stored, me);
    if (frame.lastSeq > stored.length) return error('bad_request', 'lastSeq: there is no such message');
    const proved = stored.find((entry) => frame.position !== undefined && frame.position === position(entry));
    const lastSeq = proved?.seq ?? frame.lastSeq;
    const after = lastSeq === undefined ? stored.slice(-25) : stored.slice(lastSeq);
    if (after.length > 1000) return error('out_of_date', 'sync first');
    const first = after.find((entry) => entry.senderId === me && entry.clientMessageId === clientMessageId);
    const entry = first ?? this.#appendNew(me, peer, frame);
    this.push(entry, socket);
    return this.#sent(entry, first);
  }

  #appendNew(me, peer, frame) {
    const { action, clientMessageId } = frame;
    const stored = this.of(me, peer);
    if (CHANGES.includes(action)) return this.appendChange(me, peer, frame);
    if (action === 'changeGroup')
      return this.appendGroup(me, peer, { ...groupChangeOf(stored, frame, me), clientMessageId });
    checkExtras(frame, stored.length);
    if (frame.groupId) checkPosting(stored, frame, me);
    return this.append(me, peer, frame.content, clientMessageId, frame);
  }

  #sent(entry, first) {
    const { messageId, conversationId: id, groupId, seq, createdAt, clientMessageId } = entry;
    const value = {
      messageId,
      conversationId: id,
      groupId,
      seq,
      createdAt,
      clientMessageId,
      duplicate: Boolean(first),
    };
    return { type: 'sent', value: { ...value, position: position(entry), changed: this.changedBy(entry) } };
  }

  /** A repeat with the same `clientMessageId` makes no second group. */
  #create(socket, frame) {
    const { clientMessageId } = frame;
    const isSame = (entry) =>
      entry.created && entry.senderId === socket.user && entry.clientMessageId === clientMessageId;
    const first = [...this.messages.values()].map(([entry]) => entry).find((entry) => entry && isSame(entry));
    if (first) return this.#sent(first, first);
    const fields = { ...creationOf(frame, socket.user), clientMessageId };
    const entry = this.appendGroup(socket.user, { groupId: randomUUID() }, fields);
    this.push(entry, socket);
    return this.#sent(entry);
  }

  #groupPage(me, { groupId, readPositions, startKey = 0 }) {
    const log = this.of(me, { groupId });
    const { group, member } = admit(log, me);
    const { members, seq, ...settings } = group;
    const id = conversationId(me, { groupId });
    const sorted = [...members].sort(([a], [b]) => (a < b ? -1 : 1));
    const end = startKey + this.membersPerPage;
    const value = {
      conversationId: id,
      groupId,
      ...settings,
      createdAt: log[0].createdAt,
      seq,
      count: members.size,
      you: { role: member.role, seen: viewOf(log, me).floor },
      members: sorted.slice(startKey, end).map(([userId, { role, at }]) => {
        const readSeq = readPositions && (this.read.get(`${userId} ${id}`) ?? 0);
        return { userId, role, at, readSeq };
      }),
      lastEvaluatedKey: end < sorted.length ? end : undefined,
    };
    return { type: 'group', value };
  }

  /** A row of the inbox. */
  #row(me, id, stored) {
    const view = id.startsWith('group:') ? viewOf(stored, me) : { floor: 1, since: 0, end: stored.length };
    const seen = stored.slice(view.floor - 1, view.end);
    const last = seen.findLast((entry) => !entry.kind);
    const readSeq = this.read.get(`${me} ${id}`) ?? 0;
    const from = Math.max(readSeq, view.since);
    const unread = seen.filter((m) => !m.kind && m.seq > from && m.senderId !== me).length;
    const row = { conversationId: id, lastMessage: last, seq: view.end, readSeq, unread };
    if (id.startsWith('group:')) {
      const { name, members } = groupAt(stored, view.end);
      const listedAt = seen.findLast(({ kind }) => kind !== 'change').createdAt;
      const { groupId } = stored[0];
      return { ...row, groupId, name, members: members.size, listedAt, left: view.left || undefined };
    }
    const peerId = last.senderId === me ? last.recipientId : last.senderId;
    return { ...row, peerId, peerReadSeq: this.read.get(`${peerId} ${id}`) ?? 0 };
  }

  /** Pushes that a user without a client is typing. */
  type(user, peer) {
    const { groupId } = peer;
    const frame = { type: 'typing', value: { conversationId: conversationId(user, peer), groupId, userId: user } };
    const others = groupId
      ? [...groupAt(this.of(user, peer)).members.keys()].filter((other) => other !== user)
      : [peer];
    for (const socket of this.sockets) if (others.includes(socket.user)) socket.tell(frame);
  }

  answer(socket, frame) {
    try {
      return this.#answer(socket, frame);
    } catch (refusal) {
      if (!refusal.code) throw refusal;
      return error(refusal.code, refusal.message);
    }
  }

  /** undefined for what gets no reply. */
  #answer(socket, frame) {
    const me = socket.user;
    const peer = peerOf(frame);
    const row = peer ? this.of(me, peer) : [];
    switch (frame.action) {
      case 'ping':
        return { type: 'pong' };
      case 'sendMessage':
      case 'editMessage':
      case 'deleteMessage':
      case 'react':
      case 'changeGroup':
        return this.#append(socket, frame);
      case 'createGroup':
        return this.#create(socket, frame);
      case 'getGroup':
        return this.#groupPage(me, frame);
      case 'getMessages': {
        const limit = Math.min(frame.limit ?? 50, 100, this.entriesPerPage);
        const { after, startKey, groupId } = frame;
        const view = groupId ? viewOf(row, me) : { floor: 1, end: row.length };
        if (!view) admit(row, me);
        const seen = row.slice(view.floor - 1, view.end);
        const before = startKey?.seq ?? Infinity;
        const all =
          after === undefined
            ? seen.filter(({ seq }) => seq < before).reverse()
            : seen.filter(({ seq }) => seq > after);
        const messages = all.slice(0, limit);
        const more = all.length > limit;
        const value = { conversationId: conversationId(me, peer), groupId, messages };
        if (view.floor > 1) value.floor = view.floor;
        if (after !== undefined) {
          const targets = new Set(messages.map((entry) => entry.target));
          const changed = seen.filter((m) => targets.has(m.seq) && !messages.includes(m));
          if (changed.length) value.changed = changed;
        }
        const last = row.at(-1);
        if (last && messages.includes(last) && !view.left) value.position = position(last);
        return { type: 'messages', value: more ? { ...value, lastEvaluatedKey: { seq: messages.at(-1).seq } } : value };
      }
      case 'getConversations': {
        const mine = [...this.messages].filter(([id, stored]) =>
          id.startsWith('group:') ? viewOf(stored, me) : stored.some((m) => [m.senderId, m.recipientId].includes(me)),
        );
        const rows = mine.map(([id, stored]) => this.#row(me, id, stored));
        const timeOf = ({ listedAt, lastMessage }) => listedAt ?? lastMessage.createdAt;
        rows.sort((one, other) => timeOf(other) - timeOf(one));
        const start = frame.startKey ?? 0;
        const end = start + this.pageSize;
        const lastEvaluatedKey = end < rows.length ? end : undefined;
        return { type: 'conversations', value: { lastEvaluatedKey, conversations: rows.slice(start, end) } };
      }
      case 'markRead': {
        const { groupId } = frame;
        const id = conversationId(me, peer);
        const members = groupId ? [...admit(row, me).group.members.keys()] : [me, peer];
        const before = this.read.get(`${me} ${id}`) ?? 0;
        // A position only moves forward: a repeated frame may come late.
        const value = { conversationId: id, groupId, userId: me, seq: Math.max(before, frame.seq) };
        if (value.seq === before) return { type: 'read', value };
        this.read.set(`${me} ${id}`, value.seq);
        const readers = groupId && !isSmall(row) ? [me] : members;
        for (const other of this.sockets)
          if (other !== socket && readers.includes(other.user)) other.tell({ type: 'read', value });
        return { type: 'read', value };
      }
    }
    if (frame.action === 'typing') {
      if (!row.length) return error('forbidden', 'there is no conversation');
      if (frame.groupId) admit(row, me);
      if (frame.groupId && !isSmall(row)) return error('forbidden', 'the group is too large');
      return this.type(me, peer);
    }
    if (frame.action === 'getPresence') {
      if (frame.userIds?.length > 20) return error('bad_request', 'userIds: too many');
      const contacts = frame.groupId
        ? presentIn(row, me)
        : frame.userIds.filter((user) => this.messages.get(conversationId(me, user))?.length);
      const users = contacts.sort().map((userId) => {
        const online = [...this.sockets].some((other) => other.user === userId);
        return { userId, online, lastSeenAt: online ? undefined : this.lastSeen.get(userId) };
      });
      return { type: 'presence', value: { users } };
    }
    return error('unknown_action', 'unknown action');
  }
}
