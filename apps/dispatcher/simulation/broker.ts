import type { FetchedMessage, PlacedRecord, Transport } from '@posthorn/kafka/simulation';
import type { Chance } from './chance.js';
import { Life, type Clock } from './clock.js';

/** A record as the broker keeps it. */
export type Stored = FetchedMessage & { readonly topic: string; readonly partition: number; readonly value: Buffer | null };

/** What can be wrong with Kafka, as long as it is. */
export type Weather = {
  /** It answers nothing. */
  isDown: boolean;
  /** How many times slower than usual. */
  slowness: number;
  /** Of the requests to produce: written, and the answer gets lost. */
  lostAnswers: number;
  /** Of the requests to produce: refused for the moment, nothing written. */
  failures: number;
};

export const fair = (): Weather => ({ isDown: false, slowness: 1, lostAnswers: 0, failures: 0 });

/** What the client makes of an answer that does not come: an error that names nothing of the protocol. */
class BrokerAway extends Error {
  override readonly name = 'BrokerAway';
}

const ONE_WAY_MS = [0.2, 2] as const;
const TIMEOUT_MS = 400;
/** Partitions of the wheel's smallest tier. */
const SLOTS = 8;

/**
 * Kafka as far as a client sees it: topics of partitions to which records are appended one after the other, each with its offset and a time. It is
 * never lost itself; its answers can be slow, fail to come, or say that nothing was written.
 */
export class Broker {
  readonly weather = fair();
  /** The broker's own life, and that of whatever is on its way to it: both go on when a process dies. */
  readonly life = new Life('kafka');
  readonly #logs = new Map<string, Stored[][]>();
  #requests = 0;

  constructor(
    readonly clock: Clock,
    readonly chance: Chance,
    private readonly partitionCount: number,
    /** Told of every record once it is there; the readers come after. */
    private readonly onAppended: (record: Stored) => void,
    /** Told of every request to produce that was carried out, before its answer is on its way. */
    private readonly onProduced: (client: Life) => void,
  ) {}

  partitionsOf(topic: string): number {
    if (topic === 'operations') return 1;
    return topic === 'deliveries.delayed.1s' ? SLOTS : this.partitionCount;
  }

  log(topic: string, partition: number): readonly Stored[] {
    return this.#logsOf(topic)[partition] ?? [];
  }

  append({ topic, partition, key, value, headers = {} }: PlacedRecord, timestampMs = this.clock.wallMs): Stored {
    const log = this.#logsOf(topic)[partition];
    if (log === undefined) throw new RangeError(`${topic} has no partition ${partition}`);
    const record: Stored = {
      topic,
      partition,
      offset: String(log.length),
      timestamp: String(timestampMs),
      key: bufferOf(key ?? null),
      value: bufferOf(value),
      headers: Object.fromEntries(Object.entries(headers).map(([name, content]) => [name, Buffer.from(content)])),
      isControlRecord: false,
    };
    log.push(record);
    this.onAppended(record);
    return record;
  }

  /** One way through the network, or the wait for nothing. */
  latencyMs(): number {
    this.#requests += 1;
    return this.chance.between(`latency ${this.#requests}`, ...ONE_WAY_MS) * this.weather.slowness;
  }

  /** A request of a client and its answer: what it does at the broker it does also when the client does not live to see the answer. */
  ask<T>(client: Life, answer: () => T, isLost = false): Promise<T> {
    const { clock } = this;
    return new Promise((resolve, reject) => {
      const away = (): void => void clock.after(client, TIMEOUT_MS, () => reject(new BrokerAway('the broker does not answer')));
      clock.after(this.life, this.latencyMs(), () => {
        if (this.weather.isDown) return away();
        let result: T;
        try {
          result = answer();
        } catch (error) {
          clock.after(client, this.latencyMs(), () => reject(error));
          return;
        }
        if (isLost) away();
        else clock.after(client, this.latencyMs(), () => resolve(result));
      });
    });
  }

  /** What a process produces with. */
  transport(client: Life, name: string): Transport {
    let requests = 0;
    return {
      send: (records) => {
        requests += 1;
        const purpose = `produce ${client.name} ${name} ${requests}`;
        const { failures, lostAnswers } = this.weather;
        const fails = this.chance.isOnce(`${purpose} fails`, failures);
        const timestampMs = this.clock.wallMs;
        return this.ask(
          client,
          () => {
            if (fails) throw new BrokerAway('not enough replicas');
            for (const record of records) this.append(record, timestampMs);
            this.onProduced(client);
          },
          this.chance.isOnce(`${purpose} loses its answer`, lostAnswers),
        );
      },
      partitions: async (topic) => this.partitionsOf(topic),
      close: async () => undefined,
    };
  }

  #logsOf(topic: string): Stored[][] {
    let logs = this.#logs.get(topic);
    if (logs === undefined) {
      logs = Array.from({ length: this.partitionsOf(topic) }, () => []);
      this.#logs.set(topic, logs);
    }
    return logs;
  }
}

const bufferOf = (content: string | Buffer | null): Buffer | null => (typeof content === 'string' ? Buffer.from(content) : content);
