// A client of the chat that loses, doubles and reorders nothing. It has no dependencies and needs no build step.
//
//   const chat = new ChatClient({ url: 'wss://…/prod', userId: 'alice' });   // or { url, token: async () => jwt }
//   chat.addEventListener('message', (event) => show(event.detail));
//   await chat.send('bob', 'Hello, Bob!');                                   // resolves when it is stored
//   for await (const page of chat.history('bob')) …                          // newest page first
//
// It runs in browsers, and in Node.js 22 or later.

import { Connection, TIMES } from './client/connection.js';
import { Conversation } from './client/conversation.js';
import { Core } from './client/core.js';
import { excessOf, problemOf } from './client/limits.js';
import { Outbox } from './client/outbox.js';
import { Receiver } from './client/receiver.js';
import { Sender } from './client/sender.js';
import { backoff, ChatError, isOfTheConnection, pause } from './client/trouble.js';

export { ChatError, Conversation };

/**
 * @typedef {import('./client/conversation.js').Message} Message
 * @typedef {import('./client/conversation.js').Entry} Entry
 * @typedef {import('./client/connection.js').Standing} Standing
 *
 * @typedef {object} Options
 * @property {string} url of the service: `wss://HOST/STAGE`; in a browser it may be relative to the page
 * @property {string} [userId] who connects. Needed in open mode; with a token it is read from that
 * @property {() => string | Promise<string>} [token] gives a fresh token (a JWT); it is asked for each connection
 * @property {string} [userClaim] the claim that is the user id; `sub` unless you say otherwise
 * @property {number} [pageSize] messages of a page of history, at most 100; 50 unless you say otherwise
 * @property {typeof WebSocket} [WebSocket] another implementation, for Node.js before 22
 * @property {IDBFactory | null} [indexedDB] where the outbox is kept; null for memory only
 * @property {Partial<typeof TIMES>} [times] in milliseconds; the defaults suit API Gateway
 *
 * @typedef {object} Status of one own message
 * @property {string} clientMessageId
 * @property {string} peer
 * @property {'queued' | 'sent' | 'read' | 'failed'} state
 * @property {number} [seq] from `sent` on
 * @property {string} [code] why it has failed
 * @property {string} [reason] what to change
 *
 * @typedef {object} Events what each event's `detail` is
 * @property {Standing} connection
 * @property {Message} message new at the end of a conversation; each once, in order, own ones too
 * @property {Status} status
 * @property {{ peer: string, unread: number, total: number }} unread
 * @property {Conversation} conversation something of it has changed: draw it again
 */

/** @param {string} token @returns {Record<string, any>} nothing where it isn't a JWT */
function claims(token) {
  try {
    const part = atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(part, (c) => c.charCodeAt(0)))) ?? {};
  } catch {
    return {};
  }
}

export class ChatClient extends EventTarget {
  #core;
  #connection;
  #receiver;
  #sender;
  /** @type {(userId: string) => void} */
  #known = () => {};
  /** @type {(() => void)[]} */
  #unlisten = [];

