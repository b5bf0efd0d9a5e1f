// SPDX-License-Identifier: MIT
// Mentions: `@` and the name of a user, in a text. Chinese and Japanese input methods write `＠`.

import { make } from './dom.js';

/** @param {string} text */
const literally = (text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

/** Scripts that are written without spaces, or that put endings after a name. */
const UNSPACED =
  '[\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Hangul}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}]';
/** What may stand before a mention, which is no part of a longer word, such as an e-mail address. */
const BEFORE = new RegExp(`(?:^|[^\\p{L}\\p{N}_]|${UNSPACED})$`, 'u');
const AFTER = `(?!(?!${UNSPACED})[\\p{L}\\p{N}_])`;
const BEGUN = /[@＠]([^@＠\n]*)$/;

/** @param {string} text */
export const hasAt = (text) => /[@＠]/.test(text);

/**
 * Whether a mention may stand at a place. Safari before 16.4 has no lookbehind, and a pattern that includes the character
 * before the `@` would consume the end of the previous mention.
 *
 * @param {string} text
 * @param {number} place of the `@`
 */
const canBegin = (text, place) => BEFORE.test(text.slice(Math.max(0, place - 2), place));

/**
 * Finds the mentions of these users, each with its `@`.
 *
 * @param {string} text
 * @param {readonly string[]} users
 * @returns {{ mention: string, place: number }[]}
 */
function find(text, users) {
  if (!users.length || !hasAt(text)) return [];
  const names = [...users].sort((a, b) => b.length - a.length).map(literally);
  const pattern = new RegExp(`[@＠](?:${names.join('|')})${AFTER}`, 'gu');
  return [...text.matchAll(pattern)].flatMap(({ 0: mention, index: place }) =>
    canBegin(text, place) ? [{ mention, place }] : [],
  );
}

/** Users that one message may mention. */
const MOST = 20;

/**
 * @param {string} text
 * @param {readonly string[]} users who can be mentioned
 * @returns {string[] | undefined} the users that a text mentions; undefined without any
 */
export function mentionsIn(text, users) {
  const mentioned = find(text, users).map(({ mention }) => mention.slice(1));
  return mentioned.length ? [...new Set(mentioned)].slice(0, MOST) : undefined;
}

/**
 * What the user has written of a mention. A name may have spaces.
 *
 * @param {string} text up to the cursor
 * @returns {string | undefined} undefined if the cursor is not in a mention
 */
export function begunMention(text) {
  const begun = BEGUN.exec(text);
  return begun && canBegin(text, begun.index) ? begun[1] : undefined;
}

/**
 * Highlights the mentions of these users in a text.
 *
 * @param {string} text
 * @param {readonly string[]} users
 * @param {string} me whose mentions stand out
 * @returns {(Node | string)[]}
 */
export function highlighted(text, users, me) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let from = 0;
  for (const { mention, place } of find(text, users)) {
    parts.push(text.slice(from, place), make('bdi', mention.slice(1) === me ? 'mention me' : 'mention', mention));
    from = place + mention.length;
  }
  return [...parts, text.slice(from)].filter((part) => part !== '');
}
