// SPDX-License-Identifier: MIT
// `MemberPicker`: a field for the names of users, and in a form with other fields, the list of those that were entered.

import { make, place } from './dom.js';
import { isComposing } from './keyboard.js';
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
   * @param {boolean} [options.submits] whether its button and the key Enter submit the form, instead of adding to the list
   * @param {(user: string) => string} options.problemOf says why a user can't be chosen; empty if they can
   */
  constructor(node, { label, chat, submits = false, problemOf }) {
    this.chat = chat;
    this.problemOf = problemOf;
    pickers += 1;
    const id = `members-${pickers}`;
    Object.assign(this.#input, { id, autocomplete: 'off', autocapitalize: 'none', spellcheck: false, dir: 'auto' });
    this.#input.placeholder = 'Names, with commas between them';
    this.#known.id = `${id}-known`;
    this.#error.id = `${id}-error`;
    this.#error.setAttribute('role', 'alert');
    this.#input.setAttribute('list', this.#known.id);
    this.#input.setAttribute('aria-describedby', this.#error.id);
    this.#input.onfocus = () => this.#suggest();
    this.#input.oninput = () => this.#showError('');
    this.#input.onpaste = (event) => this.#onPaste(event);
    this.#input.onkeydown = (event) => {
      if (submits || event.key !== 'Enter' || isComposing(event)) return;
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
   * The users that were chosen, with those in the field.
   *
   * @returns {string[] | undefined} undefined if one of those can't be chosen; the picker says why
   */
  take() {
    return this.#take() ? [...this.#items.keys()] : undefined;
  }

  clear() {
    this.#input.value = '';
    this.#showError('');
    this.#items.clear();
    this.#draw();
  }

  /** @returns {boolean} whether all users in the field were chosen. The others stay in it */
  #take() {
    const users = this.#entered();
    let problem = '';
    while (users.length) {
      const [user] = users;
      problem = problemOfName(user) || this.#problemOf(user);
      if (problem) break;
      this.#items.set(user, this.#makeItem(user));
      users.shift();
    }
    this.#input.value = users.join(', ');
    this.#showError(problem);
    this.#draw();
    return !problem;
  }

  /** The users in the field. The name of a known one may have a comma. */
  #entered() {
    const text = this.#input.value.trim();
    const isKnown = this.chat.conversations.some(({ peer }) => peer === text);
    return isKnown ? [text] : text.split(/[,;]/).flatMap((name) => name.trim() || []);
  }

  /**
   * A field drops line breaks, which may stand between names.
   *
   * @param {ClipboardEvent} event
   */
  #onPaste(event) {
    const text = event.clipboardData?.getData('text') ?? '';
    if (!/[\r\n]/.test(text)) return;
    event.preventDefault();
    const names = text.split(/[\r\n]+/).filter((line) => line.trim());
    this.#input.setRangeText(names.join(', '), this.#input.selectionStart ?? 0, this.#input.selectionEnd ?? 0, 'end');
  }

  /** @param {string} text */
  #showError(text) {
    this.#error.textContent = text;
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

  /** Suggests the peers of the user's conversations. */
  #suggest() {
    const users = this.chat.conversations.flatMap(({ peer }) =>
      peer === undefined || this.#problemOf(peer) ? [] : [peer],
    );
    const options = users.map((user) => Object.assign(make('option'), { value: user }));
    this.#known.replaceChildren(...options);
  }
}
