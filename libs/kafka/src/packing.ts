/** A record with its partition decided, as large as it counts towards a batch. */
export type Packable = { readonly topic: string; readonly partition: number; readonly bytes: number };

/** Around a record's key, value and headers: lengths, offset and timestamp deltas, at their largest. */
const RECORD_OVERHEAD_BYTES = 40;

const lengthOf = (data: string | Uint8Array | null | undefined): number =>
  data === null || data === undefined ? 0 : typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength;

export const sizeOf = (record: {
  readonly key?: string | Uint8Array | null | undefined;
  readonly value: string | Uint8Array | null;
  readonly headers?: Readonly<Record<string, string | Uint8Array | undefined>> | undefined;
}): number => {
  let bytes = RECORD_OVERHEAD_BYTES + lengthOf(record.key) + lengthOf(record.value);
  for (const name in record.headers) bytes += name.length + lengthOf(record.headers[name]) + 4;
  return bytes;
};

/** How many records from the head of the queue make the next batch: as many as fit, at least one. */
export const batchLength = (queue: Iterable<{ readonly bytes: number }>, maxBytes: number): number => {
  let count = 0;
  let bytes = 0;
  for (const record of queue) {
    bytes += record.bytes;
    if (count > 0 && bytes > maxBytes) break;
    count++;
  }
  return count;
};

/**
 * The parts to try one by one after a batch was refused because of one of its records. The broker takes or refuses the records
 * of one partition together, so partitions are separated first: the others are written at most once more. Then halves.
 * Order within a partition is kept.
 */
export const partsOf = <T extends Packable>(batch: readonly T[]): readonly (readonly T[])[] => {
  const byPartition = new Map<string, T[]>();
  for (const record of batch) {
    const key = `${record.topic}/${record.partition}`;
    const part = byPartition.get(key);
    if (part) part.push(record);
    else byPartition.set(key, [record]);
  }
  if (byPartition.size > 1) return [...byPartition.values()];
  const middle = Math.ceil(batch.length / 2);
  return [batch.slice(0, middle), batch.slice(middle)].filter((part) => part.length > 0);
};
