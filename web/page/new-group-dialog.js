// SPDX-License-Identifier: MIT
// `NewGroupDialog`: asks what a new group is like, and creates it.

import { nextAct } from './acts.js';
import { byId } from './dom.js';
import { isGivenUp } from './failures.js';
import { MemberPicker } from './member-picker.js';
import { problemOfGroupName } from './names.js';

const dialog = () => /** @type {HTMLDialogElement} */ (document.getElementById('new-group'));

export class NewGroupDialog {
  #members;

  /**
   * @param {import('../chat-client.js').ChatClient} chat
   * @param {object} options
   * @param {(groupId: string) => void} options.onCreate is called when a group is stored that was created here, unless the user
   *   has done something else meanwhile
   */
  constructor(chat, { onCreate }) {
    this.chat = chat;
    this.onCreate = onCreate;
    this.#members = new MemberPicker(byId('new-group-members'), {
      chat,
      label: 'Other members',
      problemOf: (user) => (user === chat.userId ? 'You are already a member.' : ''),
    });
    byId('new-group-open').onclick = () => this.#show();
    byId('new-group-close').onclick = () => dialog().close();
    byId('new-group-name').oninput = () => this.#showError('');
    byId('new-group-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  #show() {
    this.#showError('');
    dialog().showModal();
    byId('new-group-name').focus();
  }

  #submit() {
    const name = byId('new-group-name').value.trim();
    const members = this.#members.take();
    const problem = problemOfGroupName(name);
    this.#showError(problem);
    if (!members || problem) return;
    this.#create({ name, members, history: byId('new-group-history').checked ? 'all' : 'joined' });
  }

  /** @param {import('../chat-client.js').NewGroup} group */
  #create(group) {
    const { chat } = this;
    const acted = nextAct();
    const created = chat.createGroup(group);
    this.#clear();
    dialog().close();
    created.then(
      (groupId) => {
        if (acted.aborted) return;
        this.onCreate(groupId);
      },
      (error) => {
        // What was queued is shown in the list, with the reason.
        const isShown = chat.newGroups.some(({ failed }) => failed?.message === error.message);
        if (isShown || isGivenUp(error)) return;
        this.#show();
        this.#showError(error.message);
      },
    );
  }

  #clear() {
    byId('new-group-name').value = '';
    byId('new-group-history').checked = true;
    this.#members.clear();
    this.#showError('');
  }

  /** @param {string} text */
  #showError(text) {
    byId('new-group-error').textContent = text;
  }
}
