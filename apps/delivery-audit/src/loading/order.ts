import type { AttemptRow, DecisionRow, DeliveryRow, EventRow } from './rows.js';

const byText = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

/**
 * The order in which rows are copied straight into their tables: that in which `merge.ts` has PostgreSQL put those that it merges. Two replicas
 * that write the same rows wait for each other, and in a circle only where a batch has deliveries that are known beside new ones, which are written
 * first: then one of the two is written again (`loader.ts`).
 */
export const inOrder = {
  events: (rows: readonly EventRow[]): readonly EventRow[] => rows.toSorted((a, b) => byText(a.day, b.day) || byText(a.tenant, b.tenant) || byText(a.id, b.id)),
  decisions: (rows: readonly DecisionRow[]): readonly DecisionRow[] =>
    rows.toSorted((a, b) => byText(a.day, b.day) || byText(a.tenant, b.tenant) || byText(a.event_id, b.event_id)),
  deliveries: <Row extends DeliveryRow>(rows: readonly Row[]): readonly Row[] => rows.toSorted((a, b) => byText(a.day, b.day) || byText(a.id, b.id)),
  attempts: (rows: readonly AttemptRow[]): readonly AttemptRow[] =>
    rows.toSorted((a, b) => byText(a.day, b.day) || byText(a.delivery_id, b.delivery_id) || a.round - b.round || a.number - b.number),
} as const;
