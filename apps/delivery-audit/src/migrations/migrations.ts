import { eventStoreMigrations } from '@posthorn/event-store';
import { ASKED_SCHEMA } from '../asking/schema.js';
import { AuditTables1763700000000 } from './1763700000000-audit-tables.js';
import { RejectedEvents1763800000000 } from './1763800000000-rejected-events.js';
import { EventExtensions1763900000000 } from './1763900000000-event-extensions.js';
import { RoutingDecisions1764000000000 } from './1764000000000-routing-decisions.js';
import { RoundsAndWaiting1765000000000 } from './1765000000000-rounds-and-waiting.js';
import { PackedExchanges1765050000000 } from './1765050000000-packed-exchanges.js';
import { Searches1765100000000 } from './1765100000000-searches.js';
import { SendingAgain1765200000000 } from './1765200000000-sending-again.js';
import { Statistics1765300000000 } from './1765300000000-statistics.js';
import { LongSubjects1765400000000 } from './1765400000000-long-subjects.js';

export const SCHEMA = 'audit';

export const migrations = [
  AuditTables1763700000000,
  RejectedEvents1763800000000,
  EventExtensions1763900000000,
  RoutingDecisions1764000000000,
  RoundsAndWaiting1765000000000,
  PackedExchanges1765050000000,
  Searches1765100000000,
  SendingAgain1765200000000,
  Statistics1765300000000,
  LongSubjects1765400000000,
  ...eventStoreMigrations(ASKED_SCHEMA),
];
