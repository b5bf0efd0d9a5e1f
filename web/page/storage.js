// What the page keeps in the browser: the user in this tab, and the recent peers of each user.

import { problemOf } from '../client/limits.js';

/**
 * Reads a value, or writes one. Without permission to store, reads return null and writes do nothing.
 *
 * @param {'localStorage' | 'sessionStorage'} area
 * @param {string} key
 * @param {string} [value]
 */
export function stored(area, key, value) {
  try {
    if (value === undefined) return window[area].getItem(key);
    window[area].setItem(key, value);
    return value;
  } catch {
    return null;
  }
}

/**
 * @param {string} userId
 * @returns {string[]} most recent first
 */
export function recentPeers(userId) {
  try {
    const names = JSON.parse(stored('localStorage', `chat ${userId}`) ?? '[]');
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
  stored('localStorage', `chat ${userId}`, JSON.stringify(peers));
}
