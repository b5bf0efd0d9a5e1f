// SPDX-License-Identifier: MIT
// `ChatClient`: a client of the chat service. It delivers every message once and in order, across lost connections,
// retries, tabs and reloads. It has no dependencies and needs no build step.
//
//   const chat = new ChatClient({ url: 'wss://…/prod', userId: 'alice' });   // or { url, token: async () => jwt }
//   chat.addEventListener('message', (event) => show(event.detail));
//   await chat.send('bob', 'Hello, Bob!');                                   // resolves when the message is stored
//   for await (const page of chat.history('bob')) …                          // newest page first
//
// It runs in browsers, and in Node.js 22 or later. docs/client.md is its reference.

import { Connection } from './client/connection.js';
import { ChatError, isConnectionError } from './client/errors.js';
import { newId } from './client/id.js';
import {
  addressOf,
  checkGroupPeer,
  checkOptions,
  checkPeer,
  checkReaction,
  checkSeq,
  checkUser,
  contentOf,
  groupOf,
  storageOf,
} from './client/options.js';
import { Outbox } from './client/outbox.js';
import { keyOf, NEW_GROUP } from './client/peers.js';
import { Presence } from './client/presence.js';
import { Receiver } from './client/receiver.js';
import { Sender } from './client/sender.js';
import { Session } from './client/session.js';
import { listenForSigns } from './client/signs.js';
import { TIMES } from './client/times.js';
import { checkedToken, claimsOf } from './client/token.js';
import { Typing } from './client/typing.js';

export { ChatError };

/**
 * @typedef {import('./client/entries.js').Message} Message
 * @typedef {import('./client/peers.js').Peer} Peer
 * @typedef {import('./chat-client.js').Options} Options
 * @typedef {import('./chat-client.js').Events} Events
 */

/**
 * `EventTarget`, with the types of {@link Events} in both methods for listeners.
 *
 * @type {new () => Pick<import('./chat-client.js').ChatClient, keyof EventTarget>}
 */
const Target = /** @type {any} */ (EventTarget);

export class ChatClient extends Target {
  /** Tells this client from the user's others. */
  #id = newId();
  #session;
  #connection;
  #receiver;
  #sender;
  #typing;
  #presence;
  #times;
  /** @type {(userId: string) => void} */
  #resolveUserId = () => {};
  #stopListening;

