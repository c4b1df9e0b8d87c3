export { eventually, type EventuallyOptions } from './eventually.js';
export { startReceiver, type Received, type Receiver, type ReceiverOptions, type Reply, type WaitOptions } from './receiver.js';
export { connectPublisher, type PublishedEvent, type Publisher, type PublisherOptions } from './publisher.js';
export { verifySignature, type Verification } from './verify-signature.js';
export { StackError, reasonOf, type StackErrorCode } from './stack/errors.js';
export { holderOf, takeLock, type Holder, type Lock } from './stack/lock.js';
export { freePort, isFree, portsFor } from './stack/ports.js';
export type { ServerKind } from './stack/server.js';
export { posthornDir, repositoryRoot, startStack, type Stack, type StackOptions, type StackPart, type StackProgress } from './stack/stack.js';
