// A user without a browser: one WebSocket that speaks the protocol.

import { once } from 'node:events';
import WebSocket from 'ws';

export class User {
  #lastRef = 0;
  /** @type {Map<string, (frame: any) => void>} */
  #replies = new Map();
  /** @type {any[]} */
  #pushed = [];
  /** @type {((frame: any) => void)[]} */
  #readers = [];

  /**
   * @param {string} url
   * @param {string} userId
   */
  static async connect(url, userId) {
    const socket = new WebSocket(`${url}?userId=${encodeURIComponent(userId)}`);
    await once(socket, 'open');
    return new User(socket);
  }

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.socket = socket;
    socket.on('message', (data) => this.#onFrame(JSON.parse(String(data))));
    // A test may stop the server first.
    socket.on('error', () => {});
  }

  /** @param {any} frame */
  #onFrame(frame) {
    const reply = this.#replies.get(frame.ref);
    if (reply) {
      this.#replies.delete(frame.ref);
      reply(frame);
      return;
    }
    const reader = this.#readers.shift();
    if (reader) reader(frame);
    else this.#pushed.push(frame);
  }

  /**
   * @param {string} action
   * @param {object} fields
   * @returns {Promise<any>} the reply
   */
  request(action, fields) {
    this.#lastRef += 1;
    const ref = String(this.#lastRef);
    return new Promise((resolve) => {
      this.#replies.set(ref, resolve);
      this.socket.send(JSON.stringify({ action, ref, ...fields }));
    });
  }

  /**
   * Sends a message, which the server must store.
   *
   * @param {string} recipientId
   * @param {string} content
   * @param {object} [fields]
   */
  send(recipientId, content, fields) {
    return this.store('sendMessage', { recipientId, content, ...fields });
  }

  /**
   * Sends an entry, which the server must store.
   *
   * @param {string} action
   * @param {object} fields
   * @returns {Promise<any>} what was stored
   */
  async store(action, fields) {
    const reply = await this.request(action, fields);
    if (reply.type !== 'sent') throw new Error(`not stored: ${JSON.stringify(reply)}`);
    return reply.value;
  }

  /** @returns {Promise<any>} the next pushed frame */
  next() {
    const frame = this.#pushed.shift();
    return frame ? Promise.resolve(frame) : new Promise((resolve) => this.#readers.push(resolve));
  }

  /**
   * @param {string} targetId
   * @returns {Promise<any[]>} all entries of a conversation, oldest first
   */
  async catchUp(targetId) {
    const entries = [];
    for (let after = 0; ; after = entries.at(-1).seq) {
      const { value } = await this.request('getMessages', { targetId, after, limit: 100 });
      entries.push(...value.messages);
      if (value.lastEvaluatedKey === undefined) return entries;
    }
  }

  close() {
    this.socket.close();
  }
}
