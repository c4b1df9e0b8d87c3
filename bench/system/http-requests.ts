const END_OF_HEAD = '\r\n\r\n';
const PATH = /^\S+ (\S+) /;
const LENGTH = /\r\ncontent-length: *(\d+)/i;
const ID = /\r\nwebhook-id: *(\S+)/i;

/** A request as it lies in the buffer; the head is everything before the empty line. */
export type WholeRequest = { readonly head: string; readonly path: string; readonly id: string; readonly bodyStart: number; readonly end: number };

/**
 * The request that begins at `from`, undefined while a part of it is missing. Only what our sender writes is understood: HTTP/1.1 with a
 * `content-length`, which is what makes it half as expensive as a parser that takes everything.
 */
export const readRequest = (bytes: Buffer, from: number): WholeRequest | undefined => {
  const headEnd = bytes.indexOf(END_OF_HEAD, from, 'latin1');
  if (headEnd === -1) return undefined;
  const head = bytes.toString('latin1', from, headEnd);
  const bodyStart = headEnd + END_OF_HEAD.length;
  const end = bodyStart + Number(LENGTH.exec(head)?.[1] ?? 0);
  if (end > bytes.length) return undefined;
  return { head, path: PATH.exec(head)?.[1] ?? '', id: ID.exec(head)?.[1] ?? '', bodyStart, end };
};

/** Names in small letters. */
export const headersOf = (head: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    head
      .split('\r\n')
      .slice(1)
      .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
