import { hash } from 'node:crypto';
import { Problem, type Caller } from '@posthorn/service-kit';
import { z } from 'zod';
import type { Database } from '../query/database.js';
import { markPublished, readRejectedEvent, type RejectedEvent } from '../query/rejected-events.js';
import type { Answer, EventIngestion } from './event-ingestion.js';
import { originalOf, type EventRequest } from './original.js';

export type PublishAgainParts = {
  readonly database: Pick<Database, 'query'>;
  readonly ingestion: Pick<EventIngestion, 'publish'>;
  /** Name on the broker of the topic whose records have the same forms as requests. */
  readonly inboundTopic: string;
  readonly log: { warn(fields: object, message: string): void };
};

export type PublishAgainRequest = {
  readonly tenant: string;
  readonly id: string;
  readonly caller: Caller;
  /** Also when it was published already. */
  readonly force: boolean;
  /** The event as it should have been; undefined: as it came. */
  readonly corrected: EventRequest | undefined;
  /** Whose request it is, and which: goes with either. */
  readonly headers: Readonly<Record<string, string>>;
};

const ACCEPTED = 202;
const acceptedBody = z.object({ id: z.string() });

/** A repetition has the same; another correction has another, because the ingestion holds a key to what was first asked under it, refused or not. */
const keyOf = (id: string, { headers, body }: EventRequest): string =>
  `${id}/${hash('sha256', Buffer.concat([Buffer.from(JSON.stringify(headers)), body]), 'hex')}`;

/** A refused event once more, corrected or as it came: judged by the ingestion as any other, in the name of who asks. */
export class PublishAgain {
  constructor(private readonly parts: PublishAgainParts) {}

  /** @throws {Problem} */
  async publish(request: PublishAgainRequest): Promise<Answer> {
    const { tenant, id, force, corrected, headers } = request;
    const rejected = await this.#find(request);
    const { published_as } = rejected.view;
    if (published_as !== undefined && !force) {
      throw new Problem('conflict', `It was published already, as the event ${published_as}. With force=true it is published once more.`);
    }
    const event = corrected ?? this.#original(rejected);
    const answer = await this.parts.ingestion.publish(tenant, {
      headers: { ...(!force && { 'idempotency-key': keyOf(id, event) }), ...headers, ...event.headers },
      body: event.body,
    });
    if (answer.status === ACCEPTED) await this.#mark(rejected, answer);
    return answer;
  }

  /** A refused event that names no tenant becomes the one's that whoever sees all tenants says it is. */
  async #find({ tenant, id, caller }: PublishAgainRequest): Promise<RejectedEvent> {
    const { database } = this.parts;
    const found =
      (await readRejectedEvent(database, { tenant }, id)) ??
      (caller.tenant === undefined ? await readRejectedEvent(database, 'nobody', id) : undefined);
    if (found) return found;
    throw new Problem('not_found', 'no rejected event has this id');
  }

  #original(rejected: RejectedEvent): EventRequest {
    const original = originalOf(rejected, this.parts.inboundTopic);
    if (original.kind === 'request') return original;
    throw new Problem('conflict', `It cannot be published as it came: ${original.reason}. Send the event in the body.`);
  }

  /** The event is published, and that is what is answered. Who asks again meanwhile is held off by the idempotency key. */
  async #mark({ view, day }: RejectedEvent, { body }: Answer): Promise<void> {
    const { database, log } = this.parts;
    const { id } = acceptedBody.parse(JSON.parse(body.toString()));
    try {
      await markPublished(database, { view, day }, id);
    } catch (err) {
      log.warn({ err, rejected_event: view.id, event_id: id }, 'published a rejected event, but could not note it');
    }
  }
}
