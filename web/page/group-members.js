// SPDX-License-Identifier: MIT
// `GroupMembers`: the list of the members of a group, with their roles. Each keeps its row, so that the focus stays.

import { make, place } from './dom.js';
import { keepFocus } from './focus.js';
import { makeAvatar, paintAvatar, visible } from './names.js';
import { isLastOwner, mayChange, mayRemove } from './rights.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').GroupView} GroupView */
/** @typedef {import('../chat-client.js').Role} Role */
/** @typedef {{ userId: string, role: Role }} Member */

/** @type {Role[]} */
const ROLES = ['owner', 'admin', 'member'];

/** @param {Role} role */
const labelOf = (role) => role.charAt(0).toUpperCase() + role.slice(1);

export class GroupMembers {
  #groupId = '';
  /** @type {Map<string, HTMLElement>} by user id */
  #rows = new Map();
  /** @type {Set<string>} */
  #online = new Set();
  /** The member who will be removed if the user confirms it. */
  #asked = '';

  /**
   * @param {HTMLElement} node
   * @param {ChatClient} chat
   * @param {object} reactors
   * @param {(changes: import('../chat-client.js').GroupChanges) => void} reactors.onChange
   * @param {() => void} reactors.onRedraw is called when the list must be drawn again
   */
  constructor(node, chat, { onChange, onRedraw }) {
    this.node = node;
    this.chat = chat;
    this.onChange = onChange;
    this.onRedraw = onRedraw;
  }

  /**
   * Begins anew, and asks which members are online. The service tells it only in groups that are not too large.
   *
   * @param {string} groupId
   */
  async open(groupId) {
    this.#groupId = groupId;
    this.#asked = '';
    this.#online.clear();
    if (this.chat.options.presence === false || this.chat.conversation({ groupId }).group?.left) return;
    const known = await this.chat.presence({ groupId }).catch(() => []);
    if (groupId !== this.#groupId) return;
    this.#online = new Set(known.flatMap(({ userId, online }) => (online ? [userId] : [])));
    this.onRedraw();
  }

  /**
   * @param {GroupView} group
   * @param {readonly import('../chat-client.js').PendingGroupChange[]} changes own ones that are queued or failed
   */
  draw(group, changes) {
    if (!group.members && !group.left) return this.node.replaceChildren(make('li', 'soft', 'Loading …'));
    // After leaving, what the client knows of the members is old.
    const members = group.left ? [] : [...(group.members ?? [])].sort(compare);
    const waiting = new Set(changes.flatMap((change) => (change.failed ? [] : usersOf(change.group))));
    // A role is shown as it will be.
    /** @type {Record<string, Role>} */
    const queued = Object.assign({}, ...changes.map((change) => (change.failed ? {} : change.group.roles)));
    const rows = this.#rows;
    this.#rows = new Map();
    const drawRows = () => {
      for (const member of members) {
        const row = rows.get(member.userId) ?? make('li');
        this.#rows.set(member.userId, row);
        const role = Object.hasOwn(queued, member.userId) ? queued[member.userId] : member.role;
        this.#drawRow(row, { ...member, role }, group, waiting.has(member.userId));
      }
      place(this.node, [...this.#rows.values()]);
    };
    keepFocus(
      this.node,
      drawRows,
      (row, { tagName }) => row.querySelector(tagName) ?? row.querySelector('button, select'),
    );
  }

  /**
   * @param {HTMLElement} row
   * @param {Member} member
   * @param {GroupView} group
   * @param {boolean} isWaiting whether a change of the member is queued
   */
  #drawRow(row, { userId, role }, group, isWaiting) {
    const isMe = userId === this.chat.userId;
    const isOnline = !isMe && this.#online.has(userId);
    const mayGiveRole = mayChange(group) && !(isMe && isLastOwner(group)) && group.members?.length !== 1;
    const isRemovable = !isMe && mayRemove(group, role) && !isWaiting;
    const isAsked = isRemovable && userId === this.#asked;
    const shown = JSON.stringify([role, isOnline, isWaiting, mayGiveRole, isRemovable, isAsked]);
    if (row.dataset.shown === shown) return;
    row.dataset.shown = shown;
    const states = [isMe && 'you', isOnline && 'online', isWaiting && 'waiting …'].filter(Boolean).join(', ');
    const parts = [
      paintAvatar(makeAvatar(), userId),
      make('span', 'who', make('bdi', 'name', visible(userId)), make('span', 'soft', states)),
    ];
    if (isAsked) parts.push(...this.#makeQuestion(userId));
    else if (mayGiveRole) parts.push(this.#makeSelect(userId, role));
    else parts.push(make('span', 'soft', role === 'member' ? '' : labelOf(role)));
    if (isRemovable && !isAsked) parts.push(this.#makeRemove(userId));
    row.replaceChildren(...parts);
  }

  /**
   * Asks before a member is removed.
   *
   * @param {string} userId empty to ask no longer
   */
  #ask(userId) {
    this.#asked = userId;
    this.onRedraw();
  }

  /**
   * @param {string} userId
   * @param {Role} role
   */
  #makeSelect(userId, role) {
    const options = ROLES.map((value) => Object.assign(make('option', '', labelOf(value)), { value }));
    const select = /** @type {HTMLSelectElement} */ (make('select', '', ...options));
    select.value = role;
    select.setAttribute('aria-label', `Role of ${visible(userId)}`);
    select.onchange = () => this.onChange({ roles: { [userId]: /** @type {Role} */ (select.value) } });
    return select;
  }

  /** @param {string} userId */
  #makeRemove(userId) {
    const button = make('button', '', 'Remove');
    button.setAttribute('type', 'button');
    button.setAttribute('aria-label', `Remove ${visible(userId)} from the group`);
    button.onclick = () => this.#ask(userId);
    return button;
  }

  /**
   * "Cancel" is in the place of the button that asked, so that a double click removes no member.
   *
   * @param {string} userId
   */
  #makeQuestion(userId) {
    const remove = make('button', 'danger', 'Remove');
    remove.setAttribute('aria-label', `Remove ${visible(userId)} now`);
    remove.onclick = () => {
      this.#asked = '';
      this.onChange({ remove: [userId] });
    };
    const cancel = make('button', '', 'Cancel');
    cancel.onclick = () => this.#ask('');
    for (const button of [remove, cancel]) button.setAttribute('type', 'button');
    return [remove, cancel];
  }
}

/**
 * Owners first, then admins, each by name.
 *
 * @param {Member} a
 * @param {Member} b
 */
const compare = (a, b) => ROLES.indexOf(a.role) - ROLES.indexOf(b.role) || a.userId.localeCompare(b.userId);

/** @param {import('../chat-client.js').GroupChanges} changes @returns {string[]} */
const usersOf = ({ add = [], remove = [], roles = {} }) => [...add, ...remove, ...Object.keys(roles)];
