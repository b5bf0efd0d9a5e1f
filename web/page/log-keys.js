// SPDX-License-Identifier: MIT
// `LogKeys`: the keyboard in the log. Only the controls of one message are stops of the Tab key, so that it does not take
// hundreds of them to leave the log. The arrow keys go to other messages.

import { byId } from './dom.js';

/** What can be used in a message. Links and failures are always stops of the Tab key. */
const CONTROLS = '.act, .reaction, .quote';

export class LogKeys {
  #log = byId('log');
  /** @type {Element | undefined} */
  #current;

  constructor() {
    this.#log.addEventListener('focusin', ({ target }) => this.#choose(messageOf(target)));
    this.#log.addEventListener('click', ({ target }) => this.#choose(messageOf(target)));
    this.#log.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** After a drawing. While the log does not have the focus, the newest message with a menu is the current one. */
  follow() {
    const hasFocus = this.#log.contains(document.activeElement) && this.#current?.isConnected;
    const menus = this.#log.querySelectorAll('.act');
    if (!hasFocus && menus.length) this.#choose(messageOf(menus[menus.length - 1]));
    else this.#enable(0);
  }

  /** @param {Element | null} message */
  #choose(message) {
    if (!message) return;
    if (message !== this.#current) {
      this.#enable(-1);
      this.#current?.classList.remove('current');
      this.#current = message;
      message.classList.add('current');
    }
    this.#enable(0);
  }

  /** @param {number} tabIndex */
  #enable(tabIndex) {
    /** @type {NodeListOf<HTMLElement>} */
    const controls = this.#current?.querySelectorAll(CONTROLS) ?? document.querySelectorAll('never');
    for (const control of controls) control.tabIndex = tabIndex;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = { ArrowUp: 'previousElementSibling', ArrowDown: 'nextElementSibling' }[event.key];
    const message = messageOf(event.target);
    if (!step || !message || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const direction = /** @type {'previousElementSibling' | 'nextElementSibling'} */ (step);
    let next = message[direction];
    while (next && !next.classList.contains('message')) next = next[direction];
    if (!next) return;
    const button = next.querySelector('.act') ?? next;
    /** @type {HTMLElement} */ (button).focus({ preventScroll: true });
    next.scrollIntoView({ block: 'nearest' });
  }
}

/** @param {EventTarget | null} target */
const messageOf = (target) => /** @type {Element} */ (target).closest('.message');
