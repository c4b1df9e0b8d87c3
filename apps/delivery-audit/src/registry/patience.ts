import type { Database } from '../query/database.js';
import { untilRegistryIsRead, type RegistryState } from './subscriptions.js';

/** As long as a person waits for an answer that is as good as certain to be "there is none". */
const PATIENCE_MS = 2_000;

/** For questions about what may have been made a moment ago: its maker knows of it before the registry's log is folded. */
export class Patience {
  constructor(
    private readonly database: Pick<Database, 'query'>,
    private readonly registry: RegistryState,
  ) {}

  /**
   * What is found; when that is nothing, what is found once everything is folded that the registry had answered before.
   * @throws {Problem} `unavailable` when it is not folded in time
   */
  async find<Found>(look: () => Promise<Found | undefined>): Promise<Found | undefined> {
    const found = await look();
    if (found !== undefined) return found;
    await untilRegistryIsRead(this.database, this.registry, PATIENCE_MS);
    return look();
  }
}
