// SPDX-License-Identifier: MIT
// `GroupDialog`: the settings and the members of the open group, and what the user may change.

import { nameOf } from '../client/peers.js';
import { byId, make, place, setText } from './dom.js';
import { isGivenUp, viewOfGroupChange } from './failures.js';
import { GroupMembers } from './group-members.js';
import { MemberPicker } from './member-picker.js';
import { problemOfGroupName, visible } from './names.js';
import { isLastOwner, isLeaving, mayAdd, mayChange } from './rights.js';
import { titleOf } from './titles.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').GroupView} GroupView */
/** @typedef {import('../chat-client.js').GroupChanges} GroupChanges */
/** @typedef {import('../chat-client.js').PendingGroupChange} PendingGroupChange */

const dialog = () => /** @type {HTMLDialogElement} */ (document.getElementById('group-dialog'));

/**
 * The settings that a switch shows.
 *
 * @type {{ id: string, setting: 'posting' | 'adding', on: 'all' | 'admins', off: 'all' | 'admins' }[]}
 */
const SWITCHES = [
  { id: 'group-posting', setting: 'posting', on: 'admins', off: 'all' },
  { id: 'group-adding', setting: 'adding', on: 'all', off: 'admins' },
];

export class GroupDialog {
  /** @type {string | undefined} */
  #groupId;
  #members;
  #picker;
  /** The name that the field was filled with. */
  #filledName = '';
  /** The pending changes that are drawn. */
  #drawnPending = '';

