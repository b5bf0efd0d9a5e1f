// SPDX-License-Identifier: MIT
// Changes of a group as sentences: "Alice added Bob and Carol".

import { entryOf } from '../client/group.js';
import { visible } from './names.js';

/** @typedef {import('../chat-client.js').GroupEntry} GroupEntry */
/** @typedef {import('../chat-client.js').PendingGroupChange} PendingGroupChange */
/** @typedef {Partial<GroupEntry> & { senderId: string }} Change */

const list = new Intl.ListFormat('en', { type: 'conjunction' });

const ROLES = { owner: 'an owner', admin: 'an admin', member: 'a member' };

/**
 * Names in the middle of a sentence.
 *
 * @param {readonly string[]} users
 * @param {string} me
 */
export const namesOf = (users, me) => list.format(users.map((user) => (user === me ? 'you' : visible(user))));

/**
 * @param {Change} change
 * @param {string} me
 */
export function sentenceOf(change, me) {
  const { senderId, created, name, added = [], removed = [], roles = {}, posting, adding } = change;
  const who = senderId === me ? 'You' : visible(senderId);
  const names = (/** @type {readonly string[]} */ users) => namesOf(users, me);
  /** @type {string[]} */
  const parts = [];
  if (created) parts.push(`created the group “${visible(name ?? '')}”`);
  else if (name !== undefined) parts.push(`renamed the group to “${visible(name)}”`);
  if (added.length) parts.push(`added ${names(added)}`);
  const others = removed.filter((user) => user !== senderId);
  if (others.length) parts.push(`removed ${names(others)}`);
  for (const [user, role] of Object.entries(roles)) parts.push(`made ${names([user])} ${ROLES[role]}`);
  // What a new group is like needs a word only if it is unusual.
  if (posting === 'admins') parts.push('allowed only admins to send messages');
  if (posting === 'all' && !created) parts.push('allowed all members to send messages');
  if (adding === 'all') parts.push('allowed all members to add others');
  if (adding === 'admins' && !created) parts.push('allowed only admins to add others');
  if (others.length !== removed.length) parts.push('left');
  return `${who} ${list.format(parts)}`;
}

/**
 * An own change that is not stored yet, as the entry will say it.
 *
 * @param {PendingGroupChange} change
 * @param {string} me
 */
export const sentenceOfPending = (change, me) =>
  sentenceOf({ .../** @type {Partial<GroupEntry>} */ (entryOf({ ...change, n: 0 })), senderId: me }, me);
