// SPDX-License-Identifier: MIT
// Mentions: `@` and the name of a user, in a text. Chinese and Japanese input methods write `＠`.

import { make } from './dom.js';

/** @param {string} text */
const literally = (text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

/** Scripts that are written without spaces, or that put endings after a name. */
const UNSPACED =
  '[\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Hangul}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}]';
const BEFORE = `^|[^\\p{L}\\p{N}_]|${UNSPACED}`;
const AFTER = `(?!(?!${UNSPACED})[\\p{L}\\p{N}_])`;
const HAS_AT = /[@＠]/;

/**
 * Matches the character before a mention of any of these users, and the mention. A part of a longer word is none, such as
 * in an e-mail address. Without a look behind, which Safari before 16.4 does not know.
 *
 * @param {readonly string[]} users
 */
function mentionOf(users) {
  const names = [...users].sort((a, b) => b.length - a.length).map(literally);
  return new RegExp(`(${BEFORE})([@＠](?:${names.join('|')}))${AFTER}`, 'gu');
}

const BEGUN = new RegExp(`(?:${BEFORE})[@＠]([^@＠\\n]*)$`, 'u');

/** Users that one message may mention. */
const MOST = 20;

/**
 * @param {string} text
 * @param {readonly string[]} users who can be mentioned
 * @returns {string[] | undefined} the users that a text mentions; undefined without any
 */
export function mentionsIn(text, users) {
  if (!users.length || !HAS_AT.test(text)) return undefined;
  const mentioned = [...text.matchAll(mentionOf(users))].map(([, , mention]) => mention.slice(1));
  return mentioned.length ? [...new Set(mentioned)].slice(0, MOST) : undefined;
}

/**
 * What the user has written of a mention. A name may have spaces.
 *
 * @param {string} text up to the cursor
 * @returns {string | undefined} undefined if the cursor is not in a mention
 */
export const begunMention = (text) => BEGUN.exec(text)?.[1];

/**
 * Highlights the mentions of these users in a text.
 *
 * @param {string} text
 * @param {readonly string[]} users
 * @param {string} me whose mentions stand out
 * @returns {(Node | string)[]}
 */
export function highlighted(text, users, me) {
  if (!users.length || !HAS_AT.test(text)) return [text];
  /** @type {(Node | string)[]} */
  const parts = [];
  let from = 0;
  for (const { 0: all, 1: before, 2: mention, index } of text.matchAll(mentionOf(users))) {
    parts.push(text.slice(from, index) + before);
    parts.push(make('bdi', mention.slice(1) === me ? 'mention me' : 'mention', mention));
    from = index + all.length;
  }
  return [...parts, text.slice(from)].filter((part) => part !== '');
}
