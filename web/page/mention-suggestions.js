// SPDX-License-Identifier: MIT
// `MentionSuggestions`: the users that a mention may name, beside the text in which it is written. The focus stays in the
// text.

import { byId, make } from './dom.js';
import { begunMention } from './mentions.js';
import { makeAvatar, paintAvatar, visible } from './names.js';

/** The most users that are shown. */
const MOST = 6;

export class MentionSuggestions {
  #box = byId('text');
  #list = byId('suggestions');
  /** @type {readonly string[]} */
  #shown = [];
  /** The index of the user that Enter takes. */
  #active = 0;
  /** The place of the mention whose suggestions were closed; -1 if they were not. */
  #closedAt = -1;

  /** @param {() => readonly string[]} mentionable returns the users that a mention may name */
  constructor(mentionable) {
    this.mentionable = mentionable;
    for (const type of ['input', 'keyup', 'click']) this.#box.addEventListener(type, () => this.#update());
    this.#box.addEventListener('blur', () => this.#show([]));
  }

  /**
   * Handles a key that was pressed in the text.
   *
   * @param {KeyboardEvent} event
   * @returns {boolean} whether it was for the suggestions
   */
  onKey({ key, shiftKey, ctrlKey, metaKey, altKey }) {
    if (!this.#shown.length || shiftKey || ctrlKey || metaKey || altKey) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (step) this.#activate((this.#active + step + this.#shown.length) % this.#shown.length);
    else if (key === 'Enter' || key === 'Tab') this.#take(this.#shown[this.#active]);
    else if (key === 'Escape') this.#close();
    else return false;
    return true;
  }

  /** Shows who can be mentioned now: members come and go, and are loaded after the group is opened. */
  refresh() {
    if (document.activeElement === this.#box) this.#update();
    else this.#show([]);
  }

  /** Hides the suggestions until another mention begins. */
  #close() {
    this.#closedAt = this.#mention?.place ?? -1;
    this.#show([]);
  }

  /** What is written of the mention at the cursor, and the places of its `@` and of the cursor. */
  get #mention() {
    const { value, selectionStart: end, selectionEnd } = this.#box;
    if (end === null || end !== selectionEnd) return undefined;
    const begun = begunMention(value.slice(0, end));
    return begun === undefined ? undefined : { begun: begun.toLowerCase(), place: end - begun.length - 1, end };
  }

  #update() {
    const mention = this.#mention;
    const isClosed = mention?.place === this.#closedAt;
    if (!isClosed) this.#closedAt = -1;
    this.#show(mention && !isClosed ? this.#fitting(mention.begun) : []);
  }

  /** @param {string} begun in lower case */
  #fitting(begun) {
    const users = this.mentionable().filter((user) => user.toLowerCase().startsWith(begun));
    // One that is written out needs no suggestion: Enter sends the message.
    if (users.length === 1 && users[0].toLowerCase() === begun) return [];
    return users.sort((one, other) => one.localeCompare(other)).slice(0, MOST);
  }

  /** @param {readonly string[]} users */
  #show(users) {
    if (users.length === this.#shown.length && users.every((user, n) => user === this.#shown[n])) return;
    this.#shown = users;
    this.#list.replaceChildren(...users.map((user, n) => this.#makeOption(user, n)));
    this.#list.hidden = !users.length;
    this.#activate(0);
  }

  /**
   * @param {string} user
   * @param {number} n
   */
  #makeOption(user, n) {
    const option = make('li', '', paintAvatar(makeAvatar(), user), make('bdi', '', visible(user)));
    option.id = `suggestion-${n}`;
    option.setAttribute('role', 'option');
    // The text keeps the focus.
    option.onpointerdown = (event) => event.preventDefault();
    option.onclick = () => this.#take(user);
    return option;
  }

  /** @param {number} n */
  #activate(n) {
    this.#active = n;
    for (const [index, option] of [...this.#list.children].entries()) {
      option.setAttribute('aria-selected', String(index === n));
    }
    if (this.#shown.length) this.#box.setAttribute('aria-activedescendant', `suggestion-${n}`);
    else this.#box.removeAttribute('aria-activedescendant');
  }

  /** @param {string} user */
  #take(user) {
    const mention = this.#mention;
    if (!mention) return;
    const { place, end } = mention;
    const space = /^($|[\p{L}\p{N}_])/u.test(this.#box.value.slice(end)) ? ' ' : '';
    this.#close();
    this.#box.setRangeText(`@${user}${space}`, place, end, 'end');
    this.#box.dispatchEvent(new Event('input', { bubbles: true }));
  }
}
