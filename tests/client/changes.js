// Changes of messages in the scripted service: edits, deletions and reactions, by the rules of docs/protocol.md.

/** @param {string} code @param {string} message */
export const refuse = (code, message) => Object.assign(new Error(message), { code });

/** @param {string} text */
const bytes = (text) => Buffer.byteLength(text);

/**
 * Checks what a message may have beside its content.
 *
 * @param {any} frame
 * @param {number} newest `seq` of the newest entry
 */
export function checkExtras({ replyTo, mentions = [] }, newest) {
  if (replyTo !== undefined && !(replyTo >= 1 && replyTo <= newest))
    throw refuse('bad_request', 'replyTo: no such entry');
  if (mentions.length > 20) throw refuse('bad_request', 'mentions: at most 20');
  if (new Set(mentions).size < mentions.length) throw refuse('bad_request', 'mentions: each user once');
}

/**
 * The message after a change.
 *
 * @param {any} target the message before; undefined if there is none
 * @param {any} frame of the action
 * @param {{ seq: number, senderId: string, createdAt: number }} entry that announces the change
 * @param {number} window for how many milliseconds a message may be edited
 * @param {boolean} [mayDelete] whether the user may delete the messages of others
 * @throws an error with the code of the service, if it refuses the change
 */
export function changeOf(
  target,
  { action, content, reaction, on },
  { seq, senderId, createdAt },
  window,
  mayDelete = false,
) {
  if (target?.kind !== undefined || !target) throw refuse('bad_request', 'seq: there is no such message');
  if (target.deleted) throw refuse('forbidden', 'the message is deleted');
  const { reactions, ...rest } = { ...target, version: seq };
  if (action === 'react') {
    if (!reaction.trim() || bytes(reaction) > 64) throw refuse('bad_request', 'reaction: 1 to 64 bytes');
    return withReactions(rest, { ...reactions, [reaction]: usersOf(reactions?.[reaction], senderId, on) });
  }
  const isOwn = target.senderId === senderId || (action === 'deleteMessage' && mayDelete);
  if (!isOwn) throw refuse('forbidden', 'it is not your message');
  if (action === 'editMessage') {
    if (createdAt - target.createdAt > window || window === 0) throw refuse('forbidden', 'it is too old to be edited');
    return { ...rest, reactions, content, editedAt: createdAt };
  }
  const { editedAt: _, replyTo: __, mentions: ___, ...left } = rest;
  return { ...left, content: '', deleted: { at: createdAt, by: senderId } };
}

/**
 * @param {string[]} [users] in the order in which they reacted
 * @param {string} user
 * @param {boolean} on
 */
function usersOf(users = [], user, on) {
  const others = users.filter((other) => other !== user);
  if (!on) return others;
  return users.includes(user) ? users : [...others, user];
}

/**
 * @param {any} message
 * @param {Record<string, string[]>} reactions
 */
function withReactions(message, reactions) {
  const some = Object.entries(reactions).filter(([, users]) => users.length);
  const count = some.reduce((sum, [, users]) => sum + users.length, 0);
  if (some.length > 20 || count > 100) throw refuse('bad_request', 'reaction: the message has too many');
  const left = Object.fromEntries(some);
  if (bytes(JSON.stringify(left)) > 4000) throw refuse('too_large', 'reaction: the message has too many');
  return some.length ? { ...message, reactions: left } : message;
}