  /** @param {ChatClient} chat */
  constructor(chat) {
    this.chat = chat;
    this.#members = new GroupMembers(byId('group-members'), chat, {
      onChange: (changes) => this.#change(changes),
      onRedraw: () => this.draw(),
    });
    this.#picker = new MemberPicker(byId('group-picker'), {
      chat,
      label: 'Add people',
      submits: true,
      problemOf: (user) => (this.#has(user) ? `${visible(user)} is already a member.` : ''),
    });
    byId('group').onclick = () => this.#show();
    byId('group-close').onclick = () => dialog().close();
    onSubmit('group-rename', () => this.#rename());
    onSubmit('group-add', () => this.#add());
    for (const { id, setting, on, off } of SWITCHES) {
      byId(id).onchange = () => this.#change({ [setting]: byId(id).checked ? on : off });
    }
    byId('group-leave').onclick = () => this.#askToLeave(true);
    byId('group-stay').onclick = () => this.#askToLeave(false);
    byId('group-leave-now').onclick = () => this.#leave();
  }

  /** @param {string | null} key of the open conversation */
  open(key) {
    this.#groupId = key === null ? undefined : nameOf(key).groupId;
    dialog().close();
  }

  /** Draws what has changed while the dialog is open. */
  draw() {
    if (!dialog().open || this.#groupId === undefined) return;
    const c = this.#conversation;
    const { group, groupChanges } = c;
    if (!group) return;
    setText(byId('group-heading'), titleOf(c));
    setText(byId('group-facts'), factsOf(group));
    byId('group-rename').hidden = !mayChange(group);
    byId('group-settings').hidden = !mayChange(group);
    for (const { id, setting, on } of SWITCHES) {
      byId(id).checked = queuedValue(c, setting) === on;
    }
    byId('group-add').hidden = !mayAdd(group);
    this.#members.draw(group, groupChanges);
    this.#drawPending(groupChanges);
    byId('group-members-heading').hidden = group.left;
    if (byId('group-name').value === this.#filledName && !groupChanges.length) this.#fillName(group.name);
    this.#drawLeaving(group, isLeaving(c, this.chat.userId ?? ''));
    // The focus must not fall to the document when what had it is gone, or hidden.
    const active = document.activeElement;
    if (!dialog().contains(active) || !active?.getClientRects().length) byId('group-close').focus();
  }

  /**
   * @param {GroupView} group
   * @param {boolean} isGone whether the user has left, or is about to
   */
  #drawLeaving(group, isGone) {
    const isLast = isLastOwner(group);
    // Only with the list of members it is known whether there is another owner.
    const mayLeave = group.members !== undefined && !isGone;
    if (!mayLeave) byId('group-leaving').hidden = true;
    byId('group-leave').hidden = !mayLeave || !byId('group-leaving').hidden;
    byId('group-leave').disabled = isLast;
    setText(byId('group-last-owner'), mayLeave && isLast ? 'To leave, make another member an owner first.' : '');
    const isAlone = group.members?.length === 1;
    setText(
      byId('group-alone'),
      isAlone ? 'You are the only member. After you leave, no one can be added any more.' : '',
    );
  }

  #show() {
    const groupId = this.#groupId;
    if (groupId === undefined) return;
    this.#fillName(queuedValue(this.#conversation, 'name'));
    this.#picker.clear();
    this.#showError('');
    byId('group-leaving').hidden = true;
    dialog().showModal();
    this.#members.open(groupId);
    this.draw();
    if (this.#group?.left) return;
    // Also what an earlier attempt could not load. It waits for a connection.
    this.chat.loadGroup({ groupId }).catch(({ code, message }) => {
      if (code !== 'closed' && groupId === this.#groupId) this.#showError(message);
    });
  }

  get #conversation() {
    return this.chat.conversation({ groupId: this.#groupId });
  }

  get #group() {
    return this.#conversation.group;
  }

  /** @param {string} user */
  #has(user) {
    return this.#group?.members?.some(({ userId }) => userId === user) === true;
  }

  /** @param {string} [name] */
  #fillName(name = '') {
    byId('group-name').value = name;
    this.#filledName = name;
  }

  #rename() {
    const name = byId('group-name').value.trim();
    const problem = problemOfGroupName(name);
    this.#showError(problem);
    if (problem || name === queuedValue(this.#conversation, 'name')) return;
    this.#filledName = name;
    this.#change({ name });
  }

  #add() {
    const add = this.#picker.take();
    if (!add?.length) return;
    this.#picker.clear();
    this.#change({ add });
  }

  /** @param {boolean} isAsking */
  #askToLeave(isAsking) {
    byId('group-leaving').hidden = !isAsking;
    this.draw();
    byId(isAsking ? 'group-stay' : 'group-leave').focus();
  }

  #leave() {
    dialog().close();
    this.#change({ remove: [this.chat.userId ?? ''] });
  }

  /** @param {GroupChanges} changes */
  async #change(changes) {
    const groupId = this.#groupId;
    this.#showError('');
    try {
      await this.chat.changeGroup({ groupId }, changes);
    } catch (error) {
      const refusal = /** @type {import('../chat-client.js').ChatError} */ (error);
      const { groupChanges } = this.chat.conversation({ groupId });
      const isShown = groupChanges.some(({ failed }) => failed?.message === refusal.message);
      if (isShown || isGivenUp(refusal) || groupId !== this.#groupId) return;
      this.#showError(refusal.message);
      this.draw();
    }
  }

  /** @param {readonly PendingGroupChange[]} changes */
  #drawPending(changes) {
    const drawn = JSON.stringify(changes.map(({ clientMessageId, failed }) => [clientMessageId, failed]));
    if (drawn === this.#drawnPending) return;
    this.#drawnPending = drawn;
    const items = changes.map((change) =>
      make('li', change.failed ? '' : 'soft', ...viewOfGroupChange(this.chat, change)),
    );
    place(byId('group-pending'), items);
  }

  /** @param {string} text */
  #showError(text) {
    byId('group-error').textContent = text;
  }
}

/**
 * A setting after all queued changes.
 *
 * @param {Pick<import('../chat-client.js').Conversation, 'group' | 'groupChanges'>} c
 * @param {'name' | 'posting' | 'adding'} setting
 */
function queuedValue({ group, groupChanges }, setting) {
  const queued = groupChanges.filter((change) => !change.failed && change.group[setting] !== undefined).at(-1);
  return queued?.group[setting] ?? group?.[setting];
}

/**
 * @param {string} id of a form
 * @param {() => void} work
 */
function onSubmit(id, work) {
  byId(id).addEventListener('submit', (event) => {
    event.preventDefault();
    work();
  });
}

/** @param {GroupView} group */
function factsOf(group) {
  if (group.left) return 'You are no longer a member of this group.';
  const parts = [];
  if (group.history === 'all') parts.push('New members see all messages.');
  if (group.history === 'joined') parts.push('New members see the messages that are sent after they join.');
  // An owner has switches for the rest.
  if (mayChange(group)) return parts.join(' ');
  if (group.posting === 'admins') parts.push('Only admins can send messages.');
  if (group.adding === 'all') parts.push('All members can add others.');
  return parts.join(' ');
}
