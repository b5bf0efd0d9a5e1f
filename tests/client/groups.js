// Groups in the scripted service: who is a member at which entry, and which changes are allowed. The rules of
// docs/protocol.md, read from the log of a group alone.

import { refuse } from './changes.js';

/** The largest number of users in a change, of members for typing indicators and read positions, and for presence. */
const LIMITS = { users: 48, small: 20, presence: 50, members: 250 };

/** Those who own a group from its first entry on. A backend names another user than the sender. */
const ownersAtFirst = ({ created, senderId, roles }) => (created ? Object.keys(roles ?? { [senderId]: 'owner' }) : []);

/**
 * A group as it is after some entries.
 *
 * @param {any[]} log
 * @param {number} [end] number of entries
 */
export function groupAt(log, end = log.length) {
  const group = { members: new Map(), seq: 0 };
  for (const entry of log.slice(0, end)) {
    if (entry.kind !== 'group') continue;
    const { seq, createdAt: at, added = [], removed = [], roles = {} } = entry;
    for (const field of ['name', 'history', 'posting', 'adding']) group[field] = entry[field] ?? group[field];
    group.seq = seq;
    for (const user of added) group.members.set(user, { role: 'member', at, since: seq });
    for (const user of ownersAtFirst(entry)) group.members.set(user, { role: 'owner', at, since: seq });
    for (const user of removed) group.members.delete(user);
    for (const [user, role] of Object.entries(roles)) group.members.get(user).role = role;
  }
  return group;
}

/**
 * The entries that a user may see; undefined if there are none.
 *
 * @param {any[]} log
 * @param {string} user
 * @returns {{ floor: number, since: number, end: number, left: boolean } | undefined} `since` is the entry that made the
 *   user a member
 */
export function viewOf(log, user) {
  const isOwn = (entry) => [...ownersAtFirst(entry), ...(entry.added ?? [])].includes(user);
  const since = log.findLast(isOwn)?.seq;
  if (!since) return undefined;
  const removal = log.find((entry) => entry.seq > since && entry.removed?.includes(user));
  const floor = groupAt(log).history === 'joined' ? since : 1;
  return { floor, since, end: removal?.seq ?? log.length, left: removal !== undefined };
}

/**
 * The users who get an entry: the members, and those that it removes.
 *
 * @param {any[]} log
 * @param {any} entry
 */
export const audienceOf = (log, entry) => [...groupAt(log, entry.seq).members.keys(), ...(entry.removed ?? [])];

const NOT_A_MEMBER = 'you are not a member of this group, or there is no such group';

/**
 * Checks that a user is a member.
 *
 * @param {any[]} log
 * @param {string} user
 */
export function admit(log, user) {
  const group = groupAt(log);
  const member = group.members.get(user);
  if (!member) throw refuse('forbidden', NOT_A_MEMBER);
  return { group, member, mayLead: member.role !== 'member' };
}

/**
 * The fields of the entry that a `createGroup` makes. Only a backend gives an `owner`.
 *
 * @param {any} frame
 * @param {string} me
 */
export function creationOf({ name, members = [], owner, history = 'all', posting = 'all', adding = 'admins' }, me) {
  if (!name?.trim() || Buffer.byteLength(name) > 256) throw refuse('bad_request', 'name: 1 to 256 bytes');
  const isValid = members.length <= LIMITS.users && new Set([...members, me]).size > members.length;
  if (!isValid) throw refuse('bad_request', 'members: each once, and without you');
  const roles = owner === undefined ? undefined : { [owner]: 'owner' };
  return { kind: 'group', created: true, name, history, posting, adding, added: members, roles };
}

/**
 * The fields of the entry that a `changeGroup` makes.
 *
 * @param {any[]} log
 * @param {any} frame
 * @param {string} me
 */
export function groupChangeOf(log, { add = [], remove = [], roles = {}, name, posting, adding }, me) {
  const { group, member, mayLead } = admit(log, me);
  const users = [...add, ...remove, ...Object.keys(roles)];
  const settings = [name, posting, adding].some((value) => value !== undefined);
  if (!users.length && !settings) throw refuse('bad_request', 'nothing to change');
  if (users.length > LIMITS.users || new Set(users).size < users.length) throw refuse('bad_request', 'users');
  if (add.some((user) => group.members.has(user))) throw refuse('bad_request', 'add: already a member');
  if ([...remove, ...Object.keys(roles)].some((user) => !group.members.has(user)))
    throw refuse('bad_request', 'no such member');
  const isOwner = member.role === 'owner';
  const removesOthers = remove.some((user) => user !== me);
  const removesLeaders = remove.some((user) => user !== me && group.members.get(user).role !== 'member');
  const isAllowed =
    isOwner ||
    (!settings &&
      !Object.keys(roles).length &&
      (!add.length || mayLead || group.adding === 'all') &&
      (!removesOthers || mayLead) &&
      !removesLeaders);
  if (!isAllowed) throw refuse('forbidden', 'only an admin or an owner may do this');
  const after = new Map([...group.members].map(([user, { role }]) => [user, role]));
  for (const user of add) after.set(user, 'member');
  for (const user of remove) after.delete(user);
  for (const [user, role] of Object.entries(roles)) after.set(user, role);
  if (after.size && ![...after.values()].includes('owner')) throw refuse('forbidden', 'a group needs an owner');
  if (after.size > LIMITS.members) throw refuse('bad_request', 'too many members');
  const some = (list) => (list.length ? list : undefined);
  const given = Object.keys(roles).length ? roles : undefined;
  return { kind: 'group', name, posting, adding, added: some(add), removed: some(remove), roles: given };
}

/**
 * Checks that a member may send a message.
 *
 * @param {any[]} log
 * @param {any} frame
 * @param {string} me
 */
export function checkPosting(log, { mentions = [] }, me) {
  const { group, mayLead } = admit(log, me);
  if (group.posting === 'admins' && !mayLead) throw refuse('forbidden', 'only admins and owners send messages here');
  if (mentions.some((user) => !group.members.has(user))) throw refuse('bad_request', 'mentions: not a member');
}

/** @param {any[]} log */
export const isSmall = (log) => groupAt(log).members.size <= LIMITS.small;

/**
 * The reply to `getPresence` is about these users.
 *
 * @param {any[]} log
 * @param {string} me
 */
export function presentIn(log, me) {
  const { members } = admit(log, me).group;
  if (members.size > LIMITS.presence) throw refuse('bad_request', 'the group is too large');
  return [...members.keys()];
}
