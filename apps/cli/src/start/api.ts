import type { ProblemBody } from '@posthorn/contracts';

/** The REST API as `start` uses it. */
export type Api = {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
  delete(path: string): Promise<void>;
};

const TIMEOUT_MS = 10_000;

const problemOf = async (response: Response): Promise<string> => {
  const text = await response.text();
  try {
    const { detail, errors = [] } = JSON.parse(text) as Partial<ProblemBody>;
    return [detail, ...errors.map(({ path, message }) => `${path}: ${message}`)].filter(Boolean).join('; ');
  } catch {
    return text.slice(0, 200);
  }
};

export const apiAt = (url: string, key: string): Api => {
  const call = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`${method} ${path.split('?')[0]} answered ${response.status}: ${await problemOf(response)}`);
    return response;
  };
  return {
    get: async <T>(path: string) => (await (await call('GET', path)).json()) as T,
    post: async <T>(path: string, body: unknown) => (await (await call('POST', path, body)).json()) as T,
    delete: async (path) => {
      await call('DELETE', path);
    },
  };
};
