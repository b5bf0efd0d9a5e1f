// SPDX-License-Identifier: MIT
// `Walk`: reads all pages of the inbox, newest conversation first. A walk that a lost connection ended is continued on the
// next one: it reads what has changed since it began, which is at the front, and goes on where it was.

import { keyOfValue } from './peers.js';

/** An inbox sorts conversations of the same hour only up to a number, so what has changed may be this far from the front. */
const HOUR = 60 * 60_000;

export class Walk {
  /**
   * The keys of all conversations that were read.
   *
   * @type {Set<string>}
   */
  keys = new Set();
  isDone = false;
  /** @type {unknown} */
  #startKey;
  /** The time of the newest conversation at the beginning. */
  #began = 0;
  /**
   * The walk that this one continues, until this one has read what has changed.
   *
   * @type {Walk | undefined}
   */
  #before;

  /**
   * A new walk, or one that continues `before`.
   *
   * @param {Walk | undefined} before
   */
  static after(before) {
    const walk = new Walk();
    // A walk that has not finished its own beginning adds nothing.
    if (before) walk.#before = before.#before ?? (before.#startKey === undefined ? undefined : before);
    return walk;
  }

  /** The fields of the next request. */
  get next() {
    return { limit: 100, startKey: this.#startKey };
  }

  /** @param {any} page */
  add({ conversations = [], lastEvaluatedKey }) {
    const times = conversations.map((/** @type {any} */ row) => row.listedAt ?? row.lastMessage?.createdAt ?? 0);
    for (const row of conversations) this.keys.add(keyOfValue(row));
    this.#began ||= times[0] ?? 0;
    this.#startKey = lastEvaluatedKey;
    this.isDone = lastEvaluatedKey === undefined;
    const before = this.#before;
    if (!before || this.isDone || Math.min(...times) > before.#began - HOUR) return;
    this.#before = undefined;
    this.keys = new Set([...before.keys, ...this.keys]);
    this.#startKey = before.#startKey;
  }
}
