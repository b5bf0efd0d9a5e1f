// Uses the client from TypeScript. This file is compiled, not run.

import { ChatClient, ChatError, type Conversation, type ErrorCode } from '../../web/chat-client.js';

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
  try {
    return (await chat.send(conversation.peer, 'Hello')).seq;
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    const code: ErrorCode = error.code;
    // @ts-expect-error there is no such code
    return code === 'to_large' ? 0 : -1;
  }
}
