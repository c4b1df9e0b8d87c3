/**
 * What of a partition is done above the committed offset, as text for the metadata of the commit: a client that starts there
 * does not do it again. Two encodings, the shorter wins:
 *
 * - `b` bitmap: bit i of the bytes (least significant first) stands for the offset `committed + 1 + i`
 * - `r` runs: variable-length integers; how many offsets are not done, how many are, and so on, beginning at the committed offset
 *
 * The committed offset itself is never done, so it needs no bit and the first run is never empty.
 */

/** Offsets from `start` to just below `end`. Lists of runs are ascending, disjoint and do not touch. */
export type Run = { readonly start: number; readonly end: number };

/** Kafka's default `offset.metadata.max.bytes`. */
export const MAX_METADATA_BYTES = 4096;

/** `undefined` when nothing is done above, or when it does not fit. */
export const encodeDone = (committed: number, done: readonly Run[]): string | undefined => {
  const last = done.at(-1);
  if (last === undefined) return undefined;
  const runs = `r${runBytes(committed, done).toString('base64')}`;
  const bitmapBytes = Math.ceil((last.end - committed - 1) / 8);
  const bitmapLength = 1 + Math.ceil(bitmapBytes / 3) * 4;
  const text = bitmapLength < runs.length ? `b${bitmap(committed, done, bitmapBytes).toString('base64')}` : runs;
  return text.length <= MAX_METADATA_BYTES ? text : undefined;
};

/** Anything that is not ours (another client's metadata, a damaged text) means that nothing is known to be done. */
export const decodeDone = (committed: number, metadata: string | null | undefined): readonly Run[] => {
  if (!metadata) return [];
  const bytes = Buffer.from(metadata.slice(1), 'base64');
  if (metadata.startsWith('b')) return runsOfBitmap(committed, bytes);
  if (metadata.startsWith('r')) return runsOfLengths(committed, bytes);
  return [];
};

const bitmap = (committed: number, done: readonly Run[], length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  for (const { start, end } of done) {
    for (let bit = start - committed - 1; bit < end - committed - 1; bit++) {
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
  }
  return bytes;
};

const runsOfBitmap = (committed: number, bytes: Buffer): readonly Run[] => {
  const runs: Run[] = [];
  let start: number | undefined;
  const bits = bytes.length * 8;
  for (let bit = 0; bit <= bits; bit++) {
    const isDone = bit < bits && ((bytes[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
    const offset = committed + 1 + bit;
    if (isDone) start ??= offset;
    else if (start !== undefined) {
      runs.push({ start, end: offset });
      start = undefined;
    }
  }
  return runs;
};

const runBytes = (committed: number, done: readonly Run[]): Buffer => {
  const bytes: number[] = [];
  let at = committed;
  for (const { start, end } of done) {
    pushVarint(bytes, start - at);
    pushVarint(bytes, end - start);
    at = end;
  }
  return Buffer.from(bytes);
};

const runsOfLengths = (committed: number, bytes: Buffer): readonly Run[] => {
  const lengths = [...varints(bytes)];
  const runs: Run[] = [];
  let at = committed;
  for (let i = 0; i + 1 < lengths.length; i += 2) {
    const start = at + (lengths[i] ?? 0);
    const end = start + (lengths[i + 1] ?? 0);
    if (start <= at || end <= start || !Number.isSafeInteger(end)) return [];
    runs.push({ start, end });
    at = end;
  }
  return lengths.length % 2 === 0 ? runs : [];
};

const pushVarint = (bytes: number[], value: number): void => {
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
};

const varints = function* (bytes: Buffer): Generator<number> {
  let value = 0;
  let scale = 1;
  for (const byte of bytes) {
    value += (byte & 0x7f) * scale;
    scale *= 0x80;
    if (byte < 0x80) {
      yield value;
      value = 0;
      scale = 1;
    }
  }
};
