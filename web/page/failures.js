// SPDX-License-Identifier: MIT
// What the service refused, with the reason and what the user can do.

import { make } from './dom.js';
import { taskOf } from './notices.js';
import { shownReaction } from './reactions.js';

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
 * @param {ChatClient} chat
 * @param {PendingGroupChange} change that has failed
 */
export function failureOfGroupChange(chat, change) {
  const text = `Could not ${taskOf(change, chat.userId ?? '')}: ${withoutField(change.failed?.message)}`;
  return failure(chat, change.clientMessageId, text, 'Discard');
}

/**
 * @param {ChatClient} chat
 * @param {string} clientMessageId
 * @param {string} reason
 * @param {() => void} onDiscard
 */
export const failureOfNewGroup = (chat, clientMessageId, reason, onDiscard) =>
  failure(chat, clientMessageId, `Could not create it: ${withoutField(reason)}`, 'Discard', onDiscard);

/**
 * @param {ChatClient} chat
 * @param {string} clientMessageId
 * @param {string} reason
 */
export const failureOfMessage = (chat, clientMessageId, reason) =>
  failure(chat, clientMessageId, `Not sent: ${reason}`, 'Delete');

/**
 * @param {ChatClient} chat
 * @param {string} clientMessageId
 * @param {string} text
 * @param {string} removal label of the button that removes what was refused
 * @param {() => void} [onRemoval]
 */
function failure(chat, clientMessageId, text, removal, onRemoval) {
  const retry = make('button', '', 'Try again');
  retry.onclick = () => chat.retry(clientMessageId);
  const discard = make('button', '', removal);
  discard.onclick = () => chat.discard(clientMessageId).then(onRemoval);
  return make('div', 'failure', text, retry, discard);
}

/**
 * Without the field of the request, which users don't know.
 *
 * @param {string} [reason]
 */
const withoutField = (reason = '') => reason.replace(/^[a-z]+: /i, '');
