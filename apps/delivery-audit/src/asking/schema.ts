/** Where what is asked of the audit itself is kept: its tables, and the event store of replays. */
export const ASKED_SCHEMA = 'replays';

/** Rung at the commit of whatever has put rounds into the outbox. */
export const ASKED_CHANNEL = 'replays_asked';
