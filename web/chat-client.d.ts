// Types of chat-client.js, written by hand. `make web` compares them with the module. docs/client.md is the reference.
// SPDX-License-Identifier: MIT

/** A client of the chat service. It delivers every message once and in order, across lost connections and reloads. */
export class ChatClient extends EventTarget {
  /**
   * Connects in the next microtask, so that listeners that are added at once miss no event.
   *
   * @throws {ChatError} with code `bad_request` if an option is missing or not valid
   */
  constructor(options: Options);

  readonly options: Options;

  /** The resolved address of the service. */
  readonly url: URL;

  /** The state of the connection, as in the event `connection`. */
  readonly connection: ConnectionStatus;

  /** All known conversations, the one with the newest message or change of a group first. */
  readonly conversations: Conversation[];

  /** New groups that are queued or failed. */
  readonly newGroups: readonly PendingGroupChange[];

  /** Number of unread messages in all conversations. */
  readonly unread: number;

  /** With `token` and no option `userId`, undefined until the first token. */
  readonly userId: string | undefined;

  /** Resolves when the messages that an earlier page left unsent are known. */
  readonly ready: Promise<void>;

  /** Whether unsent messages survive a reload. */
  readonly isDurable: boolean;

  /** True when the list of conversations was read on this connection, so that `conversations` is complete. */
  readonly hasInbox: boolean | undefined;

  /** Connects now instead of at `retryAt`. If the connection is open, checks that it is alive. */
  connect(): void;

  /** Ends the connection for good. Unsent messages stay in the outbox, for the next client of this user. */
  close(): void;

  /** The conversation as the client knows it. Loads nothing. */
  conversation(peer: Peer): Conversation;

  /** Loads the newest messages of a conversation. From then on it stays up to date. Waits for a connection. */
  open(peer: Peer): Promise<Conversation>;

  /** Loads one page of older messages: oldest first, and empty if there are none. */
  older(peer: Peer): Promise<Message[]>;

  /** Iterates over a conversation, newest page first. In a page the oldest message is first. */
  history(peer: Peer): AsyncGenerator<Message[], void, void>;

  /**
   * Queues a message. It is sent when there is a connection: in order, once, and also after a reload.
   *
   * @returns the message, when it is stored
   * @throws {ChatError} if the message is not valid, or the service refuses it
   */
  send(peer: Peer, content: string, options?: SendOptions): Promise<Message>;

  /**
   * Replaces the content of an own message. Queued like a message.
   *
   * @returns the message as it then is, when the change is stored
   * @throws {ChatError} if the content is not valid, or the service refuses it
   */
  edit(peer: Peer, seq: number, content: string): Promise<Message>;

  /** Removes the content of an own message for good. Queued like a message. */
  delete(peer: Peer, seq: number): Promise<Message>;

  /** Adds a reaction to a message, or removes it with `on` false. Queued like a message. */
  react(peer: Peer, seq: number, reaction: string, on?: boolean): Promise<Message>;

  /**
   * Creates a group, of which this user is the owner. Queued like a message.
   *
   * @returns the id of the group, when it is stored
   * @throws {ChatError} if the group is not valid, or the service refuses it
   */
  createGroup(group: NewGroup): Promise<string>;

  /** Changes the members, the name or the settings of a group. Queued like a message. */
  changeGroup(peer: Peer, changes: GroupChanges): Promise<GroupEntry>;

  /** Ends the membership of this user in a group. Queued like a message. */
  leave(peer: Peer): Promise<GroupEntry>;

  /** Loads the settings and the members of a group. From then on they stay up to date. Waits for a connection. */
  loadGroup(peer: Peer, options?: { readPositions?: boolean }): Promise<Conversation>;

  /** Queues a failed message or change again. False if there is none. */
  retry(clientMessageId: string): Promise<boolean>;

  /** Removes a failed message or change. False if there is none. */
  discard(clientMessageId: string): Promise<boolean>;

  /**
   * Marks a conversation as read up to a message; by default, up to the newest one that the client holds.
   *
   * @returns whether the read position has moved
   */
  markRead(peer: Peer, seq?: number): boolean;

  /** Whether the peer, or another member of the group, has read an own message. */
  stateOf(message: Message): 'sent' | 'read';

  /** Which other users have read a message, as far as the client knows: user ids. */
  readersOf(message: Message): string[];

  /**
   * Tells a peer that the user is typing. Call it for each key: it sends a frame at most every 8 seconds, and nothing
   * without a connection. Never throws.
   */
  typing(peer: Peer): void;

  /** Which users are online: of some users those that have a conversation with this user, or all members of a group. */
  presence(peers: readonly string[] | { groupId?: string | undefined }): Promise<Presence[]>;

