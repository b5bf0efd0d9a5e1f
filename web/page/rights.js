// SPDX-License-Identifier: MIT
// What a user may do in a group, as far as the client knows it. The service decides.

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
 * @param {GroupView} group
 * @returns {string} why the user can't send a message; empty if they can
 */
export function reasonNotToSend(group) {
  if (group.left) return 'You are no longer a member of this group.';
  if (group.posting === 'admins' && group.you === 'member') return 'Only admins can send messages in this group.';
  return '';
}
