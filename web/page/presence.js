// SPDX-License-Identifier: MIT
// `Presence`: what the page knows of who is online. It asks about the open conversation and the rows in sight.

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Presence & { at: number }} Known `at` is when the page learned it */

/** Milliseconds before new rows are asked about, because many pass while the user scrolls. */
const DELAY = 150;
/** Milliseconds after which an answer no longer counts: the next one should have come after a minute. */
const OLD = 150_000;
/** Milliseconds within which a message says that its sender is online. */
const RECENT = 30_000;

export class Presence {
  /** @type {Map<string, Known>} */
  #known = new Map();
  /**
   * The peer of the open conversation.
   *
   * @type {string | undefined}
   */
  #current;
  /**
   * Peers by their rows, and whether they are in sight.
   *
   * @type {Map<Element, { peer: string, isVisible: boolean }>}
   */
  #rows = new Map();
  #observer = new IntersectionObserver((entries) => this.#onSight(entries));
  #isScheduled = false;

  /**
   * @param {ChatClient} chat
   * @param {() => void} onChange
   */
  constructor(chat, onChange) {
    this.chat = chat;
    this.onChange = onChange;
    chat.addEventListener('presence', ({ detail }) => {
      for (const one of detail) this.#known.set(one.userId, { ...one, at: Date.now() });
      onChange();
    });
    chat.addEventListener('typing', ({ detail: { peer, isTyping } }) => {
      if (isTyping && peer !== undefined) this.#see(peer);
    });
    chat.addEventListener('message', ({ detail: { senderId, createdAt } }) => {
      if (Math.abs(Date.now() - createdAt) < RECENT) this.#see(senderId);
    });
    // The service says nothing of users without a conversation.
    chat.addEventListener('conversation', () => this.refresh());
  }

  /**
   * Asks about a peer while their row is in sight.
   *
   * @param {Element} row
   * @param {string} peer
   */
  observe(row, peer) {
    this.#rows.set(row, { peer, isVisible: false });
    this.#observer.observe(row);
  }

  /** @param {string | undefined} peer of the open conversation */
  open(peer) {
    this.#current = peer;
    this.refresh();
  }

  /** Asks soon about who is in sight now. */
  refresh() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setTimeout(() => {
      this.#isScheduled = false;
      const rows = [...this.#rows.values()].filter(({ isVisible }) => isVisible).map(({ peer }) => peer);
      const shown = this.#current === undefined ? rows : [this.#current, ...rows];
      this.chat.watchPresence(shown.filter((peer) => this.#isContact(peer)));
    }, DELAY);
  }

  /**
   * Whether a user is online, if the page may show it and knows it.
   *
   * @param {string} peer
   * @returns {Known | undefined}
   */
  of(peer) {
    const { chat } = this;
    const known = this.#known.get(peer);
    const isShown = chat.options.presence !== false && chat.connection.state === 'online' && this.#isContact(peer);
    return isShown && known && Date.now() - known.at < OLD ? known : undefined;
  }

  /** @param {string} peer */
  #isContact(peer) {
    return peer !== this.chat.userId && this.chat.conversation(peer).lastMessage !== undefined;
  }

  /**
   * Notes that a peer has just done something. Without an earlier answer, the service may not tell who is online.
   *
   * @param {string} peer
   */
  #see(peer) {
    if (!this.#known.has(peer)) return;
    this.#known.set(peer, { userId: peer, online: true, at: Date.now() });
    this.onChange();
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #onSight(entries) {
    for (const { target, isIntersecting } of entries) {
      const row = this.#rows.get(target);
      if (row) row.isVisible = isIntersecting;
    }
    this.refresh();
  }
}
