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
/** A minute before its end, while it can still be used, another is asked for, so that nobody has to wait for it. */
const AHEAD_MS = 60_000;
/** Of a short life, both are parts. */
const MARGIN_PART = 0.2;
const AHEAD_PART = 0.4;
/** For a server that does not say how long its tokens last. */
const DEFAULT_LIFE_MS = 300_000;
/** However long a server says that they last. */
const LONGEST_LIFE_MS = 86_400_000;
/** After a refresh ahead of time has failed, before the next. */
const REFRESH_AGAIN_MS = 5_000;
/** Who asks so soon after there was none is told so again: no breaker looks after a token endpoint, which may be anybody's. */
const ASK_AGAIN_MS = 1_000;

type Token = { readonly text: string; readonly untilMs: number; refreshAtMs: number };

/** How long somebody can wait for a token. */
export type Patience = {
  /** Of the request for it, which others may be waiting for too. */
  readonly timeoutMs: number;
  /** What is left to whoever asks. */
  readonly remainingMs: number;
  readonly signal?: AbortSignal | undefined;
};

/**
 * One subscription's OAuth 2.0 client credentials (RFC 6749, 4.4). A token serves all attempts until it is about to expire; there is
 * one request for another under way at a time, whoever waits. It goes the way of all requests, so that the rules of where one may
 * send hold for it too.
 */
export class ClientCredentials {
  readonly #settings: ClientCredentialsSettings;
  readonly #secret: () => string;
  readonly #nowMs: () => number;
  #current: Token | undefined;
  #underWay: Promise<TokenResult> | undefined;
  #refusal: { readonly result: TokenResult; readonly untilMs: number } | undefined;

  /** @param secret decrypts the client's secret; an `EgressError` of it is the failure of whoever asks for a token */
  constructor(settings: ClientCredentialsSettings, secret: () => string, nowMs: () => number = Date.now) {
    this.#settings = settings;
    this.#secret = secret;
    this.#nowMs = nowMs;
  }

  /** Never rejects. */
  token(sender: HttpSender, patience: Patience): Promise<TokenResult> {
    const current = this.#current;
    const nowMs = this.#nowMs();
    if (current === undefined || current.untilMs <= nowMs) {
      if (this.#refusal !== undefined && this.#refusal.untilMs > nowMs) return Promise.resolve(this.#refusal.result);
      return within(this.#requested(sender, patience.timeoutMs), patience);
    }
    if (current.refreshAtMs <= nowMs) {
      current.refreshAtMs = nowMs + REFRESH_AGAIN_MS;
      // What keeps it from being had is told to the first who has to wait for it.
      this.#requested(sender, patience.timeoutMs).catch(() => undefined);
    }
    return Promise.resolve({ token: current.text });
  }

  /** The subscriber did not take it: whoever asks next gets another. */
  forget(token: string): void {
    if (this.#current?.text === token) this.#current = undefined;
  }

  #requested(sender: HttpSender, timeoutMs: number): Promise<TokenResult> {
    this.#underWay ??= this.#request(sender, timeoutMs).finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
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
      return outcome.failure.code === 'aborted' ? { failure: outcome.failure } : this.#refused(outcome.failure.message);
    }
    const { status, body } = outcome.response;
    if (status !== 200) return this.#refused(`The token endpoint answered ${status}${errorIn(body)}.`);
    const answer = tokenIn(body);
    if (answer === undefined) return this.#refused('The token endpoint did not answer with a bearer token, in at most 4 KiB of JSON.');
    const { token, lifeMs } = answer;
    const endMs = this.#nowMs() + lifeMs;
    this.#current = {
      text: token,
      untilMs: endMs - Math.min(MARGIN_MS, lifeMs * MARGIN_PART),
      refreshAtMs: endMs - Math.min(AHEAD_MS, lifeMs * AHEAD_PART),
    };
    return { token };
  }

  #refused(message: string): TokenResult {
    const result = failed(message);
    this.#refusal = { result, untilMs: this.#nowMs() + ASK_AGAIN_MS };
    return result;
  }
}

/** As it turns out, but no later than whoever asks can wait. */
const within = (asked: Promise<TokenResult>, { remainingMs, signal }: Patience): Promise<TokenResult> =>
  new Promise((resolve, reject) => {
    const end = (result: TokenResult): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      resolve(result);
    };
    const onAbort = (): void => end({ failure: { code: 'aborted', message: 'The attempt was aborted.' } });
    const timer = setTimeout(() => end(failed('The token endpoint did not answer in time.')), remainingMs);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
    asked.then(end, reject);
  });

const failed = (message: string): TokenResult => ({ failure: { code: 'auth_failed', message: `The request was not made: there is no access token. ${message}` } });

/** RFC 6749, 2.3.1: id and secret are encoded as a form's values before they become user and password. */
const formEncoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1);

/** What may stand in a header (RFC 6750, 2.1). */
const BEARER = /^[A-Za-z0-9\-._~+/]+=*$/;

type Answer = { readonly [member in 'access_token' | 'token_type' | 'expires_in' | 'error']?: unknown };

/** An object of JSON, whatever its content type says: that is often wrong, and what is taken from it is judged. */
const answerIn = (body: string): Answer | undefined => {
  try {
    const answer: unknown = JSON.parse(body);
    return typeof answer === 'object' && answer !== null ? answer : undefined;
  } catch {
    return undefined;
  }
};

/** The error's code (RFC 6749, 5.2), as ` (invalid_client)`; nothing when there is none. */
const errorIn = (body: string): string => {
  const error = answerIn(body)?.error;
  return typeof error === 'string' && /^[a-z_]{1,64}$/.test(error) ? ` (${error})` : '';
};

const tokenIn = (body: string): { readonly token: string; readonly lifeMs: number } | undefined => {
  const { access_token, token_type = 'bearer', expires_in } = answerIn(body) ?? {};
  if (typeof access_token !== 'string' || !BEARER.test(access_token)) return undefined;
  if (typeof token_type !== 'string' || token_type.toLowerCase() !== 'bearer') return undefined;
  return { token: access_token, lifeMs: lifeOf(expires_in) };
};

/** Seconds, as a number or in quotes. What is over already serves whoever has waited for it, and nobody else. */
const lifeOf = (seconds: unknown): number => {
  const given = typeof seconds === 'number' || (typeof seconds === 'string' && seconds.trim() !== '') ? Number(seconds) : Number.NaN;
  return Number.isNaN(given) ? DEFAULT_LIFE_MS : Math.min(Math.max(given, 0) * 1000, LONGEST_LIFE_MS);
};
