import { deliveryPath } from './delivery-path.ts';
import { incident } from './incident.ts';
import { kafkaAndPostgresql } from './kafka-and-postgresql.ts';
import { overview } from './overview.ts';
import type { Board } from './panels.ts';
import { services } from './services.ts';

/** By the file in `dashboards/` that is made of each. */
export const boards: Readonly<Record<string, Board>> = {
  'overview.json': overview,
  'delivery-path.json': deliveryPath,
  'services.json': services,
  'kafka-and-postgresql.json': kafkaAndPostgresql,
  'incident.json': incident,
};
