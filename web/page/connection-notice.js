// SPDX-License-Identifier: MIT
// `ConnectionNotice`: the state of the connection, in the header at once and in a bar when a break lasts.

import { byId, setText } from './dom.js';
import { isMissing, serviceName } from './service.js';
import { askForToken, showMessenger } from './sign-in.js';

/** Milliseconds without a connection before the notice appears, because most breaks are shorter. */
const GRACE = 1_200;

/** Milliseconds within which the client finds out whether a connection is alive: a little more than its `check`. */
const CHECK = 6_000;

/**
 * @typedef {{ label: string, text?: string, action?: string }} Words label of the header, text and button of the notice
 *
 * @type {Record<string, Words>}
 */
const WORDS = {
  online: { label: 'Connected' },
  displaced: {
    label: 'Paused',
    text: 'This chat is open in too many tabs or devices. This tab is paused.',
    action: 'Continue here',
  },
  refused: {
    label: 'Can’t connect',
    text: 'The service refuses access, or is too busy. Your messages are queued.',
    action: 'Try again',
  },
  unauthenticated: {
    label: 'Can’t connect',
    text: 'The login has expired, or the service is too busy. Your messages are queued.',
    action: 'Try again',
  },
  missing: {
    label: 'Wrong address',
    text: `There is no chat at ${serviceName}.`,
    action: 'Try again',
  },
  offline: { label: 'No connection', text: 'No connection. Your messages are queued.', action: 'Try now' },
};

export class ConnectionNotice {
  #offlineSince = 0;
  #hasBeenOnline = false;
  /** Whether the network is gone, and the client still checks whether the connection is. */
  #isDoubtful = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #doubtTimer;
  #isMissing = false;
  /**
   * Whether the service refuses because its address is wrong; undefined until it refuses.
   *
   * @type {Promise<boolean> | undefined}
   */
  #probe;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {import('../chat-client.js').ChatClient} chat
   * @param {object} options
   * @param {boolean} options.usesToken
   * @param {() => boolean} options.isEmpty whether no conversation is open
   * @param {() => void} options.onToggle is called when the notice appears or disappears
   */
  constructor(chat, { usesToken, isEmpty, onToggle }) {
    this.chat = chat;
    this.usesToken = usesToken;
    this.isEmpty = isEmpty;
    this.onToggle = onToggle;
    byId('reconnect').onclick = () => chat.connect();
    byId('use-token').onclick = () => askForToken('');
    // A user with a token most likely needs another one. Without a token, there may be other reasons for the refusal.
    if (usesToken) byId('reconnect').before(byId('use-token'));
    addEventListener('offline', () => this.#doubt(true));
    addEventListener('online', () => this.#doubt(false));
    chat.addEventListener('connection', () => this.#doubt(false));
  }

  /** The state of the connection as far as the page knows more than the client. */
  get #state() {
    const { state } = this.chat.connection;
    if (state === 'online' && this.#isDoubtful) return 'offline';
    return state === 'refused' && this.#isMissing ? 'missing' : state;
  }

  /**
   * A browser without a network may still reach a service on its own machine, so the doubt ends when the client had the
   * time to find out.
   *
   * @param {boolean} isDoubtful
   */
  #doubt(isDoubtful) {
    this.#isDoubtful = isDoubtful;
    clearTimeout(this.#doubtTimer);
    if (isDoubtful) this.#doubtTimer = setTimeout(() => this.#doubt(false), CHECK);
    this.draw();
  }

  draw() {
    const state = this.#state;
    if (state === 'online') {
      this.#offlineSince = 0;
      this.#hasBeenOnline = true;
      this.#isMissing = false;
      this.#probe = undefined;
      showMessenger();
    } else {
      this.#offlineSince ||= Date.now();
    }
    if (state === 'refused') this.#onRefused();
    const isShown = this.#isDue(state);
    this.#drawLabel(state, isShown);
    this.#drawNotice(state, isShown);
    clearTimeout(this.#timer);
    if (state !== 'online') this.#timer = setTimeout(() => this.draw(), isShown ? 1_000 : GRACE);
  }

  async #onRefused() {
    this.#probe ??= isMissing();
    if (await this.#probe) {
      this.#isMissing = true;
      this.draw();
    }
    // If nothing is on the screen yet, the page asks for a token at once. Otherwise the notice offers it.
    if (this.#state !== 'refused' || this.#hasBeenOnline || !this.isEmpty() || !byId('token-form').hidden) return;
    askForToken(this.usesToken ? this.#tokenProblem() : '');
  }

  #tokenProblem() {
    const { userId, options } = this.chat;
    const { reason = '' } = this.chat.connection;
    if (reason.includes('has expired')) return 'This token has expired.';
    if (userId !== undefined) return 'The service does not accept this token. It may have expired.';
    return `The token does not name a user: its claim “${options.userClaim ?? 'sub'}” is missing.`;
  }

  /** @param {string} state */
  #isDue(state) {
    if (state === 'online') return false;
    return ['displaced', 'refused', 'missing', 'offline'].includes(state) || Date.now() - this.#offlineSince >= GRACE;
  }

  /** @param {string} state */
  #words(state) {
    if (state === 'refused' && this.usesToken) return WORDS.unauthenticated;
    return WORDS[state] ?? WORDS.offline;
  }

  /**
   * @param {string} state
   * @param {boolean} isNoticeShown
   */
  #drawLabel(state, isNoticeShown) {
    const node = byId('connection-state');
    if (isNoticeShown || state === 'online') {
      setText(node, this.#words(state).label);
      node.dataset.state = state;
    } else if (!node.textContent) {
      node.textContent = 'Connecting …';
    }
  }

  /**
   * @param {string} state
   * @param {boolean} isShown
   */
  #drawNotice(state, isShown) {
    const notice = byId('notice');
    const { text = '', action = '' } = this.#words(state);
    if (notice.hidden === isShown) this.onToggle();
    notice.hidden = !isShown;
    notice.dataset.state = state;
    byId('messenger').dataset.state = state;
    byId('use-token').hidden = state !== 'refused';
    byId('notice-text').textContent = text;
    byId('reconnect').textContent = action;
    byId('reconnect').hidden = !action;
  }
}
