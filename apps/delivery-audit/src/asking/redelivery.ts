import { SCHEMA_HEADER, SCHEMA_VERSION, type Cancelled, type DeliveryView, type TopicName } from '@posthorn/contracts';
import { partitionFor } from '@posthorn/domain';
import { storable } from '@posthorn/event-store';
import type { OutgoingRecord } from '@posthorn/kafka';
import { Problem } from '@posthorn/service-kit';
import type { ClientBase, Pool } from 'pg';
import { shownDeliveryId, storedDeliveryId } from '../delivery-id.js';
import { CANCELLED_BY_USER } from '../loading/records.js';
import { SCHEMA } from '../migrations/migrations.js';
import { DELIVERY_COLUMNS, deliveryViewOf, type DeliveryRow } from '../query/delivery-view.js';
import { findSubscriptions, untilRegistryIsRead, type KnownSubscription, type RegistryState } from '../registry/subscriptions.js';
import { DELIVERY_CHANGE, writeChanges, type DeliveryChange } from '../statistics/deltas.js';
import type { Answered, RememberedAnswers, Requested } from './answers.js';
import { ask } from './ask.js';
import { asking, inTransaction, queryable } from './transactions.js';

export type RedeliveryParts = {
  readonly pool: Pool;
  readonly answers: RememberedAnswers;
  readonly registry: RegistryState;
  /** Resolves when Kafka has acknowledged it; rejects when it has not in time. */
  readonly send: (record: OutgoingRecord) => Promise<void>;
  readonly topic: (name: TopicName) => string;
  /** Of `deliveries.requested`. */
  readonly partitions: number;
};

type Found = DeliveryRow & { readonly day: string; readonly subject: string | null; readonly is_kept: boolean };

/** Of an event whose id was used again on a later day: the newest. */
const FIND = `
  select ${DELIVERY_COLUMNS.map((name) => `delivery.${name}`).join(', ')}, delivery.day::text as day, delivery.subject, event.id is not null as is_kept
    from audit.deliveries delivery
    left join audit.events event on event.tenant = delivery.tenant and event.id = delivery.event_id and event.day = delivery.day
   where delivery.id = $1::uuid and delivery.tenant = $2 order by delivery.day desc limit 1`;

const isUnderWay = ({ status }: DeliveryRow): boolean => status === 'pending' || status === 'retrying';

const find = async (client: Pick<ClientBase, 'query'>, tenant: string, id: string): Promise<Found> => {
  const stored = storedDeliveryId(id);
  const [row] = stored === undefined ? [] : await queryable(client).query<Found>(FIND, [stored, storable(tenant)]);
  if (row === undefined) throw new Problem('not_found', 'no delivery of this tenant has this id');
  return row;
};

/** One delivery sent again, or no longer. */
export class Redelivery {
  constructor(private readonly parts: RedeliveryParts) {}

  /**
   * Asks for the next round, and answers the delivery as it then stands.
   * @throws {Problem} `conflict` while it is under way, unless forced; and when it cannot be sent
   */
  async redeliver(tenant: string, id: string, force: boolean, requested: Requested): Promise<Answered<DeliveryView>> {
    const { pool, answers, registry } = this.parts;
    return asking(
      answers.once(requested, async (remember) => {
        await untilRegistryIsRead(queryable(pool), registry);
        return inTransaction(pool, async (client) => {
          const found = await find(client, tenant, id);
          const { spread } = await sendableTo(client, found);
          const asked = await ask(client, [{ ...found, delivery_id: found.id, accepted_at: found.created_at.toISOString(), spread }], {
            tenant,
            trigger: 'redeliver',
            at: new Date().toISOString(),
            actor: requested.actor,
            force,
          });
          if (asked === 0) throw new Problem('conflict', 'It is under way. With force it is sent once more all the same.');
          const view = deliveryViewOf(await find(client, tenant, id));
          await remember(client, view);
          return view;
        });
      }),
    );
  }

  /**
   * Calls off its latest round, and answers the delivery as it then stands. A request that has begun ends as it ends.
   * @throws {Problem} `conflict` when it has ended
   */
  async cancel(tenant: string, id: string, requested: Requested): Promise<Answered<DeliveryView>> {
    const { pool, answers, send } = this.parts;
    return asking(
      answers.once(requested, async (remember) => {
        const found = await find(pool, tenant, id);
        if (!isUnderWay(found)) throw new Problem('conflict', `It has ended: it is ${found.status}.`);
        const at = new Date().toISOString();
        // First Kafka: should we die now, the loader notes it. No row is locked while Kafka may take its time.
        await send(this.#cancellation(found, at, requested.actor, await spreadOf(pool, found)));
        return inTransaction(pool, async (client) => {
          await noteCancelled(client, found, at, requested.actor);
          const view = deliveryViewOf(await find(client, tenant, id));
          await remember(client, view);
          return view;
        });
      }),
    );
  }

  #cancellation({ subscription_id, event_id, ...found }: Found, at: string, actor: string, spread: number): OutgoingRecord {
    const { topic, partitions } = this.parts;
    const { tenant, event_type, subject, round } = found;
    const delivery = { delivery_id: shownDeliveryId(found.id), tenant, event_id, event_type, ...(subject !== null && { subject }), accepted_at: found.created_at.toISOString(), subscription_id, round };
    return {
      topic: topic('deliveries.cancelled'),
      partition: partitionFor(subscription_id, spread, event_id, partitions),
      key: subscription_id,
      value: JSON.stringify({ cancellations: [{ ...delivery, at, actor }] } satisfies Cancelled),
      headers: { [SCHEMA_HEADER]: SCHEMA_VERSION },
    };
  }
}

const subscriptionOf = async (client: Pick<ClientBase, 'query'>, { subscription_id }: Found): Promise<KnownSubscription | undefined> =>
  (await findSubscriptions(queryable(client), [subscription_id])).get(subscription_id);

/** @throws {Problem} `conflict` */
const sendableTo = async (client: ClientBase, found: Found): Promise<KnownSubscription> => {
  if (!found.is_kept) throw new Problem('conflict', 'It cannot be sent again: its event is not, or no longer, kept.');
  const subscription = await subscriptionOf(client, found);
  if (subscription === undefined) throw new Problem('conflict', 'It cannot be sent again: its subscription was deleted.');
  if (!subscription.enabled) throw new Problem('conflict', 'It cannot be sent again while its subscription is disabled. Enable the subscription first.');
  return subscription;
};

/** Whoever is gone has no lane any more, in whichever partition. */
const spreadOf = async (client: Pick<ClientBase, 'query'>, found: Found): Promise<number> => (await subscriptionOf(client, found))?.spread ?? 1;

/** What the loader makes of the record: a cancellation beats whatever the round has come to but an end. */
const noteCancelled = async (client: ClientBase, { id, day, round, tenant }: Found, at: string, actor: string): Promise<void> => {
  const { rows } = await client.query<DeliveryChange>(
    `update audit.deliveries set status = 'cancelled', number = 0, updated_at = $4, next_attempt_at = null, last_status_code = null, last_error = $5, finished_at = $4
      where id = $1::uuid and day = $2::date and round = $3 and status in ('pending', 'retrying')
      returning ${DELIVERY_CHANGE}`,
    [id, day, round, at, CANCELLED_BY_USER],
  );
  await writeChanges(client, SCHEMA, rows);
  await client.query(
    `insert into audit.cancellations (day, delivery_id, round, tenant, at, actor) values ($1::date, $2::uuid, $3, $4, $5, $6) on conflict do nothing`,
    [day, id, round, tenant, at, actor],
  );
};
