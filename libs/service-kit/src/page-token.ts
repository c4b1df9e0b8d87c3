import type { z } from 'zod';
import { Problem } from './problem.js';

/** Where the next page begins, as something to be handed back, not to be read. */
export const encodePageToken = (position: unknown): string => Buffer.from(JSON.stringify(position)).toString('base64url');

/** @throws {Problem} `invalid` when it is not a token that this list has given out */
export const decodePageToken = <S extends z.ZodType>(schema: S, token: string): z.output<S> => {
  const parsed = schema.safeParse(jsonOf(Buffer.from(token, 'base64url').toString('utf8')));
  if (parsed.success) return parsed.data;
  const message = 'is not a token of this list';
  throw new Problem('invalid', `page_token: ${message}`, { errors: [{ path: 'page_token', message }] });
};

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
