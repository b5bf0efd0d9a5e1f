// SPDX-License-Identifier: MIT
// `Group`: name, settings and members of a group. They are known as they were at one entry of the conversation, from the
// service or from the entry that created the group. The entries of kind `group` after that one keep them up to date.

/**
 * @typedef {import('./entries.js').LogEntry} LogEntry
 * @typedef {import('../chat-client.js').GroupView} GroupView
 * @typedef {import('../chat-client.js').Role} Role
 * @typedef {Omit<GroupView, 'members'>} Facts
 */

/** The fields of an entry that a group has, too. */
const SETTINGS = /** @type {const} */ (['name', 'history', 'posting', 'adding']);

/** What a new group is like if its creator says nothing else. */
const DEFAULTS = { history: 'all', posting: 'all', adding: 'admins' };

/**
 * The roles that an entry gives to users, new members among them.
 *
 * @param {import('./entries.js').Announcement} m
 * @returns {[string, Role][]}
 */
function rolesOf({ created, senderId = '', added = [], roles }) {
  // A backend that creates a group for another user names the owner.
  const given = roles ?? (created ? { [senderId]: 'owner' } : {});
  return [...Object.entries(given), ...added.map((user) => /** @type {[string, Role]} */ ([user, 'member']))];
}

/**
 * Whether an entry makes a user a member.
 *
 * @param {LogEntry} m
 * @param {string} userId
 */
export const adds = (m, userId) =>
  m.kind === 'group' && (m.created ? rolesOf(m).some(([user]) => user === userId) : m.added?.includes(userId));

/**
 * What the entry of an own change says: the fields of the request, under the names that an entry has for them.
 *
 * @param {import('./conversation.js').Entry} entry
 */
export const entryOf = ({ kind, group = {} }) => {
  const { members, add = members, remove: removed, ...rest } = group;
  const created = kind === 'create' && { created: true, ...DEFAULTS };
  return { kind: 'group', ...created, ...rest, added: add, removed };
};

export class Group {
  /** The entry after which the group is as it is known here. */
  #seq = 0;
  /** @type {Map<string, Role> | undefined} */
  #roles;
  /**
   * What callers see. Replaced by each change.
   *
   * @type {GroupView}
   */
  view;

  /**
   * @param {ReadonlyMap<string, number>} readBy up to where other users have read
   * @param {string} [name] shown until more is known
   */
  constructor(readBy, name) {
    this.readBy = readBy;
    this.view = { name, left: false };
  }

  /** Whether the entries that follow keep it up to date. */
  get isKnown() {
    return this.view.count !== undefined;
  }

  /**
   * Takes in what the service says.
   *
   * @param {number} seq of the entry after which it is so
   * @param {Partial<Facts>} facts
   * @param {readonly { userId: string, role: Role }[]} [members] all of them
   */
  load(seq, facts, members) {
    this.#seq = seq;
    if (members) this.#roles = new Map(members.map(({ userId, role }) => [userId, role]));
    this.view = { ...this.view, ...facts };
    this.show();
  }

  /**
   * Takes in an entry that follows the one before it without a gap. Does nothing if it is known already.
   *
   * @param {LogEntry} m
   * @param {string} me this user
   */
  fold(m, me) {
    if (m.kind !== 'group' || m.seq <= this.#seq) return;
    const { created, added = [], removed = [] } = m;
    if (created) this.#roles = new Map();
    /** @type {any} */
    const next = { ...this.view };
    const set = (/** @type {string} */ user, /** @type {Role | undefined} */ role) => {
      if (user === me) {
        next.you = role;
        next.left = !role;
      }
      if (role) this.#roles?.set(user, role);
      else this.#roles?.delete(user);
    };
    for (const [user, role] of rolesOf(m)) set(user, role);
    for (const user of removed) set(user, undefined);
    if (created || this.isKnown) {
      this.#seq = m.seq;
      next.count = this.#roles?.size ?? next.count + added.length - removed.length;
      for (const field of SETTINGS) next[field] = m[field] ?? next[field];
    }
    this.view = next;
    this.show();
  }

  /** @param {string} userId @returns {boolean | undefined} undefined if the members are not known */
  has(userId) {
    return this.#roles?.has(userId);
  }

  /** Shows the members, with the read positions that are known. */
  show() {
    if (!this.#roles) return;
    const members = [...this.#roles].map(([userId, role]) => ({ userId, role, readSeq: this.readBy.get(userId) }));
    this.view = { ...this.view, members };
  }
}
