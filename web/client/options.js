// SPDX-License-Identifier: MIT
// Checks what a caller passes, and finds what the environment has in its place.

import { ChatError } from './errors.js';
import { byteLength, excessOf, isName, MAX_REACTION_BYTES, problemOf } from './limits.js';
import { TIMES } from './times.js';

/** @typedef {import('../chat-client.js').Options} Options */

/**
 * @param {Options} options
 * @returns {typeof WebSocket}
 */
export function checkOptions(
  { token, userId, pageSize = 50, times = {}, WebSocket: Socket = globalThis.WebSocket } = /** @type {any} */ ({}),
) {
  checkThat(token || userId, 'Set the option userId or token.');
  checkThat(!token || typeof token === 'function', 'The option token is a function that returns a JWT: () => jwt.');
  const hint = 'Use Node.js 22 or later, or the option WebSocket with that of the npm package ws.';
  checkThat(Socket, `This environment has no WebSocket. ${hint}`);
  checkThat(
    Number.isInteger(pageSize) && pageSize >= 1 && pageSize <= 100,
    `The option pageSize is from 1 to 100, and not ${JSON.stringify(pageSize)}.`,
  );
  for (const [name, value] of Object.entries(times))
    checkThat(name in TIMES && Number.isFinite(value), `The option times.${name} is not a time limit in milliseconds.`);
  const problem = userId === undefined ? '' : problemOf(userId);
  checkThat(!problem, `userId: ${problem}`);
  return /** @type {typeof WebSocket} */ (Socket);
}

/** @param {string} url */
export function addressOf(url) {
  try {
    const address = new URL(url, globalThis.location?.href);
    if (/^(ws|http)s?:$/.test(address.protocol)) return address;
  } catch {
    // Said below.
  }
  throw new ChatError('bad_request', `The option url is like wss://HOST/STAGE, and not ${JSON.stringify(url)}.`);
}

const GROUP_ID = /^[\da-f]{8}(-[\da-f]{4}){4}[\da-f]{8}$/;

/** @param {unknown} user */
export function checkUser(user) {
  const problem = problemOf(user);
  checkThat(!problem, `${JSON.stringify(user)} can't be a user id: ${problem}`);
}

/** @param {any} peer */
export const checkPeer = (peer) => (peer?.groupId === undefined ? checkUser(peer?.peer ?? peer) : checkGroupPeer(peer));

/** @param {any} peer */
export const checkGroupPeer = (peer) => checkThat(GROUP_ID.test(peer?.groupId), 'A group is { groupId }, a UUID.');

/**
 * @template {Partial<import('../chat-client.js').NewGroup> & import('../chat-client.js').GroupChanges} T
 * @param {T} fields what a new group is like, or what changes in a group
 * @returns {T} a copy without what is undefined
 * @throws {ChatError} if it is not valid
 */
export function groupOf(fields) {
  const { name, members = [], add = [], remove = [], roles = {} } = fields;
  [...members, ...add, ...remove, ...Object.keys(roles)].forEach(checkUser);
  checkThat(name === undefined || isName(name), 'A name has 1 to 256 bytes, and no control characters.');
  return JSON.parse(JSON.stringify(fields));
}

/**
 * @param {unknown} holds
 * @param {string} message
 */
function checkThat(holds, message) {
  if (!holds) throw new ChatError('bad_request', message);
}

/** @returns {IDBFactory | undefined} undefined if the browser blocks storage: some then throw for a look at it */
export function storageOf() {
  try {
    return globalThis.indexedDB;
  } catch {
    return undefined;
  }
}

/**
 * @param {unknown} content of a message
 * @returns {string} the content in well-formed Unicode
 * @throws {ChatError} if it is not valid
 */
export function contentOf(content) {
  if (typeof content !== 'string') {
    throw new ChatError('bad_request', `A message is a string, and not of type ${typeof content}.`);
  }
  const text = content.toWellFormed?.() ?? content;
  checkThat(text.trim(), 'A message needs at least one visible character.');
  const excess = excessOf(text);
  if (!excess) return text;
  const hint = 'Shorten it, or send it in parts.';
  throw new ChatError('too_large', `The message is too long by about ${excess} characters. ${hint}`);
}

/** @param {unknown} seq */
export function checkSeq(seq) {
  checkThat(
    Number.isSafeInteger(seq) && Number(seq) >= 1,
    `A seq is a whole number from 1, and not ${JSON.stringify(seq)}.`,
  );
}

/** @param {unknown} reaction */
export function checkReaction(reaction) {
  const bytes = typeof reaction === 'string' && reaction.trim() ? byteLength(reaction) : 0;
  checkThat(bytes >= 1 && bytes <= MAX_REACTION_BYTES, `A reaction is a text of 1 to ${MAX_REACTION_BYTES} bytes.`);
}
