// SPDX-License-Identifier: MIT
// `Drafts`: what a user has written but not sent, by conversation. It survives a reload of the tab.

import { kept } from './storage.js';

export class Drafts {
  #key;
  /** @type {Map<string, string>} by peer */
  #texts;

  /** @param {string} userId */
  constructor(userId) {
    this.#key = `drafts ${userId}`;
    this.#texts = new Map(JSON.parse(kept(this.#key) || '[]'));
  }

  /** @param {string} peer */
  of(peer) {
    return this.#texts.get(peer) ?? '';
  }

  /**
   * @param {string} peer
   * @param {string} text
   */
  set(peer, text) {
    if (text) this.#texts.set(peer, text);
    else this.#texts.delete(peer);
    kept(this.#key, JSON.stringify([...this.#texts]));
  }
}