  /**
   * Reports in events `presence` which of these users are online: at once, and every minute while the page is visible and
   * connected. Replaces the users of the last call.
   */
  watchPresence(peers: readonly string[]): void;

  /** As in every `EventTarget`, with the types of {@link Events}. */
  addEventListener<K extends keyof Events>(
    type: K,
    listener: Listener<Events[K]> | null,
    options?: boolean | AddEventListenerOptions,
  ): void;

  /** As in every `EventTarget`, with the types of {@link Events}. */
  removeEventListener<K extends keyof Events>(
    type: K,
    listener: Listener<Events[K]> | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

export type Listener<T> = ((event: CustomEvent<T>) => void) | { handleEvent(event: CustomEvent<T>): void };

/** Why an operation failed. */
export class ChatError extends Error {
  constructor(code: ErrorCode, message: string, retryAfter?: number);

  readonly code: ErrorCode;

  /** Milliseconds after which the request may be repeated, if the service gave them. */
  readonly retryAfter?: number | undefined;
}

export type ErrorCode =
  /** An argument or option is not valid. */
  | 'bad_request'
  /** The content exceeds 16 KiB of UTF-8, or 24,000 bytes as JSON. */
  | 'too_large'
  /** The token belongs to another user, or the service forbids the action. */
  | 'forbidden'
  /** The service is older than the client. */
  | 'unknown_action'
  /** `close()` was called. */
  | 'closed'
  /** The message was removed by `discard()`. */
  | 'discarded'
  /** There is no connection. */
  | 'offline'
  /** The service did not reply in time. */
  | 'timeout'
  /** The service refuses the token. The client reconnects with a new one. */
  | 'token_expired'
  | 'unauthenticated'
  /** The user sends too many messages. */
  | 'rate_limited'
  /** Too many messages follow the one that the request names. The client handles it. */
  | 'out_of_date'
  /** The service has a temporary problem. */
  | 'unavailable'
  | 'internal';

export interface Options {
  /** Of the service: `wss://HOST/STAGE`. In a browser it may be relative to the page. */
  url: string;
  /** Required in open mode. With `token`, the default is the token's claim. */
  userId?: string;
  /** Returns a fresh JWT. Called before each connection. Required in JWT mode. */
  token?: () => string | Promise<string>;
  /** Sends the token in the query instead of a subprotocol, for proxies that drop subprotocols. It may appear in logs. */
  tokenInQuery?: boolean;
  /** The claim of the token that holds the user id; default `sub`. */
  userClaim?: string;
  /** Messages and changes in a page of history, at most 100; default 50. */
  pageSize?: number;
  /** False: `typing` sends nothing, and no peer counts as typing. May be changed at any time. */
  typing?: boolean;
  /** False: the client doesn't ask who is online. May be changed at any time. */
  presence?: boolean;
  /** Another implementation, such as that of the npm package `ws`. Node.js before 22 has none. */
  WebSocket?: new (
    url: string,
    protocols?: string[],
  ) => Socket;
  /** Where unsent messages are kept. `null` keeps them in memory only. Default: the browser's. */
  indexedDB?: IDBFactory | null;
  /** The defaults suit API Gateway. */
  times?: Partial<Times>;
}

/** What the client uses of a `WebSocket`. */
export interface Socket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: string): void;
  close(): void;
}

/** Time limits, in milliseconds. */
export interface Times {
  /** For opening a connection, and for `token`; default 15 s. */
  open: number;
  /** For a reply; default 15 s. */
  answer: number;
  /** For the reply to a ping that checks the connection; default 5 s. */
  check: number;
  /** Without a frame, after which the client sends a ping; default 4 min. */
  idle: number;
  /** Age at which a connection is renewed; default 110 min. */
  life: number;
  /** Before the token expires, when the connection is renewed; default 1 min. */
  early: number;
  /** Without a frame, after which a sign of the user or the device makes the client check the connection; default 30 s. */
  fresh: number;
  /** Longest delay before the first attempt after a loss; default 3 s. */
  first: number;
  /** Longest delay between two attempts to connect; default 30 s. */
  longest: number;
  /** First delay after a refusal; default 15 s. */
  refused: number;
  /** Longest delay after a refusal; default 1 min. */
  refusedLongest: number;
  /** For an answer of the browser's storage, before the client keeps messages in memory; default 1.5 s. */
  storage: number;
}

/** A user id; or an object that names a conversation, such as `{ groupId }` or a {@link Conversation}. */
export type Peer = string | { peer?: string | undefined; groupId?: string | undefined };

