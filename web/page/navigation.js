// SPDX-License-Identifier: MIT
// `Navigation`: the address of the page, and the links and forms that lead to a conversation.

import { keyOf, nameOf } from '../client/peers.js';
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

/** The key of the conversation that the address names. */
function keyInAddress() {
  const query = new URLSearchParams(location.search);
  const groupId = query.get('group');
  return groupId ? keyOf({ groupId }) : query.get('with') || null;
}

export class Navigation {
  #userId = '';
  /**
   * The key of the open conversation.
   *
   * @type {string | null}
   */
  #key = null;

  /**
   * @param {object} options
   * @param {boolean} options.usesToken
   * @param {(key: string | null) => void} options.onOpen
   */
  constructor({ usesToken, onOpen }) {
    this.usesToken = usesToken;
    this.onOpen = onOpen;
    byId('leave').href = pageAddress();
    byId('leave').textContent = usesToken ? 'Leave' : 'Change name';
    byId('leave').onclick = forget;
    byId('back-to-name').onclick = (event) => {
      if (this.#key === null) return forget();
      event.preventDefault();
      showMessenger();
    };
    byId('back').onclick = () => this.#goBack();
    byId('new-chat-name').oninput = () => this.showProblem('');
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
    const named = keyInAddress();
    const { peer = '' } = named === null ? {} : nameOf(named);
    const problem = peer && problemOfName(peer);
    if (problem) {
      byId('new-chat-name').value = peer;
      this.showProblem(problem);
    }
    const key = problem ? null : named;
    // After a reload, the list is in the history already.
    if (isAboveList()) this.#key = key;
    else history.replaceState(null, '', this.#pageFor(userId));
    this.onOpen(key);
    addEventListener('popstate', () => this.#onPopState());
  }

  /** The browser went back or forward to the current address. */
  #onPopState() {
    const key = keyInAddress();
    if (key === this.#key) return;
    this.#key = key;
    this.onOpen(key);
  }

  #goBack() {
    if (isAboveList()) history.back();
    else this.onOpen(null);
  }

  /**
   * Under the open conversation, the history has the list, whatever conversations were open before.
   *
   * @param {string | null} key of the open conversation
   */
  show(key) {
    const address = this.#pageFor(this.#userId, key ?? undefined);
    if (key !== null && this.#key === null) history.pushState(ABOVE_LIST, '', address);
    else history.replaceState(key === null ? null : history.state, '', address);
    this.#key = key;
    byId('messenger').dataset.view = key === null ? 'list' : 'chat';
    byId('chat').toggleAttribute('data-open', key !== null);
    this.#offerSecondTab();
  }

  /** @param {string} name */
  #openByName(name) {
    const problem = problemOfName(name);
    this.showProblem(problem);
    if (problem) return;
    byId('new-chat-name').value = '';
    this.onOpen(name);
  }

  /** @param {string} text why a conversation can't be opened */
  showProblem(text) {
    byId('new-chat-error').textContent = text;
  }

  /** Links to a tab of the peer, or of a suggested one, so that one person can try the chat. */
  #offerSecondTab() {
    const me = this.#userId;
    const suggested = SUGGESTED_NAMES.find((name) => name !== me) ?? SUGGESTED_NAMES[0];
    const { peer = me } = nameOf(this.#key ?? me);
    const other = peer === me ? suggested : peer;
    /** @type {NodeListOf<HTMLAnchorElement>} */
    const links = document.querySelectorAll('a.second-tab');
    for (const link of links) {
      link.href = this.#pageFor(other, me);
      // The conversation is open and the box has the focus when the user comes back.
      link.onclick = () => this.onOpen(this.#key ?? other);
      link.firstElementChild?.replaceChildren('Be ', make('bdi', '', visible(other)), ' in a new tab');
    }
  }

  /**
   * @param {string} userId
   * @param {string | null} [key] of the conversation to open
   */
  #pageFor(userId, key) {
    const { peer, groupId } = key ? nameOf(key) : {};
    return pageAddress({ userId: this.usesToken ? undefined : userId, with: peer, group: groupId });
  }
}
