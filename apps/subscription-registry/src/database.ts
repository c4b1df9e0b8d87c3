import { Problem } from '@posthorn/service-kit';

/** SQLSTATE classes of what passes by itself: connection, resources, lock not had in time, operator's intervention, system. */
const PASSING_STATE = /^(?:08...|53...|55P03|57...|58...|25P03)$/;
const SYSTEM_ERROR = /^E[A-Z]+$/;
/** What the driver says without a code. */
const CONNECTION_LOST = /^(?:connection terminated|timeout exceeded when trying to connect|query read timeout|client (?:has encountered|was closed))/i;

/** Whether it is the database that is away, rather than the statement that is wrong. */
export const isDatabaseAway = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return PASSING_STATE.test(code) || SYSTEM_ERROR.test(code) || CONNECTION_LOST.test(error.message);
};

/** @throws {Problem} `unavailable` when it is the database that failed the work; any other error as it is */
export const asking = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (cause) {
    if (!isDatabaseAway(cause)) throw cause;
    throw new Problem('unavailable', 'The database of the registry does not answer.', { cause });
  }
};
