import { gunzip } from 'node:zlib';
import { type Refusal, refuse } from './acceptance/draft.js';
import type { HttpHeaders } from './acceptance/parse-binary.js';

/** What a body may be coded by, as `Accept-Encoding` says it to whom another one is refused (RFC 9110, 12.5.3). */
export const CONTENT_CODINGS = 'gzip';

/** A turn of the thread pool each: few enough for 8 MiB, and none of them long. */
const CHUNK_BYTES = 64 * 1024;

/** `x-gzip` is another name for it (RFC 9110, 8.4.1.3). */
export const isGzipped = (headers: HttpHeaders): boolean => /^(?:x-)?gzip$/i.test(String(headers['content-encoding']));

/**
 * A body as it was before it was coded for the way here. Inflating it is off the event loop, and stops at the first byte too many: a few
 * kilobytes may stand for gigabytes.
 */
export const decodedBody = (headers: HttpHeaders, body: Buffer, maxBytes: number): Promise<Buffer | Refusal> | Buffer | Refusal => {
  const coding = headers['content-encoding'];
  if (coding === undefined || coding === 'identity') return body;
  if (!isGzipped(headers)) return refuse('unsupported_media_type', `a body may be coded by ${CONTENT_CODINGS}, and by nothing else`, 'content-encoding');
  return new Promise((resolve) => {
    gunzip(body, { maxOutputLength: maxBytes, chunkSize: CHUNK_BYTES }, (error, inflated) => {
      if (!error) resolve(inflated);
      else if ('code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') resolve(refuse('too_large', `the body has more than ${maxBytes} bytes, inflated`));
      else resolve(refuse('malformed', `not gzip: ${error.message}`));
    });
  });
};
