const SEED = 0x9747b28c;
const M = 0x5bd1e995;

/** MurmurHash2, 32 bit, as Kafka's Java client computes it (org.apache.kafka.common.utils.Utils.murmur2). */
const murmur2 = (data: Uint8Array): number => {
  const { length } = data;
  const at = (index: number): number => data[index] ?? 0;
  let h = SEED ^ length;
  const blocks = length & ~3;
  for (let i = 0; i < blocks; i += 4) {
    let k = at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const rest = length - blocks;
  if (rest > 0) {
    if (rest === 3) h ^= at(blocks + 2) << 16;
    if (rest >= 2) h ^= at(blocks + 1) << 8;
    h = Math.imul(h ^ at(blocks), M);
  }
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return h ^ (h >>> 15);
};

/** The partition Kafka's Java producer puts this key into; producers of any language that follow it agree. */
export const partitionOf = (key: string | Uint8Array, partitions: number): number =>
  (murmur2(typeof key === 'string' ? Buffer.from(key) : key) & 0x7fffffff) % partitions;
