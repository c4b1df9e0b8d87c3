const CHUNK_BYTES = 4 * 1024 * 1024;
/** Addresses count these: one that is to fit into 31 bits reaches over 16 GiB. */
const GRAIN_BYTES = 8;
const LENGTH_BYTES = 4;
/** Rooms of up to so many bytes are as large as needed, in grains; above, as the next power of two. */
const EXACT_BYTES = 1_024;
const EXACT_ROOMS = EXACT_BYTES / GRAIN_BYTES;
const ROOMS = EXACT_ROOMS + Math.log2(CHUNK_BYTES / EXACT_BYTES) + 1;

/**
 * Texts as UTF-8 outside of the JavaScript heap, where a million of them cost the collector nothing. What is removed leaves a room
 * for the next text of its size: adding and removing take constant time, and nothing is ever moved. A text is at most 4 MiB.
 */
export class TextStore {
  readonly #chunks: Buffer[] = [];
  /** In the last chunk. */
  #usedBytes = CHUNK_BYTES;
  /** By room: the address of the first free one, plus 1; each free one holds that of the next. */
  readonly #free = new Uint32Array(ROOMS);

  /**
   * Where it stands from now on.
   * @throws {RangeError} when it is too long
   */
  add(text: string): number {
    const bytes = Buffer.byteLength(text);
    const address = this.#take(roomFor(bytes + LENGTH_BYTES));
    const { chunk, at } = this.#place(address);
    chunk.writeUInt32LE(bytes, at);
    chunk.write(text, at + LENGTH_BYTES, bytes, 'utf8');
    return address;
  }

  get(address: number): string {
    const { chunk, at } = this.#place(address);
    const start = at + LENGTH_BYTES;
    return chunk.toString('utf8', start, start + chunk.readUInt32LE(at));
  }

  remove(address: number): void {
    const { chunk, at } = this.#place(address);
    const room = roomFor(chunk.readUInt32LE(at) + LENGTH_BYTES);
    chunk.writeUInt32LE(this.#free[room] ?? 0, at);
    this.#free[room] = address + 1;
  }

  #take(room: number): number {
    const free = this.#free[room] ?? 0;
    if (free !== 0) {
      const { chunk, at } = this.#place(free - 1);
      this.#free[room] = chunk.readUInt32LE(at);
      return free - 1;
    }
    const bytes = bytesOf(room);
    if (this.#usedBytes + bytes > CHUNK_BYTES) {
      this.#chunks.push(Buffer.allocUnsafeSlow(CHUNK_BYTES));
      this.#usedBytes = 0;
    }
    const address = ((this.#chunks.length - 1) * CHUNK_BYTES + this.#usedBytes) / GRAIN_BYTES;
    this.#usedBytes += bytes;
    return address;
  }

  #place(address: number): { readonly chunk: Buffer; readonly at: number } {
    const offset = address * GRAIN_BYTES;
    const chunk = this.#chunks[Math.floor(offset / CHUNK_BYTES)];
    if (chunk === undefined) throw new RangeError(`no text at ${address}`);
    return { chunk, at: offset % CHUNK_BYTES };
  }
}

const roomFor = (bytes: number): number => {
  if (bytes <= EXACT_BYTES) return Math.ceil(bytes / GRAIN_BYTES) - 1;
  if (bytes > CHUNK_BYTES) throw new RangeError(`a text of ${bytes} bytes`);
  return EXACT_ROOMS - 1 + Math.ceil(Math.log2(bytes / EXACT_BYTES));
};

const bytesOf = (room: number): number => (room < EXACT_ROOMS ? (room + 1) * GRAIN_BYTES : EXACT_BYTES * 2 ** (room - EXACT_ROOMS + 1));
