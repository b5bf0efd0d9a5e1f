// SPDX-License-Identifier: MIT
// Unique ids, of messages and of the client itself.

/** `randomUUID` does not exist on pages over plain HTTP. */
export const newId = () =>
  globalThis.crypto.randomUUID?.() ??
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
