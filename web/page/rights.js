// SPDX-License-Identifier: MIT
// What a user may do in a group, as far as the client knows it. The service decides.

/** @typedef {import('../chat-client.js').Conversation} Conversation */
/** @typedef {import('../chat-client.js').GroupView} GroupView */
/** @typedef {import('../chat-client.js').Role} Role */

/** @param {GroupView} group */
const isAdmin = ({ left, you }) => !left && (you === 'owner' || you === 'admin');

/** @param {GroupView} group */
export const mayChange = ({ left, you }) => !left && you === 'owner';

/** @param {GroupView} group */
export const mayAdd = (group) => isAdmin(group) || (!group.left && group.adding === 'all');

/**
 * Whether the user may remove a member with this role.
 *
 * @param {GroupView} group
 * @param {Role} role
 */
export const mayRemove = (group, role) => mayChange(group) || (isAdmin(group) && role === 'member');

/** @param {GroupView | undefined} group undefined in a conversation with one peer */
export const mayDeleteOfOthers = (group) => group !== undefined && isAdmin(group);

/**
 * Whether the user is the only owner of a group with other members, and so can't leave.
 *
 * @param {GroupView} group
 */
export const isLastOwner = ({ you, members = [] }) =>
  you === 'owner' && members.length > 1 && members.filter(({ role }) => role === 'owner').length === 1;

/**
 * Whether the user is no longer a member, or will not be one when the queued changes are stored.
 *
 * @param {Pick<Conversation, 'group' | 'groupChanges'>} c
 * @param {string} me
 */
export const isLeaving = ({ group, groupChanges }, me) =>
  group !== undefined &&
  (group.left || groupChanges.some(({ failed, group: { remove = [] } }) => !failed && remove.includes(me)));

/**
 * @param {Conversation} c
 * @param {string} me
 * @returns {string} why the user can't send a message; empty if they can
 */
export function reasonNotToSend(c, me) {
  const { group } = c;
  if (group?.left) return 'You are no longer a member of this group.';
  if (isLeaving(c, me)) return 'You leave this group as soon as you are connected.';
  if (group?.posting === 'admins' && group.you === 'member') return 'Only admins can send messages in this group.';
  return '';
}
