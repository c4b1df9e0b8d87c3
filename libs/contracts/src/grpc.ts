import { BinaryReader } from '@bufbuild/protobuf/wire';

/** What every gRPC server needs, whatever it serves. */
export { descriptorSet } from './generated/descriptors.js';
export type { Duration } from './generated/google/protobuf/duration.js';
export { BadRequest, ErrorInfo, RetryInfo } from './generated/google/rpc/error_details.js';
export { Status } from './generated/google/rpc/status.js';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Refuses a string that is not UTF-8, as proto3 wants it. What is otherwise read has replacement characters in it, and two ids that are
 * different would be one.
 */
export const strictReader = (bytes: Uint8Array): BinaryReader => new BinaryReader(bytes, (text) => strict.decode(text));
