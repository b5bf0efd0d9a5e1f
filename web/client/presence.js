// SPDX-License-Identifier: MIT
// `Presence`: asks who is online, once or again and again.

import { hasCode, isConnectionError } from './errors.js';

/** Users of one request at most. */
const PART = 20;
/** Milliseconds between two questions about the users that are watched. */
const INTERVAL = 60_000;

export class Presence {
  /** Whether the service has refused it on this connection, because its operator has turned it off. */
  isRefused = false;
  /** @type {string[]} */
  #watched = [];
  /**
   * Those that were asked about since the interval began.
   *
   * @type {Set<string>}
   */
  #asked = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #interval;

  /**
   * @param {import('./session.js').Session} session
   * @param {{ presence?: boolean }} options
   */
  constructor(session, options) {
    this.session = session;
    this.options = options;
  }

  /**
   * @param {any} peers users, or a group
   * @returns {Promise<import('../chat-client.js').Presence[]>}
   */
  async ask(peers) {
    if (this.options.presence === false) return [];
    /** @type {object[]} */
    const parts = peers.groupId ? [{ groupId: peers.groupId }] : [];
    for (let n = 0; n < peers.length; n += PART) parts.push({ userIds: peers.slice(n, n + PART) });
    const replies = await Promise.all(parts.map((part) => this.session.connection.request('getPresence', part)));
    return replies.flatMap(({ users }) => users);
  }

  /** @param {readonly string[]} peers */
  watch(peers) {
    this.#watched = [...new Set(peers)];
    this.refresh();
  }

  /** Asks about the watched users that are due, unless the page is hidden or the service can't answer. */
  async refresh() {
    const { connection, isClosed, emit } = this.session;
    const isOff = this.options.presence === false || this.isRefused || isClosed;
    if (isOff || !connection.isOpen || globalThis.document?.hidden || !this.#watched.length) return;
    if (!this.#interval) {
      this.#asked.clear();
      this.#interval = setTimeout(() => {
        this.#interval = undefined;
        this.refresh();
      }, INTERVAL);
    }
    const due = this.#watched.filter((peer) => !this.#asked.has(peer));
    for (const peer of due) this.#asked.add(peer);
    try {
      const users = await this.ask(due);
      if (users.length && this.options.presence !== false) emit('presence', users);
    } catch (error) {
      if (hasCode(error, 'forbidden', 'unknown_action')) this.isRefused = true;
      // The next connection asks again.
      if (isConnectionError(error)) for (const peer of due) this.#asked.delete(peer);
    }
  }

  close() {
    clearTimeout(this.#interval);
  }
}
