/*
 * Whoever writes the tables of a schema shares this lock until its transaction ends. A rebuild takes it alone: while it holds it, nothing is
 * written, and what was written is what has been read.
 */

const key = (schema: string): string => `hashtextextended('${schema}.writing', 0)`;

export const shareWriteLock = (schema: string): string => `select pg_advisory_xact_lock_shared(${key(schema)})`;

export const takeWriteLock = (schema: string): string => `select pg_advisory_xact_lock(${key(schema)})`;
