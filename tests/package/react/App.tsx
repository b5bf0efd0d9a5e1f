import { ChatClient } from 'serverless-chat-client';
import { Messages } from './Messages.tsx';

const query = new URLSearchParams(location.search);
const chat = new ChatClient({ url: query.get('url') ?? '/prod', userId: query.get('userId') ?? undefined });

export default function App() {
  return (
    <>
      <Messages chat={chat} peer="bob" />
      <button onClick={() => chat.send('bob', 'From the page')}>Send</button>
    </>
  );
}
