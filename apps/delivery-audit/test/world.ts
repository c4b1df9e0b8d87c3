import { randomBytes } from 'node:crypto';
import { SCHEMA_HEADER, SCHEMA_VERSION } from '@posthorn/contracts';
import { Kafka, type Producer } from '@posthorn/kafka';
import { createDatabase, type TestDatabase } from './database.js';
import type { TestRecord } from './records.js';
import { AuditService } from './service.js';

const ignore = (): void => undefined;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };

/** Topics and a database of a test's own, and the service between them. */
export class World {
  private constructor(
    readonly database: TestDatabase,
    readonly topicPrefix: string,
    readonly kafka: Kafka,
    readonly producer: Producer,
  ) {
    this.service = this.start();
  }

  service: AuditService;

  static async create(): Promise<World> {
    const topicPrefix = `t${randomBytes(6).toString('hex')}`;
    const brokers = (process.env['POSTHORN_KAFKA_BROKERS'] ?? '127.0.0.1:9092').split(',');
    const kafka = new Kafka({ brokers, ssl: false, clientId: 'delivery-audit-test', topicPrefix }, silent, { partitions: 3 });
    await kafka.ensureTopics(['events.accepted', 'deliveries.routed', 'deliveries.attempted', 'events.rejected']);
    return new World(await createDatabase(), topicPrefix, kafka, await kafka.producer());
  }

  /** A new process over the same topics and tables. */
  start(): AuditService {
    this.service = new AuditService({ databaseUrl: this.database.url, topicPrefix: this.topicPrefix });
    return this.service;
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
    await this.service.stop();
    await this.kafka.close();
    await this.database.drop();
  }
}
