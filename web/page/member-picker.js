// SPDX-License-Identifier: MIT
// `MemberPicker`: a field for the names of users, and the list of those that were entered.

import { make, place } from './dom.js';
import { problemOfName, visible } from './names.js';

/** The most users that one change of a group may name. */
const MOST = 48;

let pickers = 0;

export class MemberPicker {
  #input = /** @type {HTMLInputElement} */ (make('input'));
  #known = make('datalist');
  #error = make('p', 'error');
  #chosen = make('ul', 'chosen');
  /** @type {Map<string, HTMLElement>} by user id */
  #items = new Map();

  /**
   * @param {HTMLElement} node that it fills
   * @param {object} options
   * @param {string} options.label
   * @param {import('../chat-client.js').ChatClient} options.chat
   * @param {boolean} [options.submits] whether its button submits the form, and not only adds to the list
   * @param {(user: string) => string} options.problemOf says why a user can't be chosen; empty if they can
   */
  constructor(node, { label, chat, submits = false, problemOf }) {
    this.chat = chat;
    this.problemOf = problemOf;
    pickers += 1;
    const id = `members-${pickers}`;
    Object.assign(this.#input, { id, autocomplete: 'off', autocapitalize: 'none', spellcheck: false, dir: 'auto' });
    this.#input.placeholder = 'Name';
    this.#known.id = `${id}-known`;
    this.#error.id = `${id}-error`;
    this.#error.setAttribute('role', 'alert');
    this.#input.setAttribute('list', this.#known.id);
    this.#input.setAttribute('aria-describedby', this.#error.id);
    this.#input.onfocus = () => this.#suggest();
    this.#input.onkeydown = (event) => {
      // An empty field lets Enter submit the form.
      if (event.key !== 'Enter' || event.isComposing || !this.#input.value.trim()) return;
      event.preventDefault();
      this.#take();
    };
    const text = make('label', '', label);
    text.setAttribute('for', id);
    const add = make('button', '', 'Add');
    add.setAttribute('type', submits ? 'submit' : 'button');
    add.onclick = () => {
      if (!submits) this.#take();
      this.#input.focus();
    };
    node.append(text, make('div', 'row', this.#input, add), this.#known, this.#error, this.#chosen);
  }

  /**
   * The users that were chosen, with the one in the field.
   *
   * @returns {string[] | undefined} undefined if that one can't be chosen; the picker says why
   */
  take() {
    return this.#input.value.trim() && !this.#take() ? undefined : [...this.#items.keys()];
  }

  clear() {
    this.#input.value = '';
    this.#error.textContent = '';
    this.#items.clear();
    this.#draw();
  }

  /** @returns {boolean} whether the user in the field was chosen */
  #take() {
    const user = this.#input.value.trim();
    const problem = user && (problemOfName(user) || this.#problemOf(user));
    this.#error.textContent = problem;
    if (problem || !user) return false;
    this.#input.value = '';
    this.#items.set(user, this.#makeItem(user));
    this.#draw();
    return true;
  }

  /** @param {string} user */
  #problemOf(user) {
    if (this.#items.has(user)) return `${visible(user)} is already in the list.`;
    if (this.#items.size === MOST) return `Add at most ${MOST} people at once. You can add more afterwards.`;
    return this.problemOf(user);
  }

  /** @param {string} user */
  #makeItem(user) {
    const remove = make('button', '', '×');
    remove.setAttribute('type', 'button');
    remove.setAttribute('aria-label', `Remove ${visible(user)} from the list`);
    remove.onclick = () => {
      this.#items.delete(user);
      this.#draw();
      this.#input.focus();
    };
    return make('li', '', make('bdi', '', visible(user)), remove);
  }

  #draw() {
    place(this.#chosen, [...this.#items.values()]);
  }

  /** Suggests users with whom there is a conversation. */
  #suggest() {
    const users = this.chat.conversations.flatMap(({ peer }) =>
      peer === undefined || this.#problemOf(peer) ? [] : [peer],
    );
    const options = users.map((user) => Object.assign(make('option'), { value: user }));
    this.#known.replaceChildren(...options);
  }
}
