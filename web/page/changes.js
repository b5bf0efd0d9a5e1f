// SPDX-License-Identifier: MIT
// Own changes that are not stored yet: what a message looks like with them.

import { messageAt } from './order.js';

/** @typedef {import('../chat-client.js').Conversation} Conversation */
/** @typedef {import('../chat-client.js').Message} Message */
/** @typedef {import('../chat-client.js').PendingChange} PendingChange */

/**
 * @param {readonly PendingChange[]} changes
 * @returns {Map<number, PendingChange[]>} by the `seq` of the message that they change
 */
export function changesByTarget(changes) {
  /** @type {Map<number, PendingChange[]>} */
  const byTarget = new Map();
  for (const change of changes) {
    const others = byTarget.get(change.target);
    if (others) others.push(change);
    else byTarget.set(change.target, [change]);
  }
  return byTarget;
}

/**
 * A message as it will be when the queued changes are stored. Failed ones leave it as it is.
 *
 * @param {Message} m
 * @param {readonly PendingChange[] | undefined} changes of this message
 * @param {string} me
 * @returns {Message}
 */
export function withChanges(m, changes, me) {
  let changed = m;
  for (const change of changes ?? []) if (!change.failed && !changed.deleted) changed = apply(changed, change, me);
  return changed;
}

/**
 * A message as the user sees it.
 *
 * @param {Conversation} c
 * @param {number} seq
 * @param {string} me
 * @returns {Message | undefined} undefined if the client does not hold it
 */
export function shownMessage({ messages, changes }, seq, me) {
  const held = messageAt(messages, seq);
  const own = changes.filter(({ target }) => target === seq);
  return held && withChanges(held, own, me);
}

/**
 * @param {Message} m
 * @param {PendingChange} change
 * @param {string} me
 * @returns {Message}
 */
function apply(m, { kind, content = '', reaction = '', on, queuedAt }, me) {
  if (kind === 'edit') return { ...m, content, editedAt: queuedAt };
  if (kind === 'react') return { ...m, reactions: withReaction(m.reactions ?? {}, reaction, me, on === true) };
  const { replyTo: _, mentions: __, editedAt: ___, reactions: ____, ...rest } = m;
  return { ...rest, content: '', deleted: { at: queuedAt, by: me } };
}

/**
 * @param {Record<string, string[]>} reactions
 * @param {string} reaction
 * @param {string} me
 * @param {boolean} on
 */
function withReaction(reactions, reaction, me, on) {
  const users = (Object.hasOwn(reactions, reaction) ? reactions[reaction] : []).filter((user) => user !== me);
  if (on && hasReacted(reactions, reaction, me)) return reactions;
  if (on) users.push(me);
  // Assigned by a list of entries, because a reaction may be any text, such as `__proto__`.
  const others = Object.entries(reactions).map(([text, list]) => (text === reaction ? [text, users] : [text, list]));
  if (!Object.hasOwn(reactions, reaction)) others.push([reaction, users]);
  return Object.fromEntries(others.filter(([, list]) => list.length));
}

/**
 * @param {Record<string, string[]> | undefined} reactions
 * @param {string} reaction
 * @param {string} user
 */
export const hasReacted = (reactions, reaction, user) =>
  reactions !== undefined && Object.hasOwn(reactions, reaction) && reactions[reaction].includes(user);
