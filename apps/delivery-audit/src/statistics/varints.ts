/** Bytes that are not what this code writes. */
export class ForeignBytes extends Error {
  override readonly name = 'ForeignBytes';
}

const CONTINUES = 0x80;
const LOW_BITS = 0x7f;
const RADIX = 128;
/** Of 7 bits each: as many as the integers of a double have. */
const MOST_BYTES = 8;

/** Writes integers in as many bytes as they need: seven bits a byte, lowest first, as Protocol Buffers do. */
export class VarintWriter {
  #bytes: Buffer = Buffer.allocUnsafe(256);
  #length = 0;

  /** @param value a whole number from 0 to 2^53 - 1 */
  unsigned(value: number): this {
    this.#makeRoom(MOST_BYTES);
    let rest = value;
    while (rest >= CONTINUES) {
      this.#bytes[this.#length++] = (rest % RADIX) + CONTINUES;
      rest = Math.floor(rest / RADIX);
    }
    this.#bytes[this.#length++] = rest;
    return this;
  }

  /** Signs alternate (0, -1, 1, -2, …), so that what is small stays short on either side of nothing. */
  signed(value: number): this {
    return this.unsigned(value < 0 ? -2 * value - 1 : 2 * value);
  }

  text(value: string): this {
    const length = Buffer.byteLength(value);
    this.unsigned(length).#makeRoom(length);
    this.#length += this.#bytes.write(value, this.#length);
    return this;
  }

  /** Its length, then the bytes: what is of no interest to a reader can be passed over. */
  bytes(value: Buffer): this {
    this.unsigned(value.length).#makeRoom(value.length);
    this.#length += value.copy(this.#bytes, this.#length);
    return this;
  }

  /** All that was written, as bytes of its own. */
  written(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  #makeRoom(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#length + bytes));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Reads what a `VarintWriter` wrote, and nothing else: every number has one spelling. All of it throws {@link ForeignBytes}. */
export class VarintReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  unsigned(): number {
    let value = 0;
    let weight = 1;
    for (let read = 1; read <= MOST_BYTES; read++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new ForeignBytes('they end within a number');
      value += (byte & LOW_BITS) * weight;
      if (byte < CONTINUES) {
        if (byte === 0 && read > 1) throw new ForeignBytes('a number is longer than it needs to be');
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      weight *= RADIX;
    }
    throw new ForeignBytes('a number is too large');
  }

  signed(): number {
    const value = this.unsigned();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  text(): string {
    return this.bytes().toString();
  }

  bytes(): Buffer {
    const length = this.unsigned();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new ForeignBytes('they are cut off');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** @throws {ForeignBytes} when there is more */
  end(): void {
    if (!this.isAtEnd) throw new ForeignBytes('they go on after the end');
  }
}
