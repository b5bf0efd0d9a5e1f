// SPDX-License-Identifier: MIT
// `MessageView`: one message on the screen.

import { icon, make, setText } from './dom.js';
import { failureOfChange, failureOfMessage } from './failures.js';
import { highlighted } from './mentions.js';
import { hueOf, visible } from './names.js';
import { DELETED } from './quote.js';
import { Reactions } from './reactions.js';
import { isEmojiOnly, linked, timeOf, timestampOf } from './text.js';
import { tick } from './ticks.js';

/** @typedef {import('../chat-client.js').ChatClient} ChatClient */
/** @typedef {import('../chat-client.js').Message} Message */
/** @typedef {import('../chat-client.js').Entry} Entry */
/** @typedef {import('../chat-client.js').PendingChange} PendingChange */

/**
 * A message, or an own one that is not acknowledged yet.
 *
 * @typedef {object} Row
 * @property {Message | Entry} m
 * @property {Message | Entry} shown `m` with the changes that are queued
 * @property {string} sender
 * @property {boolean} isMine
 * @property {number} at in milliseconds since the Unix epoch
 * @property {string} day
 * @property {readonly PendingChange[]} changes own ones that are queued or have failed
 * @property {boolean} isEditable whether it was refused and can go back into the box
 * @property {import('./quote.js').Quote} [quote] of the message that it replies to
 * @property {import('../chat-client.js').GroupView} [group] undefined in a conversation with one peer
 */

/**
 * What happens when the user acts on a message.
 *
 * @typedef {object} Reactors
 * @property {(button: HTMLElement, seq: number) => void} onMenu
 * @property {(seq: number, reaction: string) => void} onReaction
 * @property {(seq: number) => void} onShow
 * @property {(entry: Entry) => void} onEdit of a message that was refused
 */

const MORE = 'M4.5 10v.1M10 10v.1M15.5 10v.1';

/**
 * Whether it would fill the screen of a phone.
 *
 * @param {string} content
 */
const isLong = (content) => content.length > 900 || content.split('\n', 17).length > 16;

export class MessageView {
  /** What is drawn. */
  #row;
  #key = '';
  #text = make('p');
  #about = make('span', 'about');
  #bubble = make('div', 'bubble', this.#text, this.#about);
  #menu = make('button', 'act', icon(MORE, ''));
  #reactions;
  #quote = make('button', 'quote', make('span', 'sr', 'In reply to '), make('strong'), make('span'));
  #more = make('button', 'more');
  /** The text that is drawn, with what decides how it looks. */
  #drawnText = '';