  /** @param {Options} options */
  constructor(options) {
    super();
    if (!options.token && !options.userId) throw new ChatError('bad_request', 'Give a userId, or a token.');
    const Socket = options.WebSocket ?? globalThis.WebSocket;
    if (!Socket) throw new ChatError('bad_request', 'There is no WebSocket here: use Node.js 22 or later, or give one as the option WebSocket (the package ws has one).');
    const trouble = options.userId === undefined ? '' : problemOf(options.userId);
    if (trouble) throw new ChatError('bad_request', `userId: ${trouble}`);
    this.options = options;
    this.url = new URL(options.url, globalThis.location?.href);
    this.url.protocol = this.url.protocol.replace('http', 'ws');
    const core = this.#core = new Core((type, detail) => this.dispatchEvent(new CustomEvent(type, { detail })));
    core.userId = options.userId;
    const receiver = this.#receiver = new Receiver(core, options.pageSize ?? 50);
    this.#sender = receiver.sender = new Sender(core, receiver, this.#openOutbox());
    this.#connection = core.connection = new Connection({
      credentials: () => this.#credentials(),
      WebSocket: Socket,
      fetch: globalThis.fetch?.bind(globalThis),
      address: this.url.origin.replace(/^ws/, 'http') + this.url.pathname,
      times: { ...TIMES, ...options.times },
      onState: (standing) => core.emit('connection', standing),
      onOpen: () => receiver.refresh(),
      onFrame: (frame) => receiver.hear(frame),
    });
    this.#watch();
    queueMicrotask(() => this.connect());                    // when listeners are there
  }

  /** Resolves when the messages that an earlier page left in the outbox are known. */
  get ready() {
    return this.#sender.ready;
  }

  /** Who this is; undefined until the first token has come, where nobody said. */
  get userId() {
    return this.#core.userId;
  }

  /** How the connection stands. */
  get connection() {
    return this.#connection.standing;
  }

  /** Whether what is queued survives a reload. */
  get isDurable() {
    return this.#sender.isDurable;
  }

  /** Whether the server has an inbox, which was then read; undefined until that is known of this connection. */
  get hasInbox() {
    return this.#receiver.hasInbox;
  }

  /** All that are known, the one with the newest message first. */
  get conversations() {
    /** @param {Conversation} c */
    const latest = (c) => Math.max(c.pending.at(-1)?.queuedAt ?? 0, c.lastMessage?.createdAt ?? 0);
    return [...this.#core.conversations.values()].sort((a, b) => latest(b) - latest(a));
  }

  /** Unread messages of all conversations. */
  get unread() {
    return this.#core.totalUnread;
  }

  /**
   * As of every EventTarget, with the types of {@link Events}.
   *
   * @template {keyof Events} K
   * @param {K} type
   * @param {(event: CustomEvent<Events[K]>) => void} listener
   * @param {boolean | AddEventListenerOptions} [options]
   */
  // @ts-expect-error narrower than EventTarget's on purpose: these are the events that there are
  addEventListener(type, listener, options) {
    super.addEventListener(type, /** @type {EventListener} */ (listener), options);
  }

  /** Connects now instead of when its time has come: somebody acted. Where it is connected, finds out whether it still is. */
  connect() {
    this.#connection.wake();
  }

  /** Ends the connection. What is queued stays queued, for the next client of this user. */
  close() {
    this.#core.isClosed = true;
    this.#unlisten.forEach((stop) => stop());
    this.#connection.close();
    this.#sender.close();
  }

  /** The conversation with somebody, whether there is one yet or not. @param {string} peer */
  conversation(peer) {
    return this.#core.conversation(peer);
  }

  /**
   * Loads the newest messages, for somebody who looks at this conversation, and keeps it up to date from then on.
   *
   * @param {string} peer @returns {Promise<Conversation>}
   */
  async open(peer) {
    const c = this.conversation(peer);
    c.wanted = true;
    this.#act();
    for (let tries = 0; !c.loaded || c.stale; tries += 1) {
      try {
        await this.#receiver.catchUp(c);
      } catch (error) {
        if (!isOfTheConnection(error)) throw error;
        await this.#online();
        if (tries) await pause(backoff(tries));
      }
    }
    return c;
  }

  /**
   * Loads one page of older messages.
   *
   * @param {string} peer @returns {Promise<Message[]>} oldest first; none when the beginning is reached
   */
  async older(peer) {
    return this.#receiver.older(await this.open(peer));
  }

  /**
   * Walks through a conversation, newest page first; in a page the oldest message is first.
   *
   * @param {string} peer @returns {AsyncGenerator<Message[], void, void>}
   */
  async *history(peer) {
    const c = await this.open(peer);
    for (let low = Infinity; ;) {
      while (c.low >= low && c.older !== undefined) await this.older(peer);
      const page = c.messages.slice(0, Math.min(c.messages.length, low - c.low));
      if (!page.length) return;
      low = page[0].seq;
      yield page;
    }
  }

  /**
   * Queues a message; it is sent when there is a connection, in order, once, also after a reload.
   *
   * @param {string} peer @param {string} content
   * @returns {Promise<Message>} when it is stored
   * @throws {ChatError} where the service does not take it, for the reason that `code` and `message` give
   */
  async send(peer, content) {
    const trouble = problemOf(peer);
    if (trouble) throw new ChatError('bad_request', `The recipient can't be ${JSON.stringify(peer)}: ${trouble}`);
    content = content.toWellFormed?.() ?? content;
    if (!content.trim()) throw new ChatError('bad_request', 'A message must have something to read in it.');
    const excess = excessOf(content);
    if (excess) throw new ChatError('too_large', `This is too long by about ${excess} characters. Shorten it, or send it in parts.`);
    this.#act();
    return this.#sender.add(peer, content);
  }

  /** Tries a failed message again. @param {string} clientMessageId @returns {Promise<boolean>} whether there is such a one */
  retry(clientMessageId) {
    return this.#sender.retry(clientMessageId);
  }

  /** Forgets a failed message. @param {string} clientMessageId @returns {Promise<boolean>} whether there is such a one */
  discard(clientMessageId) {
    return this.#sender.discard(clientMessageId);
  }

  /**
   * This user has read up to a message; to the newest that is here unless said otherwise.
   *
   * @param {string} peer @param {number} [seq]
   * @returns {boolean} whether that is further than before; never for somebody of whom no message is here
   */
  markRead(peer, seq) {
    const c = this.#core.conversations.get(peer), upTo = Math.min(seq ?? Infinity, c?.high ?? 0);
    if (!c || upTo <= c.readSeq) return false;
    c.readSeq = upTo;
    this.#core.changed(c);
    this.#receiver.tellRead(c);
    return true;
  }

  /** How far an own message has come. @param {Message} message @returns {'sent' | 'read'} */
  stateOf(message) {
    return message.seq <= this.conversation(message.recipientId).peerReadSeq ? 'read' : 'sent';
  }

  async #openOutbox() {
    const userId = this.#core.userId ?? await new Promise((resolve) => { this.#known = resolve; });
    const { indexedDB = globalThis.indexedDB } = this.options, { BroadcastChannel: Channel, navigator } = globalThis;
    const outbox = new Outbox(`${this.url.host}${this.url.pathname} ${userId}`,
      { indexedDB: indexedDB ?? undefined, locks: navigator?.locks, Channel }, (word) => this.#sender.told(word));
    await outbox.open();
    return outbox;
  }

  async #credentials() {
    const url = new URL(this.url), { token, userClaim = 'sub' } = this.options, core = this.#core;
    if (!token) {
      url.searchParams.set('userId', core.userId ?? '');
      return { url: url.href };
    }
    const jwt = await token(), { exp, [userClaim]: user } = claims(jwt);
    if (core.userId === undefined && user !== undefined) core.know(user);
    if (core.userId === undefined)
      throw new ChatError('bad_request', `The token has no claim ${userClaim}; give a userId, or the right userClaim.`);
    if (user !== undefined && user !== core.userId) throw new ChatError('forbidden', 'The token is of another user.');
    this.#known(core.userId);
    return { url: url.href, protocols: ['chat.v1', jwt], expiresAt: Number.isFinite(exp) ? exp * 1000 : undefined };
  }

  /** Comes back at once when the network does, or whoever looks at it. */
  #watch() {
    const wake = () => this.connect();
    const seen = () => { if (!globalThis.document?.hidden) this.connect(); };
    /** @param {EventTarget | undefined} target @param {string} type @param {() => void} act */
    const on = (target, type, act) => {
      target?.addEventListener?.(type, act);
      this.#unlisten.push(() => target?.removeEventListener?.(type, act));
    };
    for (const type of ['online', 'offline']) on(/** @type {any} */ (globalThis), type, wake);
    on(globalThis.document, 'visibilitychange', seen);
    on(/** @type {any} */ (globalThis), 'pageshow', seen);
  }

  /** Whoever acts doesn't want to wait for the next attempt. */
  #act() {
    if (!this.#connection.isOpen) this.connect();
  }

  /** @returns {Promise<void>} when there is a connection */
  #online() {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!this.#connection.isOpen && !this.#core.isClosed) return;
        this.removeEventListener('connection', look);
        if (this.#core.isClosed) reject(new ChatError('closed', 'The client was closed.')); else resolve();
      };
      this.addEventListener('connection', look);
      look();
    });
  }
}
