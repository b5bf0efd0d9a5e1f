// A scripted service in memory. It follows the protocol, and a test can change the fate of single frames. A client takes
// its `WebSocket` in place of the browser's.

/** @param {string} a @param {string} b */
export const conversationId = (a, b) => {
  const [one, other] = [a, b].sort();
  return `dm:${Buffer.byteLength(one)}:${one}:${other}`;
};

/** @param {any} message */
export const position = ({ conversationId: id, seq }) => `position ${seq} of ${id}`;

export class Service {
  /**
   * By conversation id.
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

  /** Conversations on a page. */
  pageSize = Infinity;
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
        if (this.readyState === 1)
          setImmediate(() => this.readyState === 1 && this.onmessage?.({ data: JSON.stringify(frame) }));
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

  contents(a, b) {
    return this.of(a, b).map((m) => m.content);
  }

  /** Stores and pushes a message of a user without a client. */
  say(sender, recipient, content) {
    const message = this.append(sender, recipient, content, undefined);
    this.push(message, undefined);
    return message;
  }

  append(sender, recipient, content, clientMessageId) {
    const row = this.of(sender, recipient);
    const seq = row.length + 1;
    const id = conversationId(sender, recipient);
    const message = {
      messageId: `m${Math.random()}`,
      conversationId: id,
      seq,
      senderId: sender,
      recipientId: recipient,
      content,
      createdAt: Date.now(),
      clientMessageId,
    };
    row.push(message);
    this.read.set(`${sender} ${id}`, seq);
    return message;
  }

  push(message, but) {
    for (const socket of this.sockets)
      if (
        socket !== but &&
        [message.senderId, message.recipientId].includes(socket.user) &&
        !this.loses(message, socket)
      )
        socket.tell({ type: 'message', value: message, position: position(message) });
  }

  take(socket, frame) {
    this.frames.push({ user: socket.user, ...frame });
    const fate = this.script(frame, socket);
    if (fate === 'ignore' || socket.readyState !== 1) return;
    const answer = typeof fate === 'object' ? fate : this.answer(socket, frame);
    if (fate !== 'mute') socket.tell({ ref: frame.ref, ...answer });
  }

  answer(socket, frame) {
    const error = (code, message) => ({ type: 'error', code, message });
    const me = socket.user;
    const row = frame.targetId ? this.of(me, frame.targetId) : [];
    switch (frame.action) {
      case 'ping':
        return { type: 'pong' };
      case 'sendMessage': {
        const stored = this.of(me, frame.recipientId);
        if (frame.lastSeq > stored.length) return error('bad_request', 'lastSeq: there is no such message');
        const proved = stored.find((m) => frame.position !== undefined && frame.position === position(m));
        const lastSeq = proved?.seq ?? frame.lastSeq;
        const after = lastSeq === undefined ? stored.slice(-25) : stored.slice(lastSeq);
        if (after.length > 1000) return error('out_of_date', 'sync first');
        const first = after.find((m) => m.senderId === me && m.clientMessageId === frame.clientMessageId);
        const message = first ?? this.append(me, frame.recipientId, frame.content, frame.clientMessageId);
        this.push(message, socket);
        const { messageId, conversationId: id, seq, createdAt, clientMessageId } = message;
        return {
          type: 'sent',
          value: {
            messageId,
            conversationId: id,
            seq,
            createdAt,
            clientMessageId,
            duplicate: Boolean(first),
            position: position(message),
          },
        };
      }
      case 'getMessages': {
        const limit = Math.min(frame.limit ?? 50, 100);
        const { after, startKey } = frame;
        const all = after === undefined ? row.slice(0, (startKey?.seq ?? Infinity) - 1).reverse() : row.slice(after);
        const messages = all.slice(0, limit);
        const more = all.length > limit;
        const value = { conversationId: conversationId(me, frame.targetId), messages };
        const last = row.at(-1);
        if (last && messages.includes(last)) value.position = position(last);
        return { type: 'messages', value: more ? { ...value, lastEvaluatedKey: { seq: messages.at(-1).seq } } : value };
      }
      case 'getConversations': {
        const mine = [...this.messages].filter(([, stored]) =>
          stored.some((m) => [m.senderId, m.recipientId].includes(me)),
        );
        mine.sort(([, one], [, other]) => other.at(-1).createdAt - one.at(-1).createdAt);
        const start = frame.startKey ?? 0;
        const rest = mine.slice(start, start + this.pageSize);
        return {
          type: 'conversations',
          value: {
            lastEvaluatedKey: start + this.pageSize < mine.length ? start + this.pageSize : undefined,
            conversations: rest.map(([id, stored]) => {
              const last = stored.at(-1);
              const peerId = last.senderId === me ? last.recipientId : last.senderId;
              const [readSeq, peerReadSeq] = [me, peerId].map((user) => this.read.get(`${user} ${id}`) ?? 0);
              return {
                conversationId: id,
                peerId,
                lastMessage: last,
                readSeq,
                peerReadSeq,
                unread: stored.filter((m) => m.seq > readSeq && m.senderId !== me).length,
              };
            }),
          },
        };
      }
      case 'markRead': {
        const value = { conversationId: conversationId(me, frame.targetId), userId: me, seq: frame.seq };
        this.read.set(`${me} ${value.conversationId}`, frame.seq);
        for (const other of this.sockets)
          if (other !== socket && [me, frame.targetId].includes(other.user)) other.tell({ type: 'read', value });
        return { type: 'read', value };
      }
    }
    return error('unknown_action', 'unknown action');
  }
}