  /** @param {Options} options */
  constructor(options) {
    super();
    const Socket = checkOptions(options);
    this.options = options;
    this.#times = { ...TIMES, ...options.times };
    this.url = addressOf(options.url);
    this.url.protocol = this.url.protocol.replace('http', 'ws');
    /** @type {<K extends keyof Events>(type: K, detail: Events[K]) => void} */
    const emit = (type, detail) => this.dispatchEvent(new CustomEvent(type, { detail }));
    this.#connection = new Connection({
      credentials: () => this.#credentials(),
      WebSocket: Socket,
      fetch: globalThis.fetch?.bind(globalThis),
      address: this.url.origin.replace(/^ws/, 'http') + this.url.pathname,
      times: this.#times,
      onStatus: (status) => emit('connection', status),
      onOpen: () => this.#onOpen(),
      onFrame: (frame) => {
        this.#receiver.onFrame(frame);
        this.#typing.onFrame(frame);
      },
    });
    this.#session = new Session(options.userId, this.#connection, emit);
    this.#receiver = new Receiver(this.#session, {
      pageSize: options.pageSize ?? 50,
      onReceived: (m, changed) => this.#sender.settle(m, changed),
      onShown: (m) => this.#typing.onEntry(m),
    });
    this.#sender = new Sender(this.#session, this.#receiver, this.#openOutbox());
    this.#typing = new Typing(this.#session, options);
    this.#presence = new Presence(this.#session, options);
    this.#stopListening = listenForSigns({
      onSign: () => this.#connection.notice(false),
      onAct: () => {
        this.#connection.notice(true);
        this.#presence.refresh();
      },
      onOffline: () => this.#connection.isOpen && this.connect(),
    });
    // In a microtask, so that the caller can add its listeners first.
    queueMicrotask(() => this.connect());
  }

  /** Resolves when the outbox was read; with a token and no `userId`, that is after the first token. */
  get ready() {
    return this.#sender.ready;
  }

  /** With a token and no option `userId`, undefined until the first token. */
  get userId() {
    return this.#session.userId;
  }

  /** The state of the connection. */
  get connection() {
    return this.#connection.status;
  }

  /** Whether queued messages survive a reload. */
  get isDurable() {
    return this.#sender.isDurable;
  }

  /** True when the inbox was read on this connection, so that all conversations are known; undefined before that. */
  get hasInbox() {
    return this.#receiver.hasInbox;
  }

  /** All known conversations, the one with the newest message or change of a group first. */
  get conversations() {
    /** @param {import('./client/conversation.js').Conversation} c */
    const latest = ({ pending, lastMessage, notices, listedAt }) =>
      Math.max(pending.at(-1)?.queuedAt ?? 0, lastMessage?.createdAt ?? 0, notices.at(-1)?.createdAt ?? 0, listedAt);
    const sorted = [...this.#session.conversations.values()].sort((a, b) => latest(b) - latest(a));
    return sorted.map((c) => c.snapshot);
  }

  /** New groups that are queued or failed. */
  get newGroups() {
    return this.#session.newGroups.groupChanges;
  }

  /** Number of unread messages in all conversations. */
  get unread() {
    return this.#session.totalUnread;
  }

  /** Connects now instead of at `retryAt`. If the connection is open, checks that it is alive. */
  connect() {
    this.#connection.wake();
  }

  /** Ends the connection. Queued messages stay in the outbox, for the next client of this user. */
  close() {
    this.#session.close();
    this.#stopListening();
    this.#connection.close();
    this.#sender.close();
    this.#typing.close();
    this.#presence.close();
  }

  /**
   * Returns the conversation with a user or in a group; it is created if it does not exist.
   *
   * @param {Peer} peer
   */
  conversation(peer) {
    return this.#session.conversation(keyOf(peer)).snapshot;
  }

  /**
   * Loads the newest messages of a conversation. From then on it stays up to date.
   *
   * @param {Peer} peer
   * @returns {Promise<import('./client/conversation.js').Snapshot>}
   */
  async open(peer) {
    return (await this.#follow(peer)).snapshot;
  }

  /** @param {Peer} peer */
  async #follow(peer) {
    checkPeer(peer);
    const c = this.#session.conversation(keyOf(peer));
    c.isOpened = true;
    while (!c.loaded || c.stale) await this.#untilConnected(() => this.#receiver.catchUp(c));
    return c;
  }

  /**
   * Repeats `work` on the next connection, if there is none or it is lost.
   *
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #untilConnected(work) {
    this.#reconnect();
    for (let failures = 0; ; failures += 1) {
      try {
        return await work();
      } catch (error) {
        if (!isConnectionError(error)) throw error;
        await this.#online();
        if (failures) await this.#session.backOff(error, failures);
      }
    }
  }

  /**
   * Loads one page of older messages.
   *
   * @param {Peer} peer
   * @returns {Promise<Message[]>} oldest first; empty if there are none
   */
  async older(peer) {
    const c = await this.#follow(peer);
    return this.#untilConnected(() => this.#receiver.older(c));
  }

  /**
   * Iterates over a conversation, newest page first. In a page the oldest message is first.
   *
   * @param {Peer} peer
   * @returns {AsyncGenerator<Message[], void, void>}
   */
  async *history(peer) {
    const c = await this.#follow(peer);
    for (let low = Infinity; ; ) {
      const { seq = low } = c.messages[0] ?? {};
      if (seq >= low && c.older !== undefined) await this.older(peer);
      const page = c.messages.filter((m) => m.seq < low);
      if (!page.length) return;
      low = page[0].seq;
      yield page;
    }
  }

  /**
   * Queues a message. It is sent when there is a connection: in order, once, and also after a reload.
   *
   * @param {Peer} peer
   * @param {string} content
   * @param {{ replyTo?: number, mentions?: string[] }} [options]
   * @returns {Promise<Message>} resolves when the message is stored
   * @throws {ChatError} if the message is not valid, or the service refuses it
   */
  async send(peer, content, { replyTo, mentions } = {}) {
    if (replyTo !== undefined) checkSeq(replyTo);
    mentions?.forEach(checkUser);
    return this.#queue(peer, {
      content: contentOf(content),
      replyTo,
      mentions: mentions?.length ? mentions : undefined,
    });
  }

  /**
   * Replaces the content of an own message. Queued like a message.
   *
   * @param {Peer} peer
   * @param {number} seq
   * @param {string} content
   * @returns {Promise<Message>} resolves with the message when the change is stored
   * @throws {ChatError} if the content is not valid, or the service refuses it
   */
  async edit(peer, seq, content) {
    checkSeq(seq);
    return this.#queue(peer, { kind: 'edit', target: seq, content: contentOf(content) });
  }

  /**
   * Removes the content of an own message for good. Queued like a message.
   *
   * @param {Peer} peer
   * @param {number} seq
   * @returns {Promise<Message>} resolves with the message when the change is stored
   */
  async delete(peer, seq) {
    checkSeq(seq);
    return this.#queue(peer, { kind: 'delete', target: seq });
  }

  /**
   * Adds a reaction to a message, or removes it. Queued like a message.
   *
   * @param {Peer} peer
   * @param {number} seq
   * @param {string} reaction any text of 1 to 64 bytes, such as 👍
   * @param {boolean} [on] whether it is added
   * @returns {Promise<Message>} resolves with the message when the change is stored
   */
  async react(peer, seq, reaction, on = true) {
    checkSeq(seq);
    checkReaction(reaction);
    return this.#queue(peer, { kind: 'react', target: seq, reaction, on: Boolean(on) });
  }

  /**
   * Creates a group, of which this user is the owner. Queued like a message.
   *
   * @param {import('./chat-client.js').NewGroup} group
   * @returns {Promise<string>} resolves with the id of the group when it is stored
   * @throws {ChatError} if the group is not valid, or the service refuses it
   */
  async createGroup({ name = '', ...group }) {
    const fields = groupOf({ name, ...group });
    this.#reconnect();
    return (await this.#sender.add(NEW_GROUP, { kind: 'create', group: fields })).groupId;
  }

  /**
   * Changes the members, the name or the settings of a group. Queued like a message.
   *
   * @param {Peer} peer
   * @param {import('./chat-client.js').GroupChanges} changes
   * @returns {Promise<import('./chat-client.js').GroupEntry>} resolves when the change is stored
   */
  async changeGroup(peer, changes) {
    checkGroupPeer(peer);
    return this.#queue(peer, { kind: 'group', group: groupOf(changes) });
  }

  /**
   * Ends the membership of this user in a group. Queued like a message.
   *
   * @param {Peer} peer
   * @returns {Promise<import('./chat-client.js').GroupEntry>} resolves when the change is stored
   */
  async leave(peer) {
    await this.ready; // with a token, it tells the user
    return this.changeGroup(peer, { remove: [this.userId ?? ''] });
  }

  /**
   * Loads the settings and the members of a group. From then on they stay up to date.
   *
   * @param {Peer} peer
   * @param {{ readPositions?: boolean }} [options]
   */
  async loadGroup(peer, { readPositions } = {}) {
    checkGroupPeer(peer);
    const c = this.#session.conversation(keyOf(peer));
    await this.#untilConnected(() => this.#receiver.loadGroup(c, readPositions || undefined));
    return c.snapshot;
  }

  /**
   * @param {Peer} peer
   * @param {Parameters<Sender['add']>[1]} fields
   */
  #queue(peer, fields) {
    checkPeer(peer);
    this.#reconnect();
    return this.#sender.add(keyOf(peer), fields);
  }

  /**
   * Queues a failed message or change again.
   *
   * @param {string} clientMessageId
   * @returns {Promise<boolean>} whether there is such a message
   */
  retry(clientMessageId) {
    return this.#sender.retry(clientMessageId);
  }

  /**
   * Removes a failed message or change.
   *
   * @param {string} clientMessageId
   * @returns {Promise<boolean>} whether there is such a message
   */
  discard(clientMessageId) {
    return this.#sender.discard(clientMessageId);
  }

  /**
   * Marks a conversation as read up to a message; by default, up to the newest one that the client holds.
   *
   * @param {Peer} peer
   * @param {number} [seq]
   * @returns {boolean} whether the read position has moved; false if the client holds no message of the peer
   */
  markRead(peer, seq) {
    if (seq !== undefined && !Number.isSafeInteger(seq)) {
      throw new ChatError('bad_request', `A seq is a whole number, and not ${JSON.stringify(seq)}.`);
    }
    const c = this.#session.conversations.get(keyOf(peer));
    // Changes after the newest message need no read position.
    const upTo = Math.min(seq ?? c?.lastMessage?.seq ?? 0, c?.high ?? 0);
    if (!c || upTo <= c.readSeq) return false;
    c.readSeq = upTo;
    this.#session.changed(c);
    this.#receiver.sendReadPosition(c);
    return true;
  }

  /**
   * Returns whether the peer, or another member of the group, has read an own message.
   *
   * @param {Message} message
   * @returns {'sent' | 'read'}
   */
  stateOf(message) {
    return message.seq <= this.#session.conversationOf(message).peerReadSeq ? 'read' : 'sent';
  }

  /**
   * Returns which other users have read a message, as far as the client knows.
   *
   * @param {Message} message
   */
  readersOf(message) {
    const { readBy, state } = this.#session.conversationOf(message);
    return [...readBy]
      .filter(([user, seq]) => seq >= message.seq && user !== message.senderId && state?.has(user) !== false)
      .map(([user]) => user);
  }

  /**
   * Tells a peer that the user is typing. Call it for each key; it sends a frame at most every 8 seconds, and nothing
   * without a connection. Never throws.
   *
   * @param {Peer} peer
   */
  typing(peer) {
    this.#typing.send(keyOf(peer));
  }

  /**
   * Returns which users are online: of some users those that have a conversation with this user, or all members of a
   * group.
   *
   * @param {readonly string[] | { groupId?: string | undefined }} peers
   */
  async presence(peers) {
    if (Array.isArray(peers)) peers.forEach(checkUser);
    else checkGroupPeer(peers);
    return this.#untilConnected(() => this.#presence.ask(peers));
  }

  /**
   * Reports in events `presence` which of these users are online: at once, and every minute while the page is visible and
   * connected. Replaces the users of the last call.
   *
   * @param {readonly string[]} peers
   */
  watchPresence(peers) {
    peers.forEach(checkUser);
    this.#presence.watch(peers);
  }

  #onOpen() {
    this.#typing.refused.clear();
    this.#presence.isRefused = false;
    this.#presence.refresh();
    this.#receiver.refresh(this.#sender.ready);
    this.#sender.pumpAll();
  }

  async #openOutbox() {
    const userId =
      this.#session.userId ??
      (await new Promise((resolve) => {
        this.#resolveUserId = resolve;
      }));
    const { indexedDB = storageOf() } = this.options;
    const { BroadcastChannel: Channel, navigator } = globalThis;
    const browser = { indexedDB: indexedDB ?? undefined, locks: navigator?.locks, Channel };
    const owner = `${this.url.host}${this.url.pathname} ${userId}`;
    return new Outbox(owner, browser, {
      limit: this.#times.storage,
      onTabMessage: (message) => this.#sender.onTabMessage(message),
      onOpened: () => this.#sender.readOutbox(),
    });
  }

  async #credentials() {
    const url = new URL(this.url);
    // At the limit of the user's connections, a new one replaces an old one of the same client.
    url.searchParams.set('client', this.#id);
    const { token, tokenInQuery, userClaim = 'sub' } = this.options;
    if (!token) {
      url.searchParams.set('userId', this.#session.userId ?? '');
      return { url: url.href };
    }
    const jwt = checkedToken(await token());
    const { exp, iat, [userClaim]: user } = claimsOf(jwt);
    this.#identify(user, userClaim);
    if (tokenInQuery) url.searchParams.set('token', jwt);
    return {
      url: url.href,
      protocols: tokenInQuery ? undefined : ['chat.v1', jwt],
      expiresAt: Number.isFinite(exp) ? exp * 1000 : undefined,
      lifetime: Number.isFinite(exp - iat) ? (exp - iat) * 1000 : undefined,
    };
  }

  /**
   * @param {string | undefined} user of the token
   * @param {string} userClaim
   */
  #identify(user, userClaim) {
    const session = this.#session;
    if (session.userId === undefined && user !== undefined) session.identify(user);
    if (session.userId === undefined) {
      const hint = 'Set the option userId, or the right userClaim.';
      throw new ChatError('bad_request', `The token has no claim ${userClaim}. ${hint}`);
    }
    if (user !== undefined && user !== session.userId) {
      throw new ChatError('forbidden', 'The token belongs to another user.');
    }
    this.#resolveUserId(session.userId);
  }

  /** Reconnects for a user who acts, instead of waiting for the next attempt. */
  #reconnect() {
    if (!this.#connection.isOpen) this.connect();
  }

  /** @returns {Promise<void>} resolves when there is a connection */
  #online() {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (!this.#connection.isOpen && !this.#session.isClosed) return;
        this.removeEventListener('connection', check);
        if (this.#session.isClosed) reject(new ChatError('closed', 'The client was closed.'));
        else resolve();
      };
      this.addEventListener('connection', check);
      check();
    });
  }
}
