import { Counts } from './counts.js';
import { VarintReader, VarintWriter } from './varints.js';

/** Of what a quantile is told as, relative to what it is: at most. What is left of one in a hundred is for rounding it to four digits. */
const RELATIVE_ERROR = 0.009;
/** Each bucket's bounds are this far apart, so that what lies between them (in the harmonic mean) is off by no more than the error. */
const GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);
const PER_BUCKET = 1 / Math.log(GROWTH);
const MIDDLE = 2 / (1 + GROWTH);

/** What is less counts as nothing; what is more, as this. In milliseconds: from a microsecond to three years. */
const LEAST = 1e-3;
const MOST = 1e11;

/** Bucket 0 holds nothing, bucket n ≥ 1 what lies from LEAST · GROWTH^(n-1) to LEAST · GROWTH^n. */
const bucketOf = (value: number): number => {
  if (!(value >= LEAST)) return 0;
  return 1 + Math.floor(Math.log(Math.min(value, MOST) / LEAST) * PER_BUCKET);
};

const valueOf = (bucket: number): number => (bucket === 0 ? 0 : LEAST * GROWTH ** bucket * MIDDLE);

/** How many buckets there are, which bounds the size of a sketch: it takes at most this many entries of some bytes. */
export const BUCKETS = bucketOf(MOST) + 1;

/**
 * The distribution of many values, in little space: how many lie in each of some buckets whose widths grow with the values (the idea of
 * DDSketch: Masson, Rim, Lee, VLDB 2019). A quantile is off by one in a hundred at most. Two sketches together are the sketch of the values of both, in
 * whatever order, which is what averages of percentiles are not; and what was added can be taken away again.
 */
export class Sketch {
  readonly #counts: Counts;

  constructor(counts = new Counts()) {
    this.#counts = counts;
  }

  /** @param times below zero: it is taken away */
  add(value: number, times = 1): void {
    this.#counts.add(bucketOf(value), times);
  }

  addAll(other: Sketch): void {
    this.#counts.addAll(other.#counts);
  }

  get isEmpty(): boolean {
    return this.#counts.isEmpty;
  }

  /** The values at these shares (0 to 1, ascending) of all, sorted: the one of which so many are not greater. Undefined each when there are none. */
  quantiles(shares: readonly number[]): readonly (number | undefined)[] {
    let total = 0;
    this.#counts.forEach((_, times) => (total += times));
    const ranks = shares.map((share) => Math.max(1, Math.ceil(share * total)));
    const values: number[] = [];
    let passed = 0;
    this.#counts.forEach((bucket, times) => {
      passed += times;
      for (let rank = ranks[values.length]; rank !== undefined && rank <= passed; rank = ranks[values.length]) values.push(valueOf(bucket));
    });
    return shares.map((_, index) => values[index]);
  }

  write(writer: VarintWriter): void {
    this.#counts.write(writer);
  }

  /** @throws {ForeignBytes} */
  static read(reader: VarintReader): Sketch {
    return new Sketch(Counts.read(reader, BUCKETS));
  }

  encode(): Buffer {
    const writer = new VarintWriter();
    this.write(writer);
    return writer.written();
  }

  /** @throws {ForeignBytes} when they are not those of a sketch, which have one form only */
  static decode(bytes: Buffer): Sketch {
    const reader = new VarintReader(bytes);
    const sketch = Sketch.read(reader);
    reader.end();
    return sketch;
  }
}
