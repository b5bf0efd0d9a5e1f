// SPDX-License-Identifier: MIT
// `Settings`: what the user lets the chat show of typing and presence. Kept in the browser, for all tabs.

import { byId, make } from './dom.js';
import { savedSettings, saveSettings, whenSettingsChange } from './storage.js';

/** @typedef {import('./storage.js').Saved} Saved */

/** @type {{ name: keyof Saved, label: string, hint: string }[]} */
const SWITCHES = [
  {
    name: 'typing',
    label: 'Show when I’m typing',
    hint: 'If this is off, you don’t see when others are typing.',
  },
  {
    name: 'presence',
    label: 'Show who is online',
    hint: 'Also shows when others were last online. Others always see this about you.',
  },
];

export class Settings {
  #button = byId('settings');

  /**
   * @param {import('../chat-client.js').ChatClient} chat
   * @param {import('./popup.js').Popup} popup
   * @param {() => void} onChange
   */
  constructor(chat, popup, onChange) {
    this.chat = chat;
    this.popup = popup;
    this.onChange = onChange;
    this.#button.onclick = () => (popup.isOpenAt(this.#button) ? popup.close() : this.#show());
    whenSettingsChange(() => this.#apply(savedSettings()));
  }

  #show() {
    const rows = SWITCHES.map((one) => this.#makeRow(one));
    const focus = rows[0].querySelector('input') ?? undefined;
    this.popup.show(this.#button, { role: 'dialog', label: 'Settings', children: rows, focus });
  }

  /** @param {(typeof SWITCHES)[number]} options */
  #makeRow({ name, label, hint }) {
    const id = `setting-${name}`;
    const input = /** @type {HTMLInputElement} */ (make('input'));
    Object.assign(input, { id, type: 'checkbox', checked: this.chat.options[name] !== false });
    input.setAttribute('role', 'switch');
    input.setAttribute('aria-describedby', `${id}-hint`);
    input.onchange = () => {
      const { typing, presence } = this.chat.options;
      const settings = { typing: typing !== false, presence: presence !== false, [name]: input.checked };
      saveSettings(settings);
      this.#apply(settings);
    };
    const text = make('label', '', label);
    text.setAttribute('for', id);
    const more = make('p', 'soft', hint);
    more.id = `${id}-hint`;
    return make('div', 'setting', text, input, more);
  }

  /** @param {Saved} settings */
  #apply(settings) {
    Object.assign(this.chat.options, settings);
    for (const { name } of SWITCHES) {
      const input = byId(`setting-${name}`);
      if (input) input.checked = settings[name];
    }
    this.onChange();
  }
}
