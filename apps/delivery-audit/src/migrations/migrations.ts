import { AuditTables1763700000000 } from './1763700000000-audit-tables.js';

export const SCHEMA = 'audit';

export const migrations = [AuditTables1763700000000];