/** An owner may do everything; an admin adds users, and removes members. */
export type Role = 'owner' | 'admin' | 'member';

/** What a group is like when it is created. */
export interface NewGroup {
  /** 1 to 256 bytes of UTF-8. */
  name: string;
  /** User ids without this user, at most 48. */
  members?: string[];
  /** What new members see: all messages (the default), or those since they joined. */
  history?: 'all' | 'joined';
  /** Which members send messages; default `all`. */
  posting?: 'all' | 'admins';
  /** Which members add others; default `admins`. */
  adding?: 'all' | 'admins';
}

/** What changes in a group. At most 48 users, none twice. */
export interface GroupChanges {
  /** User ids. */
  add?: string[];
  /** User ids. */
  remove?: string[];
  /** By user id. */
  roles?: Record<string, Role>;
  name?: string;
  posting?: 'all' | 'admins';
  adding?: 'all' | 'admins';
}

/** What has changed in a group. Only that is there. */
export interface GroupEntry {
  kind: 'group';
  messageId: string;
  conversationId: string;
  groupId: string;
  seq: number;
  /** The user who changed it, who need not be a member. */
  senderId: string;
  /** In milliseconds since the Unix epoch. */
  createdAt: number;
  clientMessageId?: string;
  /** The entry creates the group. `senderId` is its owner, unless `roles` names another one. */
  created?: true;
  name?: string;
  history?: 'all' | 'joined';
  posting?: 'all' | 'admins';
  adding?: 'all' | 'admins';
  /** User ids. */
  added?: string[];
  /** User ids. If it is the sender alone: they have left. */
  removed?: string[];
  /** By user id. */
  roles?: Record<string, Role>;
}

/** What the client knows of a group. What it does not know is undefined. */
export interface GroupView {
  readonly name?: string;
  /** Number of members. */
  readonly count?: number;
  /** What new members see. */
  readonly history?: 'all' | 'joined';
  /** Which members send messages. */
  readonly posting?: 'all' | 'admins';
  /** Which members add others. */
  readonly adding?: 'all' | 'admins';
  /** Whether this user is not a member any more. */
  readonly left: boolean;
  /** The role of this user. */
  readonly you?: Role;
  /** In any order, with the read positions that are known. */
  readonly members?: readonly { userId: string; role: Role; readSeq?: number }[];
}

/** The `detail` of each event. */
export interface Events {
  /** The state of the connection has changed. */
  connection: ConnectionStatus;
  /** A message is new at the end of a conversation. Each once and in order, own ones included. */
  message: Message;
  /** An entry that changes a group is new at the end of a conversation. Each once and in order, own ones included. */
  group: GroupEntry;
  /** A message that the client holds is different now: edited, deleted, or with other reactions. */
  change: Message;
  /** An own message or change was queued, stored, refused or discarded, or an own message was read. */
  status: Status;
  /** The number of unread messages has changed. */
  unread: { peer?: string; groupId?: string; unread: number; total: number };
  /**
   * A user began or stopped typing: `peer`, or `userId` in a group. It ends 10 seconds after the last sign of it, and with
   * that user's next message.
   */
  typing: { peer?: string; groupId?: string; userId?: string; isTyping: boolean };
  /** Who of the users of `watchPresence` is online. */
  presence: Presence[];
  /** Something in the conversation has changed: draw it again. */
  conversation: Conversation;
}

export interface ConnectionStatus {
  /**
   * - `waiting`: not connected; the next attempt is at `retryAt`.
   * - `refused`: the service is reachable and does not let this client connect. Browsers don't tell whether it refuses the
   *   user, token or page, or is too busy; `reason` says what is known.
   * - `displaced`: the user has too many connections, and this was the oldest. The client reconnects when the user acts.
   */
  state: 'connecting' | 'online' | 'waiting' | 'refused' | 'displaced' | 'closed';
  /** In milliseconds since the Unix epoch. */
  retryAt?: number;
  /** What failed. */
  reason?: string;
}

/** What a message can have beside its content. */
export interface SendOptions {
  /** `seq` of the message that it replies to. */
  replyTo?: number;
  /** User ids, at most 20. The service stores and shows them. */
  mentions?: string[];
}

/** Whether a user is online. */
export interface Presence {
  userId: string;
  /** Whether the user has a connection. After a loss that the service has not noticed yet it may be true for two hours. */
  online: boolean;
  /** When the last connection ended, in milliseconds since the Unix epoch; absent after 30 days. */
  lastSeenAt?: number;
}

