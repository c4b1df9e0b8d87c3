import type { DeliverySearch, ExportServiceDefinition } from '@posthorn/contracts/grpc/audit';
import { parseOrRefuse, Problem } from '@posthorn/service-kit';
import { given, present, type Calls } from '@posthorn/service-kit/grpc';
import { exportDeliveriesQuery, exportEventsQuery } from '../export/export.controller.js';
import { exportedAttempts, exportedDeliveries } from '../export/exported-deliveries.js';
import { exportedEvents } from '../export/exported-events.js';
import type { Exporter } from '../export/exporter.js';
import { STALL_MS } from '../export/stream.js';
import type { Database } from '../query/database.js';
import { searched } from './audit-service-calls.js';
import { toAttempt, toDelivery } from './delivery-messages.js';
import { toEvent } from './event-messages.js';
import { reading } from './of-tenant.js';
import { bounded } from './queries.js';

export type ExportParts = { readonly database: Database; readonly exporter: Exporter };

/** So many messages are on their way to the client at a time. */
const AHEAD = 100;

/** Says all, and ends when the call is over. @throws {Problem} `unavailable` when nobody has read for a while */
const sayAll = async <Row>(rows: AsyncIterable<Row>, say: (row: Row) => Promise<void>, signal: AbortSignal): Promise<void> => {
  let underWay: Promise<void>[] = [];
  const taken = async (): Promise<void> => {
    const { promise: stalled, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Problem('unavailable', 'Nobody has read for a while.')), STALL_MS);
    await Promise.race([Promise.all(underWay), stalled]).finally(() => clearTimeout(timer));
    underWay = [];
    signal.throwIfAborted();
  };
  for await (const row of rows) {
    underWay.push(say(row));
    if (underWay.length >= AHEAD) await taken();
  }
  await taken();
};

const searchOf = (search: DeliverySearch | undefined) => {
  const { format: _isOfHttp, ...query } = parseOrRefuse(exportDeliveriesQuery, search ? searched(search) : {});
  return query;
};

export const exportCalls = ({ database, exporter }: ExportParts): Calls<typeof ExportServiceDefinition> => ({
  exportEvents: {
    ...reading,
    feed: ({ tenant, event_type, subject, accepted }, say, { signal }) => {
      const { format: _isOfHttp, ...query } = parseOrRefuse(exportEventsQuery, present({ event_type: given(event_type), subject: given(subject), ...bounded(accepted) }));
      return sayAll(exporter.rows(tenant, exportedEvents(database, tenant, query)), ({ event, data }) => say({ event: toEvent(event), data }), signal);
    },
  },
  exportDeliveries: {
    ...reading,
    feed: ({ tenant, search }, say, { signal }) =>
      sayAll(exporter.rows(tenant, exportedDeliveries(database, tenant, searchOf(search))), (delivery) => say({ delivery: toDelivery(delivery) }), signal),
  },
  exportAttempts: {
    ...reading,
    feed: ({ tenant, search }, say, { signal }) =>
      sayAll(
        exporter.rows(tenant, exportedAttempts(database, tenant, searchOf(search))),
        ({ delivery_id, event_id, event_type, subscription_id, ...attempt }) => say({ delivery_id, event_id, event_type, subscription_id, attempt: toAttempt(attempt) }),
        signal,
      ),
  },
});
