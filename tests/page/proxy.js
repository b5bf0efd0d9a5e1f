// A TCP proxy between a browser and the service, which a test can cut.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class TcpProxy {
  #isCut = false;
  /** @type {Set<import('node:net').Socket>} */
  #sockets = new Set();
  /** What the browser sends, and where it goes. @type {Set<[import('node:net').Socket, import('node:net').Socket]>} */
  #ways = new Set();

  /**
   * Listens on a free port, and forwards to `port`.
   *
   * @param {number} port
   */
  static async start(port) {
    const proxy = new TcpProxy(port);
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  /** @param {number} port */
  constructor(port) {
    this.server = createServer((near) => {
      if (this.#isCut) return near.destroy();
      const far = connect(port, '127.0.0.1');
      near.pipe(far).pipe(near);
      this.#ways.add([near, far]);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ]) {
        this.#sockets.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      }
    });
  }

  /** The host and port that it listens on. */
  get address() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.server.address());
    return `127.0.0.1:${port}`;
  }

  /** Drops every connection, and accepts none until `restore`. */
  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  restore() {
    this.#isCut = false;
  }

  /** Keeps what the browser sends until `release`. */
  hold() {
    for (const [near, far] of this.#ways) near.unpipe(far);
  }

  release() {
    for (const [near, far] of this.#ways) near.pipe(far);
  }

  stop() {
    this.cut();
    this.server.close();
  }
}
