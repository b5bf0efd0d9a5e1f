// Compares chat-client.d.ts with the JavaScript. This file is compiled, not run.

import type * as Actual from 'implementation';
import type * as Declared from '../../web/chat-client.js';

/** What is declared exists, and has the declared types. */
export const module = (actual: typeof Actual): typeof Declared => actual;
export const client = (actual: Actual.ChatClient): Declared.ChatClient => actual;
export const error = (actual: Actual.ChatError): Declared.ChatError => actual;

/** What a caller may pass is accepted. */
export const message = (declared: Declared.Message): Actual.Message => declared;

/** What exists is declared. */
type Undeclared =
  | Exclude<keyof typeof Actual, keyof typeof Declared>
  | Exclude<keyof Actual.ChatClient, keyof Declared.ChatClient>
  | Exclude<keyof Actual.ChatError, keyof Declared.ChatError>
  | Exclude<keyof ReturnType<Actual.ChatClient['conversation']>, keyof Declared.Conversation>
  | Exclude<keyof Actual.Message, keyof Declared.Message>;
export const none = (undeclared: Undeclared): never => undeclared;
