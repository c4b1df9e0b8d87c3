import { hash, randomBytes } from 'node:crypto';
import { SCHEMA_HEADER, SCHEMA_VERSION, type AggregateState, type ApiKeyState } from '@posthorn/contracts';
import { Kafka, type Producer } from '@posthorn/kafka';
import { removeTopics } from '@posthorn/kafka/testing';
import { createDatabase, type TestDatabase } from './database.js';
import type { TestRecord } from './records.js';
import { Service } from './service.js';

const ignore = (): void => undefined;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };

const CREATED_AT = '2026-01-02T03:04:05.678Z';

export const newKey = (): string => `phk_${randomBytes(32).toString('base64url')}`;

/** Topics and a database of a test's own, and the service between them. */
export class World {
  private constructor(
    readonly database: TestDatabase,
    readonly topicPrefix: string,
    readonly kafka: Kafka,
    readonly producer: Producer,
    private readonly wayToDatabase: string,
  ) {
    this.service = this.start();
  }

  service: Service;
  /** Once it was asked for. */
  ingestion: Service | undefined;

  /** @param through by what way the services come to the database; straight, when it is absent */
  static async create(through = async (databaseUrl: string): Promise<string> => databaseUrl): Promise<World> {
    const topicPrefix = `t${randomBytes(6).toString('hex')}`;
    const brokers = (process.env['POSTHORN_KAFKA_BROKERS'] ?? '127.0.0.1:9092').split(',');
    const kafka = new Kafka({ brokers, ssl: false, clientId: 'delivery-audit-test', topicPrefix }, silent, { partitions: 3 });
    await kafka.ensureTopics(['events.accepted', 'deliveries.routed', 'deliveries.requested', 'deliveries.attempted', 'deliveries.cancelled', 'deliveries.rounds', 'events.rejected', 'events.duplicated', 'registry.log']);
    const database = await createDatabase();
    return new World(database, topicPrefix, kafka, await kafka.producer(), await through(database.url));
  }

  /** A new process over the same topics and tables. */
  start(eventIngestionUrl?: string): Service {
    this.service = new Service('delivery-audit', { databaseUrl: this.wayToDatabase, topicPrefix: this.topicPrefix, eventIngestionUrl });
    return this.service;
  }

  /** The event ingestion beside it, and the service once more, now with its address. */
  async startIngestion(): Promise<Service> {
    const ingestion = (this.ingestion = new Service('event-ingestion', { databaseUrl: this.database.url, topicPrefix: this.topicPrefix }));
    await this.service.stop();
    this.start(await ingestion.url);
    await Promise.all([ingestion.ready(), this.service.ready()]);
    return ingestion;
  }

  /** What the registry would publish: how an aggregate stands, or that there is none any more. */
  async publishState(kind: AggregateState['kind'], id: string, state: AggregateState | null, position = 1): Promise<void> {
    await this.producer.send({
      topic: this.kafka.topic('registry.state'),
      key: id,
      value: state && JSON.stringify({ position, version: 1, state }),
      headers: { [SCHEMA_HEADER]: SCHEMA_VERSION, kind, position: String(position) },
    });
  }

  async publishTenant(id: string): Promise<void> {
    const settings = { schema_policy: 'off', unknown_event_types: 'accept', retention_ms: 3_650 * 86_400_000 } as const;
    await this.publishState('tenant', id, { kind: 'tenant', id, name: id, settings, created_at: CREATED_AT, updated_at: CREATED_AT });
  }

  /** A key that reads the audit of all tenants, but for what is said otherwise. */
  async publishKey(more: Partial<ApiKeyState>): Promise<{ readonly id: string; readonly key: string }> {
    const key = newKey();
    const id = `key_${randomBytes(16).toString('hex')}`;
    await this.publishState('api_key', id, {
      kind: 'api_key',
      id,
      name: 'of a test',
      hash: hash('sha256', key, 'hex'),
      prefix: key.slice(0, 12),
      scopes: ['audit:read'],
      created_at: CREATED_AT,
      ...more,
    });
    return { id, key };
  }

  async publish(records: readonly TestRecord[], version: string = SCHEMA_VERSION): Promise<void> {
    await Promise.all(
      records.map(({ topic, value }, i) =>
        this.producer.send({ topic: this.kafka.topic(topic), key: String(i), value, headers: { [SCHEMA_HEADER]: version } }),
      ),
    );
  }

  async count(table: 'events' | 'deliveries' | 'attempts' | 'rejected_events'): Promise<number> {
    const [row] = await this.database.query<{ rows: number }>(`select count(*)::integer as rows from audit.${table}`);
    return row?.rows ?? 0;
  }

  async close(): Promise<void> {
    await Promise.all([this.service.stop(), this.ingestion?.stop()]);
    await this.kafka.close();
    await removeTopics(process.env['POSTHORN_KAFKA_BROKERS'] ?? '127.0.0.1:9092', this.topicPrefix);
    await this.database.drop();
  }
}
