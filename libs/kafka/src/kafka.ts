import { topicOnBroker, type TopicName } from '@posthorn/contracts';
import kafkajs, { type Kafka as Client, type Admin, type ISocketFactory, type Message } from 'kafkajs';
import { GroupConsumption, type Consumption, type ConsumeOptions, type Exit } from './consumer.js';
import { KafkaError, messageOf, protocolError } from './errors.js';
import { sourceOf, TopicFollowing, type FollowOptions, type Following } from './follow.js';
import { capturing, type Cluster } from './kafkajs-internals.js';
import { PackingProducer, type PlacedRecord, type Producer, type ProducerOptions, type Transport } from './producer.js';
import { offsetsSince } from './reach.js';
import { clientConfig, type KafkaSettings, type Logger } from './settings.js';
import { whenSettled } from './settling.js';
import { ensure, plansOf } from './topics.js';

export type KafkaOptions = {
  /** Partitions of the topics that carry events and deliveries, when this process creates them; default as in the catalogue. */
  readonly partitions?: number | undefined;
  /** What ends the process when going on would be wrong; default: log fatal, exit with 1. */
  readonly exit?: Exit | undefined;
  /** How to reach a broker; default: TCP or TLS. */
  readonly socketFactory?: ISocketFactory | undefined;
};

/** Offsets of the first record that there is, and one past the last. */
export type Extent = { readonly first: number; readonly end: number };

const PING_TIMEOUT_MS = 5_000;
/** How long a topic may be unknown to a broker before we believe that there is none: another service may just be creating it. */
const UNKNOWN_TOPIC_MS = 5_000;
const UNKNOWN_TOPIC_RETRY_MS = 100;
/** The same for the leaders of its partitions, which may be on the move. */
const LEADER_MOVES_MS = 5_000;
/** The client tries again itself only to complete a batch that one of several brokers did not take; all else, and with a guard that too, is the producer's affair. */
const PRODUCE_RETRIES = 1;

/** The process's connection to Kafka: what it opens, it closes. */
export class Kafka {
  readonly #client: Client;
  readonly #exit: Exit;
  readonly #partitions = new Map<string, Promise<number>>();
  readonly #producers = new Set<Producer>();
  readonly #readers = new Set<Consumption | Following>();
  #admin: Promise<Admin> | undefined;
  #isClosed = false;

  constructor(
    private readonly settings: KafkaSettings,
    private readonly log: Logger,
    private readonly options: KafkaOptions = {},
  ) {
    this.#client = new kafkajs.Kafka(clientConfig(settings, log, options.socketFactory));
    this.#exit =
      options.exit ??
      ((fields, reason) => {
        log.fatal(fields, reason);
        process.exit(1);
      });
  }

  /** The name on the broker. */
  topic(name: TopicName): string {
    return topicOnBroker(this.settings.topicPrefix, name);
  }

