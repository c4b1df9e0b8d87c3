import type { Attempt, Page, Trigger } from '@posthorn/contracts';
import { z } from 'zod';
import type { Database } from './database.js';
import { Conditions } from './sql.js';

/** No parameters: a page holds them all. */
export const attemptsQuery = z.strictObject({});

/** An attempt as the API shows it. */
export type AttemptView = Attempt & { readonly round: number; readonly number: number; readonly trigger: Trigger };

type Row = {
  readonly round: number;
  readonly number: number;
  readonly started_at: Date;
  readonly duration_ms: number;
  readonly request: Attempt['request'];
  readonly response: Attempt['response'] | null;
  readonly error: Attempt['error'] | null;
  readonly trigger: Trigger;
};

const viewOf = ({ started_at, response, error, ...row }: Row): AttemptView => ({
  ...row,
  started_at: started_at.toISOString(),
  ...(response && { response }),
  ...(error && { error }),
});

/** In the order in which they were made. A page holds them all: a delivery has as many as its retry schedule and its rounds allow. */
export const listAttempts = async (database: Database, deliveryId: string, day: string): Promise<Page<AttemptView>> => {
  const conditions = new Conditions().add('day = ?::date and delivery_id = ?', day, deliveryId);
  const rows = await database.query<Row>(
    `select round, number, started_at, duration_ms, request, response, error, trigger
     from audit.attempts where ${conditions.text} order by round, number`,
    conditions.parameters,
  );
  return { data: rows.map(viewOf) };
};
