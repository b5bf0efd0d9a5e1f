// Uses the client from TypeScript. This file is compiled, not run.

import {
  ChatClient,
  ChatError,
  type Conversation,
  type ErrorCode,
  type GroupView,
  type Message,
  type Peer,
  type PendingChange,
} from '../../web/chat-client.js';

export async function use(): Promise<number> {
  const chat = new ChatClient({ url: 'wss://chat.example/prod', token: async () => 'jwt' });
  chat.addEventListener('message', ({ detail }) => console.log(detail.seq.toFixed(), detail.content.trim()));
  chat.addEventListener('connection', ({ detail }) => console.log(detail.state === 'online', detail.retryAt));
  chat.addEventListener('status', ({ detail: { state, code } }) => {
    if (state === 'failed') console.log(code);
  });
  const onChange = ({ detail }: CustomEvent<Conversation>) => console.log(detail.messages.at(-1)?.content);
  chat.addEventListener('conversation', onChange, { once: true });
  chat.removeEventListener('conversation', onChange);
  chat.addEventListener('typing', ({ detail: { peer, isTyping } }) => console.log(peer?.trim(), isTyping === true));
  chat.addEventListener('presence', ({ detail: [first] }) => console.log(first?.online, first?.lastSeenAt?.toFixed()));
  chat.watchPresence(['bob']);
  for (const { userId, online } of await chat.presence(['bob'] as const)) console.log(userId.trim(), online);
  const target: EventTarget = chat;
  target.dispatchEvent(new Event('message'));
  // @ts-expect-error there is no such event
  chat.addEventListener('massage', () => {});
  // @ts-expect-error the listener is one of another event
  chat.removeEventListener('message', onChange);
  // @ts-expect-error an address is needed
  new ChatClient({ userId: 'alice' });
  for await (const page of chat.history('bob')) console.log(page[0]?.createdAt);
  const conversation: Conversation = await chat.open('bob');
  chat.addEventListener('change', ({ detail }) => console.log(detail.deleted?.by, detail.reactions?.['👍']?.length));
  const { seq } = await chat.send('bob', 'Hello', { replyTo: conversation.lastMessage?.seq, mentions: ['bob'] });
  const changed: Message = await chat.edit('bob', seq, 'Hello, Bob!');
  await chat.react('bob', changed.seq, '👍', false);
  await chat.delete('bob', changed.seq);
  const [change]: readonly PendingChange[] = chat.conversation('bob').changes;
  if (change?.kind === 'react') console.log(change.target.toFixed(), change.on === true, change.failed?.code);
  const groupId = await chat.createGroup({ name: 'Team', members: ['bob'], history: 'joined' });
  const team: Peer = { groupId };
  const { added } = await chat.changeGroup(team, { add: ['carol'], roles: { bob: 'admin' } });
  const { group }: { group: GroupView | undefined } = await chat.loadGroup(team, { readPositions: true });
  console.log(added?.length, group?.members?.[0]?.role, chat.newGroups[0]?.group.name, chat.readersOf(changed)[0]);
  for (const { seq: place, senderId } of (await chat.open(team)).notices) console.log(place.toFixed(), senderId);
  chat.addEventListener('group', ({ detail }) => chat.send(detail, detail.removed?.join() ?? ''));
  for (const { online } of await chat.presence({ groupId })) console.log(online);
  await chat.leave(team);
  // @ts-expect-error there is no such role
  await chat.changeGroup(team, { roles: { bob: 'boss' } });
  // @ts-expect-error a group needs a name
  await chat.createGroup({ members: ['bob'] });
  // @ts-expect-error a change names the number of a message
  await chat.delete('bob', 'm1');
  try {
    return (await chat.send(conversation, 'Hello')).seq;
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    const code: ErrorCode = error.code;
    // @ts-expect-error there is no such code
    return code === 'to_large' ? 0 : -1;
  }
}
