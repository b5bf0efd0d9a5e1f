// An issuer of tokens that serves its public key, for the system in JWT mode.

import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

/** The claims `iss` and `aud` of its tokens. */
const NAME = 'tests';
const KEY_ID = 'key';

/** @param {object} value */
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export class Issuer {
  #keys = generateKeyPairSync('ed25519');

  /** Serves the key on a free port. */
  static async start() {
    const issuer = new Issuer();
    issuer.server.listen(0, '127.0.0.1');
    await once(issuer.server, 'listening');
    return issuer;
  }

  constructor() {
    const key = { ...this.#keys.publicKey.export({ format: 'jwk' }), alg: 'EdDSA', use: 'sig', kid: KEY_ID };
    this.server = createServer((_, response) => {
      response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys: [key] }));
    });
  }

  /** Parameters of the template that trust this issuer and no other. */
  get parameters() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.server.address());
    const JwtJwksUrl = `http://127.0.0.1:${port}/jwks.json`;
    return { AuthMode: 'jwt', JwtIssuer: NAME, JwtAudience: NAME, JwtJwksUrl };
  }

  /**
   * @param {string} userId
   * @param {number} [expiresIn] seconds from now
   */
  token(userId, expiresIn = 3600) {
    const header = encode({ alg: 'EdDSA', typ: 'JWT', kid: KEY_ID });
    const exp = Math.floor(Date.now() / 1000) + expiresIn;
    const signed = `${header}.${encode({ iss: NAME, aud: NAME, sub: userId, exp })}`;
    return `${signed}.${sign(null, Buffer.from(signed), this.#keys.privateKey).toString('base64url')}`;
  }

  stop() {
    this.server.close();
    this.server.closeAllConnections();
  }
}
