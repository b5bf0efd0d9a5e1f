// What the tests of the client share.

import { after } from 'node:test';
import { ChatClient } from '../../web/chat-client.js';

const open = new Set();
after(() => open.forEach((chat) => chat.close()));

/** A client of this service, closed when the tests of a file are over. */
export function connect(service, userId, options = {}) {
  const chat = new ChatClient({ url: service.url, userId, WebSocket: service.WebSocket, indexedDB: null, ...options });
  open.add(chat);
  chat.seen = [];
  chat.states = [];
  chat.statuses = [];
  chat.addEventListener('message', ({ detail }) => chat.seen.push(detail));
  chat.addEventListener('connection', ({ detail }) => chat.states.push(detail.state));
  chat.addEventListener('status', ({ detail }) => chat.statuses.push(detail));
  return chat;
}

/** Resolves when `holds` does. */
export async function until(holds) {
  // Some of what is waited for is the service's, which has no events.
  while (!holds()) await new Promise(setImmediate);
}

export const online = (chat) => until(() => chat.connection.state === 'online');
export const contents = (messages) => messages.map((m) => m.content);

/** A token of the kind that a client can read, and nobody checks. */
export const token = (sub, claims = {}) => ['{}', JSON.stringify({ sub, ...claims }), 's'].map((part) => btoa(part)).join('.');
