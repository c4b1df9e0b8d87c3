export { createDatabase, type Database } from './database.js';
export { eventually, type EventuallyOptions } from './eventually.js';
export { heldBytes } from './held-bytes.js';
export { NODE_FLAGS } from './node-flags.js';
export { startReceiver, type Received, type Receiver, type ReceiverOptions, type Reply, type WaitOptions } from './receiver.js';
export { startOtlpEndpoint, type Attributes, type ExportedSpan, type OtlpEndpoint } from './otlp-endpoint.js';
export { RecordedSpans } from './recorded-spans.js';
export { connectPublisher, type PublishedEvent, type Publisher, type PublisherOptions } from './publisher.js';
export {
  prometheusPrograms,
  promtoolOf,
  startPrometheus,
  type Prometheus,
  type PrometheusOptions,
  type PrometheusPrograms,
  type Promtool,
  type Series,
} from './prometheus.js';
export { verifySignature, type Verification } from './verify-signature.js';
export { StackError, reasonOf, type StackErrorCode } from './stack/errors.js';
export { holderOf, takeLock, type Holder, type Lock } from './stack/lock.js';
export { KAFKA_VERSION } from './stack/local-kafka.js';
export { freePort, isFree, portsFor } from './stack/ports.js';
export type { ServerKind } from './stack/server.js';
export { posthornDir, repositoryRoot, startStack, type Stack, type StackOptions, type StackPart, type StackProgress } from './stack/stack.js';
export { Way } from './way.js';
