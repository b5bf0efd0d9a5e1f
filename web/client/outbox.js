// `Outbox`: messages that are not acknowledged yet. They are kept in IndexedDB, so that they survive a reload, and all
// tabs of a user share them. A Web Lock lets one tab at a time send the messages of a conversation.

/** @typedef {import('./conversation.js').Entry} Entry */

/**
 * What a tab tells the other tabs of the same user.
 *
 * @typedef {{ kind: 'queued' | 'failed', entry: Entry }
 *   | { kind: 'gone', clientMessageId: string }
 *   | { kind: 'sent', clientMessageId: string, message: import('./conversation.js').Message }} TabMessage
 */

const STORE = 'outbox';

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
const resultOf = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

export class Outbox {
  /** @type {IDBDatabase | null} */
  #database = null;
  /**
   * Entries that IndexedDB does not hold.
   *
   * @type {Map<number, Entry>}
   */
  #memory = new Map();
  /** @type {BroadcastChannel | undefined} */
  #channel;
  /**
   * The last task of each lock, for pages without Web Locks.
   *
   * @type {Map<string, Promise<unknown>>}
   */
  #queues = new Map();

  /**
   * @param {string} owner the service and the user
   * @param {{ indexedDB?: IDBFactory, locks?: LockManager, Channel?: typeof BroadcastChannel }} browser
   * @param {(message: TabMessage) => void} onTabMessage
   */
  constructor(owner, { indexedDB, locks, Channel }, onTabMessage) {
    this.name = `chat ${owner}`;
    this.indexedDB = indexedDB;
    this.locks = locks;
    if (!Channel) return;
    this.#channel = new Channel(this.name);
    this.#channel.onmessage = ({ data }) => onTabMessage(data);
    /** @type {any} */ (this.#channel).unref?.(); // otherwise Node.js does not exit
  }

  /** Whether queued messages survive a reload. */
  get isDurable() {
    return this.#database !== null;
  }

  /** Opens the database. If the browser forbids storage, everything works, but in memory only. */
  async open() {
    try {
      if (!this.indexedDB) return;
      const opening = this.indexedDB.open(this.name, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: 'n', autoIncrement: true });
      const database = await resultOf(opening);
      const close = () => {
        database.close();
        this.#database = null;
      };
      database.onclose = close;
      database.onversionchange = close;
      this.#database = database;
    } catch {
      // As without IndexedDB.
    }
  }

  /** @returns {Promise<Entry[]>} in the order in which they were queued */
  async all() {
    /** @type {Entry[]} */
    const stored = (await this.#transact('readonly', (store) => store.getAll())) ?? [];
    const entries = new Map([...stored, ...this.#memory.values()].map((entry) => [entry.n, entry]));
    return [...entries.values()].sort((a, b) => a.n - b.n);
  }

  /**
   * Adds an entry. When the promise resolves, the entry is stored durably, if `isDurable`.
   *
   * @param {Omit<Entry, 'n'>} draft
   * @returns {Promise<Entry>}
   */
  async add(draft) {
    const n = /** @type {number | undefined} */ (await this.#transact('readwrite', (store) => store.add(draft)));
    const entry = { ...draft, n: n ?? Date.now() + this.#memory.size / 1000 };
    if (n === undefined) this.#memory.set(entry.n, entry);
    return entry;
  }

  /**
   * Replaces the stored entry.
   *
   * @param {Entry} entry
   * @returns {Promise<boolean>} false if another tab has removed it
   */
  put(entry) {
    return this.#change(entry, () => entry);
  }

  /**
   * Stores the `lastSeq` of the first attempt. If another tab has stored one before, `entry` takes that one, so that
   * all attempts name the same.
   *
   * @param {Entry} entry
   * @param {number} lastSeq
   * @returns {Promise<boolean>} false if another tab has removed the entry
   */
  begin(entry, lastSeq) {
    return this.#change(entry, (stored) => {
      entry.lastSeq = stored.lastSeq ?? lastSeq;
      return { ...stored, lastSeq: entry.lastSeq };
    });
  }

  /**
   * @param {Entry} entry
   * @param {(stored: Entry) => Entry} change
   */
  async #change(entry, change) {
    // In one transaction, so that no tab restores an entry that another one has removed.
    const stored = this.#memory.has(entry.n)
      ? undefined
      : await this.#transact('readwrite', (store) => {
          /** @type {IDBRequest<Entry[]>} */
          const request = store.getAll(entry.n);
          request.addEventListener('success', () => {
            if (request.result.length) store.put(change(request.result[0]));
          });
          return request;
        });
    if (stored) return stored.length > 0;
    this.#memory.set(entry.n, Object.assign(entry, change(entry)));
    // After a reload, the older stored entry would look as if it had never been tried.
    await this.#transact('readwrite', (store) => store.delete(entry.n));
    return true;
  }

  /** @param {Entry} entry */
  async remove(entry) {
    if (!this.#memory.delete(entry.n)) await this.#transact('readwrite', (store) => store.delete(entry.n));
  }

  /**
   * Runs `work` while no other tab runs any under the same name.
   *
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async exclusively(name, work) {
    const lock = `${this.name} ${name}`;
    try {
      if (this.locks) return await this.locks.request(lock, work);
    } catch (error) {
      if (/** @type {Error} */ (error)?.name !== 'SecurityError') throw error;
      this.locks = undefined; // a sandboxed page has no locks
    }
    const turn = (this.#queues.get(lock) ?? Promise.resolve()).then(work, work);
    this.#queues.set(lock, turn);
    return turn;
  }

  /** @param {TabMessage} message for the other tabs */
  broadcast(message) {
    this.#channel?.postMessage(message);
  }

  close() {
    this.#channel?.close();
    this.#channel = undefined;
    this.#database?.close();
    this.#database = null;
  }

  /**
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} act
   * @returns {Promise<T | undefined>} undefined without a database, and if the transaction fails (the disk is full, say)
   */
  async #transact(mode, act) {
    if (!this.#database) return undefined;
    try {
      const transaction = this.#database.transaction(STORE, mode, { durability: 'strict' });
      const committed = new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error);
      });
      const [result] = await Promise.all([resultOf(act(transaction.objectStore(STORE))), committed]);
      return result;
    } catch {
      return undefined;
    }
  }
}
