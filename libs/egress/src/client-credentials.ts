import { EgressError } from './errors.js';
import type { HttpFailure, HttpOutcome, HttpSender } from './http.js';
import { userAgent } from './user-agent.js';

export type ClientCredentialsSettings = {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly scope?: string | undefined;
};

export type TokenResult = { readonly token: string; readonly failure?: undefined } | { readonly failure: HttpFailure };

/** A token is not used in its last half minute: it has to be good when it arrives. */
const MARGIN_MS = 30_000;
/** For a server that does not say how long its tokens last. */
const DEFAULT_LIFE_MS = 300_000;

/**
 * One subscription's OAuth 2.0 client credentials (RFC 6749, 4.4). A token serves all attempts until it is about to expire; when there
 * is none, one request for it is under way, whoever else waits. It goes the way of all requests, so that the rules of where one may
 * send hold for it too.
 */
export class ClientCredentials {
  readonly #settings: ClientCredentialsSettings;
  readonly #secret: () => string;
  readonly #nowMs: () => number;
  #current: { readonly token: string; readonly untilMs: number } | undefined;
  #underWay: Promise<TokenResult> | undefined;

  /** @param secret decrypts the client's secret; an `EgressError` of it is the failure of whoever asks for a token */
  constructor(settings: ClientCredentialsSettings, secret: () => string, nowMs: () => number = Date.now) {
    this.#settings = settings;
    this.#secret = secret;
    this.#nowMs = nowMs;
  }

  /** Never rejects. */
  token(sender: HttpSender, timeoutMs: number): Promise<TokenResult> {
    const current = this.#current;
    if (current !== undefined && current.untilMs > this.#nowMs()) return Promise.resolve({ token: current.token });
    this.#underWay ??= this.#request(sender, timeoutMs).finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  /** The subscriber did not take it: the next attempt asks for another. */
  forget(token: string): void {
    if (this.#current?.token === token) this.#current = undefined;
  }

  async #request(sender: HttpSender, timeoutMs: number): Promise<TokenResult> {
    const { tokenUrl, clientId, scope } = this.#settings;
    let secret: string;
    try {
      secret = this.#secret();
    } catch (error) {
      if (error instanceof EgressError) return failed(error.message);
      throw error;
    }
    const form = new URLSearchParams({ grant_type: 'client_credentials', ...(scope !== undefined && { scope }) });
    const headers = [
      ['authorization', `Basic ${Buffer.from(`${formEncoded(clientId)}:${formEncoded(secret)}`).toString('base64')}`],
      ['content-type', 'application/x-www-form-urlencoded'],
      ['accept', 'application/json'],
      ['user-agent', userAgent],
    ].flat();
    const outcome = await sender.send({ url: tokenUrl, headers, body: Buffer.from(form.toString()), timeoutMs });
    return this.#kept(outcome);
  }

  #kept(outcome: HttpOutcome): TokenResult {
    if (outcome.failure !== undefined) {
      // Our own end is nobody's failure: the attempt will be made again elsewhere.
      return outcome.failure.code === 'aborted' ? { failure: outcome.failure } : failed(outcome.failure.message);
    }
    const { status, body } = outcome.response;
    if (status !== 200) return failed(`The token endpoint answered ${status}.`);
    const answer = tokenIn(body);
    if (answer === undefined) return failed('The token endpoint did not answer with a bearer token, in at most 4 KiB of JSON.');
    this.#current = { token: answer.token, untilMs: this.#nowMs() + answer.lifeMs - MARGIN_MS };
    return { token: answer.token };
  }
}

const failed = (message: string): TokenResult => ({ failure: { code: 'auth_failed', message: `The request was not made: there is no access token. ${message}` } });

/** RFC 6749, 2.3.1: id and secret are encoded as a form's values before they become user and password. */
const formEncoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1);

/** What may stand in a header (RFC 6750, 2.1). */
const BEARER = /^[A-Za-z0-9\-._~+/]+=*$/;

const tokenIn = (body: string): { readonly token: string; readonly lifeMs: number } | undefined => {
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof answer !== 'object' || answer === null) return undefined;
  const { access_token, token_type, expires_in }: { access_token?: unknown; token_type?: unknown; expires_in?: unknown } = answer;
  if (typeof access_token !== 'string' || !BEARER.test(access_token)) return undefined;
  if (token_type !== undefined && String(token_type).toLowerCase() !== 'bearer') return undefined;
  const seconds = Number(expires_in);
  return { token: access_token, lifeMs: seconds > 0 ? seconds * 1000 : DEFAULT_LIFE_MS };
};
