// SPDX-License-Identifier: MIT
// `GroupMembers`: the list of the members of a group, with their roles. Each keeps its row, so that the focus stays.

import { byId, make, place } from './dom.js';
import { paintAvatar, visible } from './names.js';
import { mayChange, mayRemove } from './rights.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').GroupView} GroupView */
/** @typedef {import('../chat-client.js').Role} Role */
/** @typedef {{ userId: string, role: Role }} Member */

/** @type {Role[]} */
const ROLES = ['owner', 'admin', 'member'];

/** @param {Role} role */
const labelOf = (role) => role.charAt(0).toUpperCase() + role.slice(1);

export class GroupMembers {
  /** @type {Map<string, HTMLElement>} by user id */
  #rows = new Map();
  /** @type {Set<string>} */
  #online = new Set();

  /**
   * @param {HTMLElement} node
   * @param {ChatClient} chat
   * @param {(changes: import('../chat-client.js').GroupChanges) => void} onChange
   */
  constructor(node, chat, onChange) {
    this.node = node;
    this.chat = chat;
    this.onChange = onChange;
  }

  /**
   * Asks which members are online. The service tells it only in groups that are not too large.
   *
   * @param {string} groupId
   */
  async ask(groupId) {
    this.#online.clear();
    if (this.chat.options.presence === false) return;
    const known = await this.chat.presence({ groupId }).catch(() => []);
    this.#online = new Set(known.flatMap(({ userId, online }) => (online ? [userId] : [])));
    const { group, groupChanges } = this.chat.conversation({ groupId });
    if (group) this.draw(group, groupChanges);
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
    const rows = this.#rows;
    this.#rows = new Map();
    for (const member of members) {
      const row = rows.get(member.userId) ?? make('li');
      this.#rows.set(member.userId, row);
      this.#drawRow(row, member, group, waiting.has(member.userId));
    }
    const had = this.node.contains(document.activeElement);
    place(this.node, [...this.#rows.values()]);
    // The focus must not fall to the document.
    if (had && !this.node.contains(document.activeElement)) byId('group-close').focus();
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
    const mayGiveRole = mayChange(group) && !isMe && !isWaiting;
    const isRemovable = !isMe && mayRemove(group, role) && !isWaiting;
    const shown = JSON.stringify([role, isOnline, isWaiting, mayGiveRole, isRemovable]);
    if (row.dataset.shown === shown) return;
    row.dataset.shown = shown;
    const avatar = paintAvatar(make('span', 'avatar'), userId);
    avatar.setAttribute('aria-hidden', 'true');
    const states = [isMe && 'you', isOnline && 'online', isWaiting && 'waiting …'].filter(Boolean).join(', ');
    const parts = [avatar, make('span', 'who', make('bdi', 'name', visible(userId)), make('span', 'soft', states))];
    parts.push(
      mayGiveRole ? this.#makeSelect(userId, role) : make('span', 'soft', role === 'member' ? '' : labelOf(role)),
    );
    if (isRemovable) parts.push(this.#makeRemove(userId));
    row.replaceChildren(...parts);
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
    button.onclick = () => this.onChange({ remove: [userId] });
    return button;
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
