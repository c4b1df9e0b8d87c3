import { SCHEMA_HEADER, SCHEMA_VERSION } from '@posthorn/contracts';
import type { Kafka, Producer } from '@posthorn/kafka';
import type { Health } from '../health.js';
import type { Log } from '../log.js';
import { adminKeyOnly } from './admin-key.js';
import type { Authenticate } from './authorize.js';
import { keyAuthentication } from './key-authentication.js';
import { KeyUsage } from './key-usage.js';
import { Keys } from './keys.js';
import { RegistryStateFeed } from './registry-state-feed.js';

export type AccessOptions = {
  readonly kafka: Kafka;
  readonly service: string;
  readonly adminKey: string | undefined;
  readonly log: Log;
};

/** A note that Kafka has not taken by then is not worth taking any more. */
const USAGE_DEADLINE_MS = 10_000;

/** What a service with Kafka knows of keys. Nothing is read before `start`, so that whoever folds `registry.state` too can join. */
export class Access {
  readonly registryState = new RegistryStateFeed();
  readonly authenticate: Authenticate;
  #producer: Producer | undefined;
  readonly #kafka: Kafka;

  constructor({ kafka, service, adminKey, log }: AccessOptions) {
    this.#kafka = kafka;
    const topic = kafka.topic('keys.used');
    const usage = new KeyUsage({
      service,
      log,
      send: async (used) =>
        this.#producer?.send(
          { topic, key: `${used.key_id} ${service}`, value: JSON.stringify(used), headers: { [SCHEMA_HEADER]: SCHEMA_VERSION } },
          { deadlineMs: USAGE_DEADLINE_MS },
        ),
    });
    const keys = new Keys(this.registryState);
    this.authenticate = keyAuthentication({ admin: adminKeyOnly(adminKey), keys, feed: this.registryState, usage });
  }

  /** Resolves when reading has begun; until it has caught up, only the admin key is known. */
  async start(health: Health): Promise<void> {
    const { registryState } = this;
    health.addReadiness('registry.state', () =>
      registryState.isCaughtUp ? undefined : `${registryState.lag} records are still to be read, and with them keys and tenants`,
    );
    await this.#kafka.ensureTopics(['registry.state', 'keys.used']);
    this.#producer = await this.#kafka.producer();
    await registryState.start((onRecord) => this.#kafka.follow({ topic: this.#kafka.topic('registry.state'), onRecord }));
  }
}
