// SPDX-License-Identifier: MIT
// `Navigation`: the address of the page, and the links and forms that lead to a conversation.

import { byId, make } from './dom.js';
import { problemOfName, visible } from './names.js';
import { pageAddress } from './service.js';
import { showMessenger } from './sign-in.js';
import { forget } from './storage.js';

/** Who to suggest for the second tab. */
const SUGGESTED_NAMES = ['bob', 'alice', 'carol'];

/** The state of an entry of the history that follows the one of the list. */
const ABOVE_LIST = { isAboveList: true };

const isAboveList = () => history.state?.isAboveList === true;

export class Navigation {
  #userId = '';
  /** @type {string | null} */
  #peer = null;

  /**
   * @param {object} options
   * @param {boolean} options.usesToken
   * @param {(peer: string | null) => void} options.onOpen
   */
  constructor({ usesToken, onOpen }) {
    this.usesToken = usesToken;
    this.onOpen = onOpen;
    byId('leave').href = pageAddress();
    byId('leave').textContent = usesToken ? 'Leave' : 'Change name';
    byId('leave').onclick = forget;
    byId('back-to-name').onclick = (event) => {
      if (this.#peer === null) return forget();
      event.preventDefault();
      showMessenger();
    };
    byId('back').onclick = () => this.#goBack();
    byId('new-chat').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#openByName(byId('new-chat-name').value.trim());
    });
  }

  /**
   * Opens the conversation that the address names.
   *
   * @param {string} userId
   */
  start(userId) {
    this.#userId = userId;
    const named = new URLSearchParams(location.search).get('with') ?? '';
    const problem = named && problemOfName(named);
    if (problem) {
      byId('new-chat-name').value = named;
      byId('new-chat-error').textContent = problem;
    }
    const peer = problem ? null : named || null;
    // After a reload, the list is in the history already.
    if (isAboveList()) this.#peer = peer;
    else history.replaceState(null, '', this.#pageFor(userId));
    this.onOpen(peer);
    addEventListener('popstate', () => this.#onPopState());
  }

  /** The browser went back or forward to the current address. */
  #onPopState() {
    const peer = new URLSearchParams(location.search).get('with');
    if (peer === this.#peer) return;
    this.#peer = peer;
    this.onOpen(peer);
  }

  #goBack() {
    if (isAboveList()) history.back();
    else this.onOpen(null);
  }

  /**
   * Under the open conversation, the history has the list, whatever conversations were open before.
   *
   * @param {string | null} peer of the open conversation
   */
  show(peer) {
    const address = this.#pageFor(this.#userId, peer ?? undefined);
    if (peer !== null && this.#peer === null) history.pushState(ABOVE_LIST, '', address);
    else history.replaceState(peer === null ? null : history.state, '', address);
    this.#peer = peer;
    byId('messenger').dataset.view = peer === null ? 'list' : 'chat';
    byId('chat').toggleAttribute('data-open', peer !== null);
    this.#offerSecondTab();
  }

  /** @param {string} name */
  #openByName(name) {
    const problem = problemOfName(name);
    byId('new-chat-error').textContent = problem;
    if (problem) return;
    byId('new-chat-name').value = '';
    this.onOpen(name);
  }

  /** Links to a tab of the peer, or of a suggested one, so that one person can try the chat. */
  #offerSecondTab() {
    const me = this.#userId;
    const suggested = SUGGESTED_NAMES.find((name) => name !== me) ?? SUGGESTED_NAMES[0];
    const other = this.#peer === null || this.#peer === me ? suggested : this.#peer;
    /** @type {NodeListOf<HTMLAnchorElement>} */
    const links = document.querySelectorAll('a.second-tab');
    for (const link of links) {
      link.href = this.#pageFor(other, me);
      // The conversation is open and the box has the focus when the user comes back.
      link.onclick = () => this.onOpen(this.#peer ?? other);
      link.firstElementChild?.replaceChildren('Be ', make('bdi', '', visible(other)), ' in a new tab');
    }
  }

  /**
   * @param {string} userId
   * @param {string} [peer]
   */
  #pageFor(userId, peer) {
    return pageAddress({ userId: this.usesToken ? undefined : userId, with: peer });
  }
}
