import kafkajs from 'kafkajs';
import { promisify } from 'node:util';
import { gunzip, zstdDecompress } from 'node:zlib';
import { lz4Inflated, MAX_INFLATED_BYTES, snappyInflated } from './decompression.js';

const gunzipped = promisify(gunzip);
const zstdInflated = promisify(zstdDecompress);
const limit = { maxOutputLength: MAX_INFLATED_BYTES };

/** What we write is not compressed, and a topic of ours is stored as that; what others have compressed has to be read. */
const reading = (decompress: (batch: Buffer) => Promise<Buffer>) => () => ({
  decompress,
  compress: () => Promise.reject(new Error('this library writes no compressed batches')),
});

/** kafkajs knows gzip, without a bound, and a batch in anything else crashes its consumer for good. */
export const readEveryCompression = (): void => {
  const { CompressionCodecs: codecs, CompressionTypes: types } = kafkajs;
  const gzip = codecs[types.GZIP]?.() as { readonly compress: unknown } | undefined;
  codecs[types.GZIP] = () => ({ ...gzip, decompress: (batch: Buffer) => gunzipped(batch, limit) });
  codecs[types.Snappy] = reading(async (batch) => snappyInflated(batch));
  codecs[types.LZ4] = reading(async (batch) => lz4Inflated(batch));
  codecs[types.ZSTD] = reading((batch) => zstdInflated(batch, limit));
};
