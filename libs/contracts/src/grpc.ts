/** What every gRPC server needs, whatever it serves. */
export { descriptorSet } from './generated/descriptors.js';
export { BadRequest, ErrorInfo, RetryInfo } from './generated/google/rpc/error_details.js';
export { Status } from './generated/google/rpc/status.js';
