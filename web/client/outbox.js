// Messages that are not acknowledged yet. They are kept in IndexedDB, so that they survive a reload, and are shared by
// all tabs of this user; a Web Lock lets one tab send a conversation's at a time.

/** @typedef {import('./conversation.js').Entry} Entry */

/**
 * @typedef {{ kind: 'queued' | 'failed', entry: Entry } | { kind: 'gone', clientMessageId: string }
 *   | { kind: 'sent', clientMessageId: string, message: import('./conversation.js').Message }} Word from another tab
 */

const STORE = 'outbox';

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

export class Outbox {
  /** @type {IDBDatabase | null} */
  #database = null;
  /** What is kept in memory only, where there is no IndexedDB. @type {Map<number, Entry>} */
  #memory = new Map();
  /** @type {BroadcastChannel | undefined} */
  #channel;
  /** Ends of the queues for each lock, where there are no Web Locks. @type {Map<string, Promise<unknown>>} */
  #queues = new Map();

  /**
   * @param {string} owner whose it is, and at which service
   * @param {{ indexedDB?: IDBFactory, locks?: LockManager, Channel?: typeof BroadcastChannel }} means
   * @param {(word: Word) => void} onWord
   */
  constructor(owner, { indexedDB, locks, Channel }, onWord) {
    this.name = `chat ${owner}`;
    this.indexedDB = indexedDB;
    this.locks = locks;
    if (!Channel) return;
    this.#channel = new Channel(this.name);
    this.#channel.onmessage = ({ data }) => onWord(data);
    /** @type {any} */ (this.#channel).unref?.();              // Node would wait for it
  }

  /** Whether what is queued survives a reload. */
  get isDurable() {
    return this.#database !== null;
  }

  /** Opens what an earlier page left. Where storage is forbidden, everything works but does not survive. */
  async open() {
    try {
      if (!this.indexedDB) return;
      const opening = this.indexedDB.open(this.name, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: 'n', autoIncrement: true });
      const database = await done(opening);
      database.onclose = database.onversionchange = () => { database.close(); this.#database = null; };
      this.#database = database;
    } catch { /* as without IndexedDB */ }
  }

  /** @returns {Promise<Entry[]>} in the order in which they were queued */
  async all() {
    /** @type {Entry[]} */
    const kept = (await this.#ask('readonly', (store) => store.getAll())) ?? [];
    const entries = new Map([...kept, ...this.#memory.values()].map((entry) => [entry.n, entry]));
    return [...entries.values()].sort((a, b) => a.n - b.n);
  }

  /** Keeps a new one. When this has returned, it survives. @param {Omit<Entry, 'n'>} draft @returns {Promise<Entry>} */
  async add(draft) {
    const n = /** @type {number | undefined} */ (await this.#ask('readwrite', (store) => store.add(draft)));
    const entry = { ...draft, n: n ?? Date.now() + this.#memory.size / 1000 };
    if (n === undefined) this.#memory.set(entry.n, entry);
    return entry;
  }

  /** Keeps it as it is now. @param {Entry} entry @returns {Promise<boolean>} whether it is still there */
  put(entry) {
    return this.#change(entry, () => entry);
  }

  /**
   * Keeps the `lastSeq` of the first attempt. Where another tab was faster, all attempts name what that one has.
   *
   * @param {Entry} entry @param {number} lastSeq @returns {Promise<boolean>} whether it is still there
   */
  begin(entry, lastSeq) {
    return this.#change(entry, (kept) => ({ ...kept, lastSeq: entry.lastSeq = kept.lastSeq ?? lastSeq }));
  }

  /** @param {Entry} entry @param {(kept: Entry) => Entry} change */
  async #change(entry, change) {
    // In one step, so that no tab brings back what another one has removed.
    const kept = this.#memory.has(entry.n) ? undefined : await this.#ask('readwrite', (store) => {
      /** @type {IDBRequest<Entry[]>} */
      const request = store.getAll(entry.n);
      request.addEventListener('success', () => { if (request.result.length) store.put(change(request.result[0])); });
      return request;
    });
    if (kept) return kept.length > 0;
    this.#memory.set(entry.n, Object.assign(entry, change(entry)));
    // An old one that survives would be taken for one that was never tried.
    await this.#ask('readwrite', (store) => store.delete(entry.n));
    return true;
  }

  /** @param {Entry} entry */
  async remove(entry) {
    if (!this.#memory.delete(entry.n)) await this.#ask('readwrite', (store) => store.delete(entry.n));
  }

  /**
   * Runs `work` while no other tab runs one of this name.
   *
   * @template T @param {string} name @param {() => Promise<T>} work @returns {Promise<T>}
   */
  async alone(name, work) {
    const whole = `${this.name} ${name}`;
    try {
      if (this.locks) return await this.locks.request(whole, work);
    } catch (error) {
      if (/** @type {Error} */ (error)?.name !== 'SecurityError') throw error;
      this.locks = undefined;                                   // a page in a sandbox has none
    }
    const turn = (this.#queues.get(whole) ?? Promise.resolve()).then(work, work);
    this.#queues.set(whole, turn);
    return turn;
  }

  /** Tells the other tabs. @param {Word} word */
  tell(word) {
    this.#channel?.postMessage(word);
  }

  close() {
    this.#channel?.close();
    this.#channel = undefined;
    this.#database?.close();
    this.#database = null;
  }

  /**
   * @template T @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest<T>} act
   * @returns {Promise<T | undefined>} undefined where it can't be kept
   */
  async #ask(mode, act) {
    if (!this.#database) return undefined;
    try {
      const transaction = this.#database.transaction(STORE, mode, { durability: 'strict' });
      const whole = new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error);
      });
      const [result] = await Promise.all([done(act(transaction.objectStore(STORE))), whole]);
      return result;
    } catch {
      return undefined;                                         // the disk is full, say
    }
  }
}
