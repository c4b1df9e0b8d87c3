import type { PublishStreamRequest, PublishStreamResponse } from '@posthorn/contracts/grpc/ingestion';
import type { Conversation } from '@posthorn/service-kit/grpc';
import { sizeOfEvent } from './event-messages.js';

/** What may wait for its answer at a time, on one stream. */
export type StreamLimits = { readonly events: number; readonly bytes: number };

/** Of a request: what nobody may say, such as an id of a megabyte, is held as long as what is let in. */
const sizeOf = ({ event, tenant }: PublishStreamRequest): number => tenant.length + (event === undefined ? 0 : sizeOfEvent(event));

/**
 * Publishes what a stream brings and answers in the order in which answers are there. When as much waits as may, no more is taken: an event
 * waits until its answer has been written, so that whoever does not read their answers is not read from either. In the end all are answered.
 * @param publish called for one event after another; must not throw what a client may cause
 * @throws what `publish` and the requests do, after all that was taken is answered
 */
export const publishStream = async (
  { requests, say }: Conversation<PublishStreamRequest, PublishStreamResponse>,
  publish: (request: PublishStreamRequest) => Promise<PublishStreamResponse>,
  limits: StreamLimits,
): Promise<void> => {
  const answers = new Set<Promise<void>>();
  let waitingBytes = 0;
  const failures: unknown[] = [];
  const answer = async (request: PublishStreamRequest, bytes: number): Promise<void> => {
    try {
      await say(await publish(request));
    } catch (error) {
      failures.push(error);
    }
    waitingBytes -= bytes;
  };
  try {
    for await (const request of requests) {
      if (failures.length > 0) break;
      const bytes = sizeOf(request);
      waitingBytes += bytes;
      const answered: Promise<void> = answer(request, bytes).then(() => void answers.delete(answered));
      answers.add(answered);
      while (answers.size >= limits.events || waitingBytes >= limits.bytes) await Promise.race(answers);
    }
  } finally {
    await Promise.all(answers);
  }
  if (failures.length > 0) throw failures[0];
};