  /**
   * @param {ChatClient} chat
   * @param {Reactors} reactors
   * @param {Row} row
   */
  constructor(chat, reactors, row) {
    const { sender, isMine, group } = row;
    this.chat = chat;
    this.reactors = reactors;
    this.#row = row;
    this.#about.dir = 'ltr';
    this.#bubble.dir = 'auto';
    // Not a part of what decides on the direction of the message.
    this.#quote.dir = 'auto';
    this.#reactions = new Reactions(chat.userId ?? '', (reaction) => reactors.onReaction(this.#seq, reaction));
    this.#menu.onclick = () => reactors.onMenu(this.#menu, this.#seq);
    this.#menu.setAttribute('aria-haspopup', 'menu');
    this.#menu.setAttribute('aria-expanded', 'false');
    this.#quote.onclick = () => reactors.onShow(/** @type {number} */ (this.#row.shown.replyTo));
    this.#more.onclick = () => this.#fold(!this.node.classList.contains('folded'));
    for (const button of [this.#menu, this.#quote]) button.tabIndex = -1;
    const name = make('span', 'sr', isMine ? 'You:' : `${visible(sender)}:`);
    this.node = make('li', `message ${isMine ? 'mine' : ''}`, name, this.#bubble);
    if (group && !isMine) this.#bubble.prepend(senderLine(sender));
    // It takes the focus when the user goes to it, or when its button disappears.
    this.node.tabIndex = -1;
  }

  /** The message that is drawn. */
  get message() {
    return this.#row.m;
  }

  /** Of a stored message. */
  get #seq() {
    const { m } = this.#row;
    return 'seq' in m ? m.seq : 0;
  }

  /** @param {Row} row */
  draw(row) {
    const state = row.isMine ? this.#stateOf(row) : undefined;
    const changes = row.changes.map((change) => [change.clientMessageId, change.failed?.message]);
    const failed = 'failed' in row.m ? row.m.failed : undefined;
    const key = JSON.stringify([state, row.at, failed?.message, changes, row.quote, row.group?.left, row.isEditable]);
    if (this.#row.m === row.m && this.#key === key) return;
    this.#row = row;
    this.#key = key;
    this.node.dataset.state = state ?? '';
    this.node.classList.toggle('failed', state === 'failed');
    this.node.classList.toggle('changing', isChanging(row));
    this.#drawText(row);
    this.#drawQuote(row);
    this.#drawAbout(row, state);
    this.#drawMenu(row);
    this.#drawReactions(row);
    this.#drawFailures(row);
  }

  /**
   * Leaves a text in place that has not changed, so that a selection lasts.
   *
   * @param {Row} row
   */
  #drawText({ shown, quote }) {
    const { content, mentions = [] } = shown;
    const isDeleted = isDeletedMessage(shown);
    this.node.classList.toggle('big', !quote && isEmojiOnly(content));
    const drawn = JSON.stringify([isDeleted, content, mentions]);
    if (this.#drawnText === drawn) return;
    this.#drawnText = drawn;
    this.node.classList.toggle('deleted', isDeleted);
    const me = this.chat.userId ?? '';
    const parts = linked(content).flatMap((part) =>
      typeof part === 'string' ? highlighted(part, mentions, me) : [part],
    );
    this.#text.replaceChildren(...(isDeleted ? [DELETED] : parts));
    if (isLong(content) === this.node.classList.contains('long')) return;
    this.node.classList.toggle('long', isLong(content));
    if (isLong(content)) this.#about.before(this.#more);
    else this.#more.remove();
    this.#fold(isLong(content));
  }

  /**
   * Shows the beginning of a long message only, or all of it.
   *
   * @param {boolean} isFolded
   */
  #fold(isFolded) {
    this.node.classList.toggle('folded', isFolded);
    this.#more.textContent = isFolded ? 'Show more' : 'Show less';
    this.#more.setAttribute('aria-expanded', String(!isFolded));
    if (isFolded && this.#more === document.activeElement) this.node.scrollIntoView({ block: 'nearest' });
  }

  /** @param {Row} row */
  #drawQuote({ quote }) {
    if (!quote) return this.#quote.remove();
    const [, name, text] = this.#quote.children;
    setText(name, quote.name);
    setText(text, quote.text);
    text.classList.toggle('soft-text', !quote.isText);
    this.#quote.toggleAttribute('disabled', !quote.canOpen);
    if (this.#quote.parentNode !== this.#bubble) this.#text.before(this.#quote);
  }

  /**
   * @param {Row} row
   * @param {import('./ticks.js').State} [state] of an own message
   */
  #drawAbout(row, state) {
    const { shown, at } = row;
    const time = make('time', '', timeOf(at));
    time.setAttribute('datetime', new Date(at).toISOString());
    const parts = [time];
    if ('editedAt' in shown && shown.editedAt !== undefined) {
      const edited = make('span', 'edited', 'edited');
      edited.title = `Edited ${timestampOf(shown.editedAt)}`;
      parts.unshift(edited);
    }
    const shownState = isChanging(row) ? 'queued' : state;
    const isTicked = isChanging(row) || !isDeletedMessage(shown);
    this.#about.replaceChildren(...parts, ...(shownState && isTicked ? [tick(shownState)] : []));
  }

  /** @param {Row} row */
  #drawMenu({ m, shown, isMine, sender, at, group }) {
    // A deleted message can't change any more, one that is not stored can't be named, and after leaving nothing is allowed.
    if (!('seq' in m) || isDeletedMessage(shown) || group?.left) return this.#menu.remove();
    const whose = isMine ? 'your message' : `the message of ${visible(sender)}`;
    this.#menu.setAttribute('aria-label', `Actions for ${whose}, ${timeOf(at)}`);
    if (this.#menu.parentNode !== this.node) this.#bubble.after(this.#menu);
  }

  /** @param {Row} row */
  #drawReactions({ shown, changes, group }) {
    const waiting = new Set(changes.flatMap(({ failed, reaction }) => (failed || !reaction ? [] : [reaction])));
    const reactions = 'reactions' in shown ? shown.reactions : undefined;
    const hasAny = this.#reactions.draw(reactions, waiting, !group?.left);
    if (!hasAny) this.#reactions.node.remove();
    else if (this.#reactions.node.parentNode !== this.node) this.#lastOfTop.after(this.#reactions.node);
  }

  /** The last node above the reactions. */
  get #lastOfTop() {
    return this.#menu.parentNode === this.node ? this.#menu : this.#bubble;
  }

  /** @param {Row} row */
  #drawFailures({ m, changes, isEditable }) {
    for (const node of this.node.querySelectorAll('.failure')) node.remove();
    if ('failed' in m && m.failed && m.clientMessageId) {
      const onEdit = isEditable ? () => this.reactors.onEdit(m) : undefined;
      this.node.append(failureOfMessage(this.chat, m.clientMessageId, m.failed.message, onEdit));
    }
    for (const change of changes) if (change.failed) this.node.append(failureOfChange(this.chat, change));
  }

  /**
   * @param {Row} row of an own message
   * @returns {import('./ticks.js').State}
   */
  #stateOf({ m }) {
    if ('seq' in m) return this.chat.stateOf(m);
    if (m.failed) return 'failed';
    return m.sent ? 'sent' : 'queued';
  }
}

/**
 * The name above the first message of a block. Screen readers have it before each message already.
 *
 * @param {string} sender
 */
function senderLine(sender) {
  const node = make('bdi', 'sender', visible(sender));
  node.dataset.hue = hueOf(sender);
  node.setAttribute('aria-hidden', 'true');
  return node;
}

/** @param {Message | Entry} m */
const isDeletedMessage = (m) => 'deleted' in m && m.deleted !== undefined;

/**
 * Whether a new text, or a deletion, is not stored yet.
 *
 * @param {Row} row
 */
const isChanging = ({ changes }) => changes.some(({ kind, failed }) => !failed && kind !== 'react');
