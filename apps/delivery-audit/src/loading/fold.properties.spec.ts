import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { shownDeliveryId } from '../delivery-id.js';
import { unpackExchange } from '../exchange.js';
import { histories, readings, type HistoryRecord } from '../spec-support/histories.js';
import { tablesOf, type Tables } from '../spec-support/tables-model.js';
import { foldRows } from './fold.js';
import { rowsOfAccepted, rowsOfAttempted, rowsOfCancelled, rowsOfRejected, rowsOfRounds, rowsOfRouted } from './records.js';
import type { AttemptRow, DeliveryRow, Rows } from './rows.js';

const folds: ReadonlyMap<string, (value: Buffer) => Rows> = new Map([
  ['events.accepted', rowsOfAccepted],
  ['deliveries.routed', rowsOfRouted],
  ['deliveries.attempted', rowsOfAttempted],
  ['deliveries.cancelled', rowsOfCancelled],
  ['deliveries.rounds', rowsOfRounds],
  ['events.rejected', rowsOfRejected],
]);

const rowsOf = ({ topic, text }: HistoryRecord): Rows => {
  const fold = folds.get(topic);
  if (!fold) throw new TypeError(`nothing is folded from ${topic}`);
  return fold(Buffer.from(text));
};

const table = <Row>(rows: readonly Row[], key: (row: Row) => string, shown: (row: Row) => object): ReadonlyMap<string, object> => {
  const found = new Map(rows.map((row) => [key(row), shown(row)]));
  if (found.size < rows.length) throw new RangeError('two rows have one key');
  return found;
};

const deliveryShown = (row: DeliveryRow, attempts: readonly AttemptRow[]): object => ({
  event_type: row.event_type,
  subject: row.subject,
  created_at: row.created_at,
  round: row.round,
  number: row.number,
  status: row.status,
  updated_at: row.updated_at,
  next_attempt_at: row.next_attempt_at,
  last_error: row.last_error,
  last_status_code: row.last_status_code,
  finished_at: row.finished_at,
  waiting:
    row.waiting_round === null
      ? null
      : {
          round: row.waiting_round,
          number: row.waiting_number,
          since: row.waiting_since,
          until: row.waiting_until,
          cause: row.waiting_cause,
          behind: row.waiting_behind,
        },
  attempts: attempts.length,
});

const bodyOf = ({ exchange, started_at, status_code, error_code }: Rows['attempts'][number]): string | undefined =>
  unpackExchange(exchange, { startedMs: Date.parse(started_at), statusCode: status_code, errorCode: error_code }).response?.body;

/** Rows in the words of the model. */
const shown = (rows: Rows): Tables => {
  const attemptsOf = Map.groupBy(rows.attempts, ({ day, delivery_id }) => `${day} ${delivery_id}`);
  return {
    events: table(rows.events, ({ day, tenant, id }) => `${day} ${tenant} ${id}`, ({ type, accepted_at, data }) => ({ type, accepted_at, data: data.toString() })),
    decisions: table(rows.decisions, ({ day, tenant, event_id }) => `${day} ${tenant} ${event_id}`, ({ position, near, near_more }) => ({ position, near, near_more })),
    deliveries: table(rows.deliveries, ({ day, id }) => `${day} ${shownDeliveryId(id)}`, (row) => deliveryShown(row, attemptsOf.get(`${row.day} ${row.id}`) ?? [])),
    attempts: table(
      rows.attempts,
      ({ day, delivery_id, round, number }) => `${day} ${shownDeliveryId(delivery_id)} ${round} ${number}`,
      (row) => ({ status: row.status, trigger: row.trigger, subscription_version: row.subscription_version, started_at: row.started_at, body: bodyOf(row) }),
    ),
    rounds: table(
      rows.rounds,
      ({ day, delivery_id, round }) => `${day} ${shownDeliveryId(delivery_id)} ${round}`,
      ({ at, actor, trigger, forced }) => ({ at, actor, trigger, forced: forced === 'true' }),
    ),
    cancellations: table(rows.cancellations, ({ day, delivery_id, round }) => `${day} ${shownDeliveryId(delivery_id)} ${round}`, ({ at, actor }) => ({ at, actor })),
    rejected_events: table(rows.rejected_events, ({ day, id }) => `${day} ${id}`, ({ rejected_at, message }) => ({ rejected_at, message })),
  };
};

/** Around a midnight, so that one event can stand on two days. */
const history = histories({ from: '2026-11-20T23:59:50.000Z', spanMs: 20_000, events: 6 });

describe('the fold', () => {
  it('says of any history what the rules say, in whatever order, repetition and batches its records are read', () => {
    fc.assert(
      fc.property(
        history.chain((one) => readings(one).map((batches) => ({ ...one, batches }))),
        ({ facts, batches }) => {
          const folded = foldRows(batches.map((batch) => foldRows(batch.map(rowsOf))));
          expect(shown(folded)).toEqual(tablesOf(facts));
        },
      ),
      { numRuns: 300 },
    );
  });
});
