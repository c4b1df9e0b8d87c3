/*
 * What PostgreSQL is told by a session that writes, for the case that its process is frozen or its machine gone: by then others write the same rows, and
 * wait for it.
 */

/** How long a transaction may wait for its next statement before its session is ended. */
export const IDLE_TIMEOUT_MS = 10_000;

/** A machine that is gone amid a statement's data is missed within half a minute. */
export const KEEP_ALIVE = 'set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3';
