// A client of alice with a group, for tests of groups.

import { connect, online, times, until } from './fixture.js';
import { Service } from './service.js';

export const asked = (service, action) => service.frames.filter((frame) => frame.action === action);
export const impatient = { times: { ...times, answer: 50 } };

/** A client of alice with a record of the events `group`. */
export function alice(service, options = {}) {
  const chat = connect(service, 'alice', { times, ...options });
  chat.groups = [];
  chat.addEventListener('group', ({ detail }) => chat.groups.push(detail));
  return chat;
}

/** A group that bob has made, with alice and carol, and a client of alice that holds it. */
export async function start({ members = ['alice', 'carol'], ...fields } = {}, options = {}) {
  const service = new Service();
  const group = service.create('bob', { members, ...fields });
  const chat = alice(service, options);
  await chat.open(group);
  await until(() => chat.hasInbox);
  const view = () => chat.conversation(group);
  return { service, group, chat, view };
}

/** Cuts the connection, and lets the client back after `work`. */
export async function away(service, chat, work) {
  service.refuses = () => true;
  for (const socket of service.sockets) if (socket.user === chat.userId) socket.drop(1006);
  await until(() => chat.connection.state !== 'online');
  await work();
  service.refuses = () => false;
  await online(chat);
  await until(() => chat.hasInbox);
}

/** Stores without a push. */
export function silently(service, work) {
  const { loses } = service;
  service.loses = () => true;
  const result = work();
  service.loses = loses;
  return result;
}

export const roles = ({ group }) => group.members?.map(({ userId, role }) => `${userId} ${role}`).sort();
