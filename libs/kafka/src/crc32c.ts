/** The polynomial of Castagnoli (RFC 3720, B.4), bits reversed. */
const POLYNOMIAL = 0x82f63b78;

/** Eight tables, so that eight bytes are taken at a step ("slicing by 8"): three times as fast as one byte at a step. */
const tables: readonly Int32Array[] = Array.from({ length: 8 }, () => new Int32Array(256));
const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array,
];

for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  t0[byte] = crc;
}
for (let byte = 0; byte < 256; byte++) {
  let crc = t0[byte] as number;
  for (const table of tables.slice(1)) {
    crc = (t0[crc & 0xff] as number) ^ (crc >>> 8);
    table[byte] = crc;
  }
}

/** CRC-32C of the bytes from `start` to before `end`, unsigned: what a record batch carries. */
export const crc32c = (bytes: Uint8Array, start = 0, end = bytes.length): number => {
  let crc = -1;
  let at = start;
  // Indices stay inside: the casts spare eight checks for undefined at every step.
  for (const last = end - 7; at < last; at += 8) {
    crc ^=
      (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
    crc =
      (t7[crc & 0xff] as number) ^
      (t6[(crc >>> 8) & 0xff] as number) ^
      (t5[(crc >>> 16) & 0xff] as number) ^
      (t4[crc >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number);
  }
  for (; at < end; at++) crc = (t0[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
};