  /** Creates those that are missing, with their configuration; warns of those that exist with another. */
  async ensureTopics(names: readonly TopicName[]): Promise<void> {
    await ensure(await this.#connectedAdmin(), plansOf(names, this.settings.topicPrefix, this.options.partitions), this.log);
  }

  /**
   * How many partitions a topic has, by its name on the broker; asked once.
   * @throws {KafkaError} `refused` when there is no such topic
   */
  partitions(topic: string): Promise<number> {
    const known = this.#partitions.get(topic);
    if (known) return known;
    const asked = this.#askPartitions(topic);
    this.#partitions.set(topic, asked);
    asked.catch(() => this.#partitions.delete(topic));
    return asked;
  }

  /**
   * One past the last record of every partition, by the topic's name on the broker.
   * @throws {KafkaError} `unavailable`
   */
  async ends(topic: string): Promise<ReadonlyMap<number, number>> {
    return new Map([...(await this.extents(topic))].map(([partition, { end }]) => [partition, end]));
  }

  /**
   * What every partition holds, by the topic's name on the broker.
   * @throws {KafkaError} `unavailable`
   */
  async extents(topic: string): Promise<ReadonlyMap<number, Extent>> {
    const admin = await this.#connectedAdmin();
    try {
      const offsets = await whenSettled(() => admin.fetchTopicOffsets(topic), { withinMs: LEADER_MOVES_MS });
      return new Map(offsets.map(({ partition, low, high }) => [partition, { first: Number(low), end: Number(high) }]));
    } catch (error) {
      throw new KafkaError('unavailable', `Kafka did not tell the ends of ${topic}`, { cause: error });
    }
  }

  /**
   * For each partition the offset from which on every record stamped at `timeMs` or later is read, by the topic's name on the broker; undefined
   * where some of them may have been deleted.
   * @throws {KafkaError} `unavailable`, also when there is no such topic
   */
  async since(topic: string, timeMs: number): Promise<ReadonlyMap<number, number | undefined>> {
    return available(offsetsSince(await this.#connectedAdmin(), topic, timeMs, Date.now()));
  }

  /**
   * How far a group has come in each partition, by the topic's name on the broker: whatever is before it, is done. Where it has committed nothing,
   * the beginning of the log.
   * @throws {KafkaError} `unavailable`
   */
  async progress(groupId: string, topic: string): Promise<ReadonlyMap<number, number>> {
    const admin = await this.#connectedAdmin();
    const [committed, log] = await available(Promise.all([admin.fetchOffsets({ groupId, topics: [topic] }), admin.fetchTopicOffsets(topic)]));
    const progress = new Map(log.map(({ partition, low }) => [partition, Number(low)]));
    for (const { partition, offset } of committed[0]?.partitions ?? []) progress.set(partition, Math.max(Number(offset), progress.get(partition) ?? 0));
    return progress;
  }

  async producer(options?: ProducerOptions): Promise<Producer> {
    const producer = new PackingProducer(await this.#transport(options?.guard ? 0 : PRODUCE_RETRIES), this.log, options);
    this.#producers.add(producer);
    return producer;
  }

  async consume(options: ConsumeOptions): Promise<Consumption> {
    const consumption = new GroupConsumption(options, this.log, this.#exit);
    this.#readers.add(consumption);
    await available(consumption.start(this.#client));
    return consumption;
  }

  async follow(options: FollowOptions): Promise<Following> {
    const source = sourceOf(this.#cluster(), options.topic);
    const following: TopicFollowing = new TopicFollowing(options, source, this.log, this.#exit, () => void this.#readers.delete(following));
    try {
      await available(following.start());
    } catch (error) {
      await source.disconnect().catch(() => undefined);
      throw error;
    }
    this.#readers.add(following);
    return following;
  }

  /** @throws {KafkaError} `unavailable` when no broker answers */
  async ping(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new KafkaError('unavailable', 'no broker answers')), PING_TIMEOUT_MS);
    });
    const answer = available(this.#connectedAdmin().then((admin) => admin.describeCluster()));
    await Promise.race([answer, timeout]).finally(() => clearTimeout(timer));
  }

  /** Readers first, because what they have in flight may still have to be produced. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#readers].map((reader) => reader.close()));
    await Promise.allSettled([...this.#producers].map((producer) => producer.close()));
    // A question that comes from now on would connect anew, and nobody would close that connection.
    this.#isClosed = true;
    const admin = await this.#admin?.catch(() => undefined);
    await admin?.disconnect();
  }

  /** @throws {KafkaError} `closed`, `unavailable` */
  #connectedAdmin(): Promise<Admin> {
    if (this.#isClosed) return Promise.reject(new KafkaError('closed', 'the connection to Kafka is closed'));
    if (this.#admin === undefined) {
      const connecting = this.#connectAdmin();
      this.#admin = connecting;
      connecting.catch(() => (this.#admin = undefined));
    }
    return this.#admin;
  }

  async #connectAdmin(): Promise<Admin> {
    const admin = this.#client.admin();
    await available(admin.connect());
    return admin;
  }

  async #askPartitions(topic: string): Promise<number> {
    const admin = await this.#connectedAdmin();
    for (const startedMs = performance.now(); ; ) {
      try {
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
        return topics[0]?.partitions.length ?? 0;
      } catch (error) {
        const isUnknown = protocolError(error) === 'UNKNOWN_TOPIC_OR_PARTITION';
        if (!isUnknown) throw new KafkaError('unavailable', `Kafka did not describe ${topic}`, { cause: error });
        if (performance.now() - startedMs > UNKNOWN_TOPIC_MS) throw new KafkaError('refused', `there is no topic ${topic}`, { cause: error });
        await new Promise((resolve) => void setTimeout(resolve, UNKNOWN_TOPIC_RETRY_MS));
      }
    }
  }

  async #transport(retries: number): Promise<Transport> {
    const producer = this.#client.producer({
      allowAutoTopicCreation: false,
      retry: { retries },
      // Never asked to decide: every record comes with its partition.
      createPartitioner: () => ({ message }) => message.partition ?? 0,
    });
    await available(producer.connect());
    return {
      async send(records) {
        await producer.sendBatch({ acks: -1, topicMessages: topicMessages(records) });
      },
      partitions: (topic) => this.partitions(topic),
      close: () => producer.disconnect(),
    };
  }

  /** A consumer that never joins a group, for its access to the brokers. */
  #cluster(): Cluster {
    let cluster: Cluster | undefined;
    this.#client.consumer({
      groupId: `${this.settings.clientId}-follows`,
      allowAutoTopicCreation: false,
      partitionAssigners: [capturing((captured) => (cluster = captured))],
    });
    if (!cluster) throw new Error('kafkajs did not set up the assigner');
    return cluster;
  }
}

const topicMessages = (records: readonly PlacedRecord[]): { topic: string; messages: Message[] }[] => {
  const byTopic = new Map<string, Message[]>();
  for (const { topic, partition, key = null, value, headers } of records) {
    const messages = byTopic.get(topic) ?? [];
    messages.push({ partition, key, value, ...(headers && { headers: { ...headers } }) });
    byTopic.set(topic, messages);
  }
  return [...byTopic].map(([topic, messages]) => ({ topic, messages }));
};

const available = async <T>(answer: Promise<T>): Promise<T> => {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof KafkaError) throw error;
    throw new KafkaError('unavailable', messageOf(error), { cause: error });
  }
};
