/** Kept of a response for the audit. */
const KEPT_BODY_BYTES = 4096;
const KEPT_HEADERS = 32;
const KEPT_HEADER_BYTES = 4096;

/** The start of a response body, and how long the whole is. */
export class ResponseBody {
  private kept: Buffer | undefined = undefined;
  bytes = 0;

  add(chunk: Buffer): void {
    const room = KEPT_BODY_BYTES - this.bytes;
    if (room > 0) {
      const part = chunk.length > room ? chunk.subarray(0, room) : chunk;
      this.kept = this.kept === undefined ? part : Buffer.concat([this.kept, part]);
    }
    this.bytes += chunk.length;
  }

  get truncated(): boolean {
    return this.bytes > KEPT_BODY_BYTES;
  }

  /** NUL is replaced like any other byte that is not text: PostgreSQL's text type cannot hold it. */
  text(): string {
    if (this.kept === undefined) return '';
    const whole = this.truncated ? this.kept.subarray(0, characterBoundary(this.kept)) : this.kept;
    return whole.toString('utf8').replaceAll('\0', '\uFFFD');
  }
}

/** Where to cut so that no UTF-8 character is halved: before a last one that has fewer bytes than it announces. */
const characterBoundary = (bytes: Buffer): number => {
  for (let back = 1; back <= 3; back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const announced = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return announced > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
};

/**
 * The headers kept for the audit: the first 32, and 4 KiB of them, whole ones only. `retry-after` comes before all others, because the next
 * attempt's time depends on it.
 */
export const readHeaders = (
  received: Readonly<Record<string, string | readonly string[] | undefined>>,
): Readonly<Record<string, string>> => {
  const kept: Record<string, string> = {};
  let count = 0;
  let bytes = 0;
  const keep = (name: string): void => {
    const value = received[name];
    if (value === undefined || name === '__proto__') return;
    const text = typeof value === 'string' ? value : value.join(', ');
    const size = name.length + text.length;
    if (count === KEPT_HEADERS || bytes + size > KEPT_HEADER_BYTES) return;
    kept[name] = text;
    count++;
    bytes += size;
  };
  keep('retry-after');
  for (const name in received) if (name !== 'retry-after') keep(name);
  return kept;
};
