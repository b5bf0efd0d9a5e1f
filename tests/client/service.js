// A scripted service in memory. It follows the protocol, and a test can change the fate of single frames. A client takes
// its `WebSocket` in place of the browser's.

import { changeOf, checkExtras } from './changes.js';

/** The actions that change a message. */
const CHANGES = ['editMessage', 'deleteMessage', 'react'];

/** @param {string} a @param {string} b */
export const conversationId = (a, b) => {
  const [one, other] = [a, b].sort();
  return `dm:${Buffer.byteLength(one)}:${one}:${other}`;
};

/** @param {any} entry */
export const position = ({ conversationId: id, seq }) => `position ${seq} of ${id}`;

/** @param {any} entry */
export const asReceived = (entry) => JSON.parse(JSON.stringify(entry));

const error = (code, message) => ({ type: 'error', code, message });

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

  append(sender, recipient, content, clientMessageId, { replyTo, mentions } = {}) {
    return this.#store(sender, recipient, { content, clientMessageId, replyTo, mentions });
  }

  /** Stores a change, and replaces its target. */
  appendChange(sender, recipient, frame) {
    const row = this.of(sender, recipient);
    const { seq: target, clientMessageId } = frame;
    const createdAt = Date.now();
    const announced = { seq: row.length + 1, senderId: sender, createdAt };
    const changed = changeOf(row[target - 1], frame, announced, this.editWindow);
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
      recipientId: recipient,
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

  /** What is pushed for an entry, as the service is now. */
  pushOf(entry) {
    return { type: 'message', value: entry, changed: this.changedBy(entry), position: position(entry) };
  }

  push(entry, but) {
    for (const socket of this.sockets)
      if (socket !== but && [entry.senderId, entry.recipientId].includes(socket.user) && !this.loses(entry, socket))
        socket.tell(this.pushOf(entry));
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
    const peer = frame.recipientId ?? frame.targetId;
    const { clientMessageId } = frame;
    const stored = this.of(me, peer);
    if (frame.lastSeq > stored.length) return error('bad_request', 'lastSeq: there is no such message');
    const proved = stored.find((entry) => frame.position !== undefined && frame.position === position(entry));
    const lastSeq = proved?.seq ?? frame.lastSeq;
    const after = lastSeq === undefined ? stored.slice(-25) : stored.slice(lastSeq);
    if (after.length > 1000) return error('out_of_date', 'sync first');
    const first = after.find((entry) => entry.senderId === me && entry.clientMessageId === clientMessageId);
    let entry = first;
    try {
      if (!entry && frame.action === 'sendMessage') checkExtras(frame, stored.length);
      entry ??= CHANGES.includes(frame.action)
        ? this.appendChange(me, peer, frame)
        : this.append(me, peer, frame.content, clientMessageId, frame);
    } catch (refusal) {
      return error(refusal.code, refusal.message);
    }
    this.push(entry, socket);
    const { messageId, conversationId: id, seq, createdAt } = entry;
    const value = { messageId, conversationId: id, seq, createdAt, clientMessageId, duplicate: Boolean(first) };
    return { type: 'sent', value: { ...value, position: position(entry), changed: this.changedBy(entry) } };
  }

  /** Pushes that a user without a client is typing. */
  type(user, peer) {
    const frame = { type: 'typing', value: { conversationId: conversationId(user, peer), userId: user } };
    for (const socket of this.sockets) if (socket.user === peer) socket.tell(frame);
  }

  /** undefined for what gets no reply. */
  answer(socket, frame) {
    const me = socket.user;
    const row = frame.targetId ? this.of(me, frame.targetId) : [];
    switch (frame.action) {
      case 'ping':
        return { type: 'pong' };
      case 'sendMessage':
      case 'editMessage':
      case 'deleteMessage':
      case 'react':
        return this.#append(socket, frame);
      case 'getMessages': {
        const limit = Math.min(frame.limit ?? 50, 100, this.entriesPerPage);
        const { after, startKey } = frame;
        const all = after === undefined ? row.slice(0, (startKey?.seq ?? Infinity) - 1).reverse() : row.slice(after);
        const messages = all.slice(0, limit);
        const more = all.length > limit;
        const value = { conversationId: conversationId(me, frame.targetId), messages };
        if (after !== undefined) {
          const targets = new Set(messages.map((entry) => entry.target));
          const changed = row.filter((m) => targets.has(m.seq) && !messages.includes(m));
          if (changed.length) value.changed = changed;
        }
        const last = row.at(-1);
        if (last && messages.includes(last)) value.position = position(last);
        return { type: 'messages', value: more ? { ...value, lastEvaluatedKey: { seq: messages.at(-1).seq } } : value };
      }
      case 'getConversations': {
        const mine = [...this.messages].filter(([, stored]) =>
          stored.some((m) => [m.senderId, m.recipientId].includes(me)),
        );
        const newest = (stored) => stored.findLast((entry) => !entry.kind);
        mine.sort(([, one], [, other]) => newest(other).createdAt - newest(one).createdAt);
        const start = frame.startKey ?? 0;
        const rest = mine.slice(start, start + this.pageSize);
        return {
          type: 'conversations',
          value: {
            lastEvaluatedKey: start + this.pageSize < mine.length ? start + this.pageSize : undefined,
            conversations: rest.map(([id, stored]) => {
              const last = newest(stored);
              const peerId = last.senderId === me ? last.recipientId : last.senderId;
              const [readSeq, peerReadSeq] = [me, peerId].map((user) => this.read.get(`${user} ${id}`) ?? 0);
              return {
                conversationId: id,
                peerId,
                lastMessage: last,
                seq: stored.length,
                readSeq,
                peerReadSeq,
                unread: stored.filter((m) => !m.kind && m.seq > readSeq && m.senderId !== me).length,
              };
            }),
          },
        };
      }
      case 'markRead': {
        const id = conversationId(me, frame.targetId);
        const before = this.read.get(`${me} ${id}`) ?? 0;
        // A position only moves forward: a repeated frame may come late.
        const value = { conversationId: id, userId: me, seq: Math.max(before, frame.seq) };
        if (value.seq === before) return { type: 'read', value };
        this.read.set(`${me} ${id}`, value.seq);
        for (const other of this.sockets)
          if (other !== socket && [me, frame.targetId].includes(other.user)) other.tell({ type: 'read', value });
        return { type: 'read', value };
      }
    }
    if (frame.action === 'typing') {
      if (!row.length) return error('forbidden', 'there is no conversation');
      return this.type(me, frame.targetId);
    }
    if (frame.action === 'getPresence') {
      if (frame.userIds.length > 20) return error('bad_request', 'userIds: too many');
      const contacts = frame.userIds.filter((user) => this.messages.get(conversationId(me, user))?.length);
      const users = contacts.sort().map((userId) => {
        const online = [...this.sockets].some((other) => other.user === userId);
        return { userId, online, lastSeenAt: online ? undefined : this.lastSeen.get(userId) };
      });
      return { type: 'presence', value: { users } };
    }
    return error('unknown_action', 'unknown action');
  }
}
