import { isDatabaseAway } from '@posthorn/event-store';
import { Problem } from '@posthorn/service-kit';

/** @throws {Problem} `unavailable` when it is the database that failed the work; any other error as it is */
export const asking = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (cause) {
    if (!isDatabaseAway(cause)) throw cause;
    throw new Problem('unavailable', 'The database of the registry does not answer.', { cause });
  }
};
