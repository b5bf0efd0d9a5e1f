// SPDX-License-Identifier: MIT
// Changes of a group as sentences: "Alice added Bob and Carol".

import { entryOf } from '../client/group.js';
import { visible } from './names.js';

/** @typedef {import('../chat-client.js').GroupEntry} GroupEntry */
/** @typedef {import('../chat-client.js').PendingGroupChange} PendingGroupChange */
/** @typedef {Partial<GroupEntry> & { senderId: string }} Change */

const list = new Intl.ListFormat('en', { type: 'conjunction' });

/**
 * "Alice lets", but "you let".
 *
 * @type {Record<string, { done: string, doneByYou?: string, toDo: string }>}
 */
const VERBS = {
  create: { done: 'created', toDo: 'create' },
  rename: { done: 'renamed', toDo: 'rename' },
  add: { done: 'added', toDo: 'add' },
  remove: { done: 'removed', toDo: 'remove' },
  make: { done: 'made', toDo: 'make' },
  become: { done: 'became', toDo: 'become' },
  let: { done: 'now lets', doneByYou: 'now let', toDo: 'let' },
  leave: { done: 'left', toDo: 'leave' },
};

const ROLES = { owner: 'an owner', admin: 'an admin', member: 'a member' };

/**
 * Names in the middle of a sentence.
 *
 * @param {readonly string[]} users
 * @param {string} me
 */
export const namesOf = (users, me) => list.format(users.map((user) => (user === me ? 'you' : visible(user))));

/**
 * What was done, or is to be done.
 *
 * @param {Change} change
 * @param {string} me
 * @param {'done' | 'doneByYou' | 'toDo'} form
 */
function partsOf(change, me, form) {
  const { senderId, created, name, added = [], removed = [], roles = {}, posting, adding } = change;
  const names = (/** @type {readonly string[]} */ users) => namesOf(users, me);
  /** @type {string[]} */
  const parts = [];
  const add = (/** @type {string} */ verb, rest = '') => {
    const { [form]: word = VERBS[verb].done } = VERBS[verb];
    parts.push(`${word}${rest && ` ${rest}`}`);
  };
  const quoted = `“${visible(name ?? '')}”`;
  if (created) add('create', `the group ${quoted}`);
  else if (name !== undefined) add('rename', `the group to ${quoted}`);
  if (added.length) add('add', names(added));
  const others = removed.filter((user) => user !== senderId);
  if (others.length) add('remove', names(others));
  for (const [user, role] of Object.entries(roles)) {
    if (user === senderId) add('become', ROLES[role]);
    else add('make', `${names([user])} ${ROLES[role]}`);
  }
  // What a new group is like needs a word only if it is unusual.
  if (posting === 'admins') add('let', 'only admins send messages');
  if (posting === 'all' && !created) add('let', 'all members send messages');
  if (adding === 'all') add('let', 'all members add others');
  if (adding === 'admins' && !created) add('let', 'only admins add others');
  if (others.length !== removed.length) add('leave');
  return list.format(parts);
}

/**
 * "Alice added Bob and Carol".
 *
 * @param {Change} change
 * @param {string} me
 */
export const sentenceOf = (change, me) =>
  change.senderId === me
    ? `You ${partsOf(change, me, 'doneByYou')}`
    : `${visible(change.senderId)} ${partsOf(change, me, 'done')}`;

/**
 * "add Bob and Carol": what an own change will do that is not stored yet.
 *
 * @param {PendingGroupChange} change
 * @param {string} me
 */
export const taskOf = (change, me) =>
  partsOf({ .../** @type {Partial<GroupEntry>} */ (entryOf({ ...change, n: 0 })), senderId: me }, me, 'toDo');
