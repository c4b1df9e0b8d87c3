import { topicOnBroker } from '@posthorn/contracts';
import { Kafka, type Logger } from '@posthorn/kafka';

const ignore = (): void => {};
const silent: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };

const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

export type PublisherOptions = {
  readonly brokers: string;
  /** Default: POSTHORN_TOPIC_PREFIX, else `posthorn`. */
  readonly topicPrefix?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
};

export type PublishedEvent = {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly data: unknown;
  readonly tenant?: string;
  readonly subject?: string;
};

/** A producer as a user of Posthorn has one: it knows the inbound topic and CloudEvents, and nothing else of ours. */
export type Publisher = {
  readonly topic: string;
  /** Resolves once the brokers have it. */
  publish(event: PublishedEvent): Promise<void>;
  close(): Promise<void>;
};

const saslOf = (env: Readonly<Record<string, string | undefined>>) => {
  const mechanism = SASL_MECHANISMS.find((name) => name === env['POSTHORN_KAFKA_SASL_MECHANISM']);
  return mechanism && { mechanism, username: env['POSTHORN_KAFKA_SASL_USERNAME'] ?? '', password: env['POSTHORN_KAFKA_SASL_PASSWORD'] ?? '' };
};

/** Events in CloudEvents' Kafka binary mode (Kafka protocol binding 1.0.2, section 3.2): attributes in headers, data as the value. */
export const connectPublisher = async ({ brokers, topicPrefix, env = process.env }: PublisherOptions): Promise<Publisher> => {
  const sasl = saslOf(env);
  const kafka = new Kafka(
    {
      brokers: brokers.split(',').map((broker) => broker.trim()),
      ssl: ['true', '1'].includes(env['POSTHORN_KAFKA_SSL'] ?? ''),
      ...(sasl && { sasl }),
      clientId: 'posthorn-publisher',
      topicPrefix: topicPrefix ?? env['POSTHORN_TOPIC_PREFIX'] ?? 'posthorn',
    },
    silent,
  );
  const topic = topicOnBroker(topicPrefix ?? env['POSTHORN_TOPIC_PREFIX'] ?? 'posthorn', 'events.inbound');
  const producer = await kafka.producer();
  return {
    topic,
    publish: ({ id, type, source, data, tenant = 'default', subject }) =>
      producer.send({
        topic,
        key: id,
        value: JSON.stringify(data),
        headers: {
          ce_specversion: '1.0',
          ce_id: id,
          ce_type: type,
          ce_source: source,
          ce_time: new Date().toISOString(),
          ce_tenant: tenant,
          ...(subject !== undefined && { ce_subject: subject }),
          'content-type': 'application/json',
        },
      }),
    close: () => kafka.close(),
  };
};
