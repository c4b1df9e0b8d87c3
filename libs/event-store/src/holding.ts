import type { ClientBase } from 'pg';

/**
 * How long a session that holds something others wait for may say nothing before PostgreSQL ends it. A process that is frozen or stuck holds its connection, and what is locked on
 * it, for ever: its machine goes on answering keep-alives.
 */
export const SILENCE_MS = 30_000;
/** How often one that has nothing to ask says that it lives. */
const SIGN_OF_LIFE_MS = 10_000;

export type Holding = { readonly silenceMs?: number | undefined; readonly signOfLifeMs?: number | undefined };

/** Statements that such a session begins with. Keep-alive: one whose machine has vanished, also amid a statement, is missed within half a minute. */
export const holdingSettings = (silenceMs = SILENCE_MS): string =>
  `set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;
   set idle_session_timeout = ${silenceMs}; set idle_in_transaction_session_timeout = ${silenceMs}`;

/** Lets PostgreSQL hear of this process when it has had nothing to ask for a while. @returns for the end of it */
export const signsOfLife = (client: ClientBase, signOfLifeMs = SIGN_OF_LIFE_MS): (() => void) => {
  // That it got no answer is found out by whoever asks the next question; or the connection itself says so.
  const tell = (): void => void client.query('select').catch(() => undefined);
  const timer = setTimeout(tell, signOfLifeMs);
  // After each answer behind which nothing is waiting.
  const onAnswered = (): void => void timer.refresh();
  client.on('drain', onAnswered);
  return () => {
    clearTimeout(timer);
    client.off('drain', onAnswered);
  };
};
