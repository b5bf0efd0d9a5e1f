// SPDX-License-Identifier: MIT
// What the service refused, with the reason and what the user can do; and own changes of a group that are not stored yet.

import { make } from './dom.js';
import { taskOf } from './group-sentences.js';
import { shownReaction } from './reactions.js';
import { tick } from './ticks.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').PendingChange} PendingChange */
/** @typedef {import('../chat-client.js').PendingGroupChange} PendingGroupChange */

/**
 * @param {PendingChange} change
 * @returns {string} what did not happen
 */
function whatOf({ kind, reaction = '', on }) {
  if (kind === 'edit') return 'Not edited';
  if (kind === 'delete') return 'Not deleted';
  return `${shownReaction(reaction)} not ${on ? 'added' : 'removed'}`;
}

/**
 * @param {ChatClient} chat
 * @param {PendingChange} change that has failed
 */
export const failureOfChange = (chat, change) =>
  failure(chat, change.clientMessageId, `${whatOf(change)}: ${change.failed?.message}`, 'Discard');

/**
 * An own change of a group that is queued or was refused.
 *
 * @param {ChatClient} chat
 * @param {PendingGroupChange} change
 * @returns {(Node | string)[]}
 */
export function viewOfGroupChange(chat, change) {
  const task = taskOf(change, chat.userId ?? '');
  if (!change.failed) return [tick('queued'), ` Waiting to ${task}`];
  const text = `Could not ${task}: ${withoutField(change.failed.message)}`;
  return [failure(chat, change.clientMessageId, text, 'Discard')];
}

/**
 * Whether what failed was given up, by the user or with the page, so that there is nothing to say.
 *
 * @param {{ code: string }} error
 */
export const isGivenUp = ({ code }) => code === 'closed' || code === 'discarded';

/**
 * @param {ChatClient} chat
 * @param {string} clientMessageId
 * @param {string} reason
 */
export const failureOfNewGroup = (chat, clientMessageId, reason) =>
  failure(chat, clientMessageId, `Could not create it: ${withoutField(reason)}`, 'Discard');

/**
 * @param {ChatClient} chat
 * @param {string} clientMessageId
 * @param {string} reason
 * @param {(() => void) | undefined} onEdit undefined if the user can't send a message now
 */
export function failureOfMessage(chat, clientMessageId, reason, onEdit) {
  const edit = make('button', '', 'Edit');
  // A second click must not do it twice.
  if (onEdit) edit.addEventListener('click', onEdit, { once: true });
  return failure(chat, clientMessageId, `Not sent: ${withoutField(reason)}`, 'Delete', ...(onEdit ? [edit] : []));
}

/**
 * @param {ChatClient} chat
 * @param {string} clientMessageId
 * @param {string} text
 * @param {string} removal label of the button that removes what was refused
 * @param {...HTMLElement} others buttons before that one
 */
function failure(chat, clientMessageId, text, removal, ...others) {
  const retry = make('button', '', 'Try again');
  retry.onclick = () => chat.retry(clientMessageId);
  const discard = make('button', '', removal);
  discard.onclick = () => chat.discard(clientMessageId);
  return make('div', 'failure', text, make('span', 'choices', retry, ...others, discard));
}

/**
 * Without the field of the request, which users don't know.
 *
 * @param {string} reason
 */
const withoutField = (reason) => reason.replace(/^[a-z]+: /i, '');
