// SPDX-License-Identifier: MIT
// What the page keeps in the browser: in this tab the user, and for all tabs the recent peers of each user;
// both for the service's origin.

import { problemOf } from '../client/limits.js';
import { serviceOrigin } from './service.js';

/**
 * Reads a value, or writes one. Without permission to store, reads return null and writes do nothing.
 *
 * @param {'localStorage' | 'sessionStorage'} area
 * @param {string} key
 * @param {string} [value]
 */
function stored(area, key, value) {
  try {
    if (value === undefined) return window[area].getItem(key);
    window[area].setItem(key, value);
    return value;
  } catch {
    return null;
  }
}

/** @param {string} userId */
const keyOfPeers = (userId) => `${serviceOrigin} chat ${userId}`;

/**
 * Reads a value that this tab keeps for the service's origin, or writes one.
 *
 * @param {string} key
 * @param {string} [value]
 */
export const kept = (key, value) => stored('sessionStorage', `${serviceOrigin} ${key}`, value);

/** Forgets all that this tab keeps for the service's origin. */
export function forget() {
  try {
    for (const key of Object.keys(sessionStorage)) {
      if (key.startsWith(`${serviceOrigin} `)) sessionStorage.removeItem(key);
    }
  } catch {
    // Without permission to store, nothing is kept.
  }
}

/** @typedef {{ typing: boolean, presence: boolean }} Saved whether the user lets the chat show it */

const SETTINGS = `${serviceOrigin} settings`;

/** @returns {Saved} */
export function savedSettings() {
  let saved = null;
  try {
    saved = JSON.parse(stored('localStorage', SETTINGS) ?? 'null');
  } catch {
    // Not written by this page: as if there was nothing.
  }
  return { typing: saved?.typing !== false, presence: saved?.presence !== false };
}

/** @param {Saved} settings */
export const saveSettings = (settings) => stored('localStorage', SETTINGS, JSON.stringify(settings));

/** @param {() => void} listener is called when another tab saves settings */
export function whenSettingsChange(listener) {
  addEventListener('storage', ({ key }) => {
    if (key === SETTINGS) listener();
  });
}

/**
 * @param {string} userId
 * @returns {string[]} most recent first
 */
export function recentPeers(userId) {
  try {
    const names = JSON.parse(stored('localStorage', keyOfPeers(userId)) ?? '[]');
    return names.filter((/** @type {string} */ name) => !problemOf(name));
  } catch {
    return [];
  }
}

/**
 * @param {string} userId
 * @param {string} peer
 */
export function addRecentPeer(userId, peer) {
  const peers = [...new Set([peer, ...recentPeers(userId)])].slice(0, 100);
  stored('localStorage', keyOfPeers(userId), JSON.stringify(peers));
}