/** The state of an own message, or of an own change of a message or a group. */
export interface Status {
  clientMessageId: string;
  peer?: string;
  /** In place of `peer`. Of a new group, only from `sent` on. */
  groupId?: string;
  state: 'queued' | 'sent' | 'read' | 'failed' | 'discarded';
  /** Of a change. */
  kind?: 'edit' | 'delete' | 'react' | 'group' | 'create';
  /** Of a change of a message: its `seq`. */
  target?: number;
  /** From `sent` on. */
  seq?: number;
  /** Why it failed. */
  code?: ErrorCode;
  /** What to change. */
  reason?: string;
}

/** A stored message. */
export interface Message {
  messageId: string;
  conversationId: string;
  /** Number in the conversation. It grows from message to message; what is between them are changes. */
  seq: number;
  senderId: string;
  /** Absent in a group. */
  recipientId?: string;
  /** In place of `recipientId`. */
  groupId?: string;
  /** Text. Show it as text, never as HTML. Empty if the message is deleted. */
  content: string;
  /** In milliseconds since the Unix epoch. */
  createdAt: number;
  clientMessageId?: string;
  /** `seq` of what the message replies to. */
  replyTo?: number;
  /** User ids. */
  mentions?: string[];
  /** Grows with each change of the message; absent if there was none. */
  version?: number;
  /** When the content was replaced last. */
  editedAt?: number;
  /** When the message was deleted, and the user who did it. */
  deleted?: { at: number; by: string };
  /** Each reaction with the users who reacted with it, in the order in which they did. */
  reactions?: Record<string, string[]>;
}

/** What the client knows of the conversation with one peer, or in one group. */
export interface Conversation {
  /** Different from that of every other conversation of the user. */
  readonly key: string;
  /** The other user; undefined in a group. */
  readonly peer: string | undefined;
  /** The group; undefined with a peer. */
  readonly groupId: string | undefined;
  /** What is known of the group; undefined with a peer. */
  readonly group: GroupView | undefined;
  /** Messages, oldest first, as they are now. None between them is missing. */
  readonly messages: readonly Message[];
  /** What has changed in the group, oldest first. By `seq`, each belongs between two messages. */
  readonly notices: readonly GroupEntry[];
  /** Own messages that are not in `messages` yet. Show them after `messages`. */
  readonly pending: readonly Entry[];
  /** Own changes of messages that are queued or failed. */
  readonly changes: readonly PendingChange[];
  /** Own changes of the group that are queued or failed. */
  readonly groupChanges: readonly PendingGroupChange[];
  readonly lastMessage: Message | undefined;
  /** Number of messages of others that this user has not read. */
  readonly unread: number;
  /** Up to where this user has read. */
  readonly readSeq: number;
  /** Up to where the peer has read; in a group, the member who has read most. */
  readonly peerReadSeq: number;
  /** Whether another user is typing. */
  readonly isTyping: boolean;
  /** The other users who are typing. */
  readonly typing: readonly string[];
  /** Whether the newest page was loaded. */
  readonly loaded: boolean;
  /** Whether `older` may load more. */
  readonly hasOlder: boolean;
  /** `seq` of the first entry held. Entries are messages and changes. */
  readonly low: number;
  /** `seq` of the last entry held; null before the first contact. */
  readonly high: number | null;
}

/** An own message in the outbox. */
export interface Entry {
  clientMessageId: string;
  /** The recipient; absent in a group. */
  peer?: string;
  /** In place of `peer`. */
  groupId?: string;
  content: string;
  replyTo?: number;
  mentions?: string[];
  /** In milliseconds since the Unix epoch. */
  queuedAt: number;
  /** Why the service refuses it. */
  failed?: { code: ErrorCode; message: string };
  /** The stored message, if earlier messages are still missing. */
  sent?: Message;
}

/** An own change in the outbox. */
export interface PendingChange {
  clientMessageId: string;
  peer?: string;
  /** In place of `peer`. */
  groupId?: string;
  kind: 'edit' | 'delete' | 'react';
  /** `seq` of the message. */
  target: number;
  /** Of an edit: the new content. */
  content?: string;
  reaction?: string;
  /** Whether the reaction is added. */
  on?: boolean;
  /** In milliseconds since the Unix epoch. */
  queuedAt: number;
  /** Why the service refuses it. */
  failed?: { code: ErrorCode; message: string };
}

/** An own change of a group in the outbox, or a new group. */
export interface PendingGroupChange {
  clientMessageId: string;
  /** Absent for a new group. */
  groupId?: string;
  kind: 'group' | 'create';
  /** What changes, or what the new group is like. */
  group: GroupChanges & Partial<NewGroup>;
  /** In milliseconds since the Unix epoch. */
  queuedAt: number;
  /** Why the service refuses it. */
  failed?: { code: ErrorCode; message: string };
}
