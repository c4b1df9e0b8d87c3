import { REGISTRY_POSITION_HEADER, type Page } from '@posthorn/contracts';

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Undefined when it is not JSON. */
  readonly body: unknown;
};

type RequestHeaders = Readonly<Record<string, string>>;

const PAGE_SIZE = 250;

/**
 * The REST API as a client uses it that wants its own writes to count: it keeps the furthest registry position that it was told, and every
 * event that it publishes carries it.
 */
export class Api {
  #position = 0;

  constructor(
    private readonly url: string,
    private readonly key: string,
  ) {}

  /** The headers of an event that is to meet the subscriptions as this client left them. */
  get position(): RequestHeaders {
    return { [REGISTRY_POSITION_HEADER]: String(this.#position) };
  }

  get authorization(): RequestHeaders {
    return { authorization: `Bearer ${this.key}` };
  }

  async call(method: string, path: string, body?: string | object, headers: RequestHeaders = {}): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...this.authorization,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...this.position,
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    // Of writes at the same time the last answer may be that of an earlier one.
    this.#position = Math.max(this.#position, Number(response.headers.get(REGISTRY_POSITION_HEADER) ?? 0));
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: parsed(text) };
  }

  /** The body of an answer that must be a success; its type is what the API promises. */
  async ask<T>(method: string, path: string, body?: string | object, headers?: RequestHeaders): Promise<T> {
    const answer = await this.call(method, path, body, headers);
    if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}: ${answer.text}`);
    return answer.body as T;
  }

  get<T>(path: string): Promise<T> {
    return this.ask<T>('GET', path);
  }

  /** All rows of a list, page by page. */
  async list<T>(path: string): Promise<readonly T[]> {
    const rows: T[] = [];
    let token: string | undefined;
    do {
      const url = `${path}${path.includes('?') ? '&' : '?'}page_size=${PAGE_SIZE}${token === undefined ? '' : `&page_token=${encodeURIComponent(token)}`}`;
      const page = await this.get<Page<T>>(url);
      rows.push(...page.data);
      token = page.next_page_token;
    } while (token !== undefined);
    return rows;
  }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
