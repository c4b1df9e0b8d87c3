import type { ConsumerGroup, FetchedMessage, GroupConsumption, PartitionCommit, TopicPartitions } from '@posthorn/kafka/simulation';
import type { Broker } from './broker.js';
import type { Life } from './clock.js';

/** The coordinator gives a member up that it has not heard of for so long. */
const SESSION_MS = 10_000;
/** How long it takes a member to hear that the group is being put together anew. */
const HEARTBEAT_MS = 2_000;
/** A partition that is resumed is fetched with the next poll. */
const POLL_MS = 100;
const REJOIN_MS = 1_000;
const JOIN_ATTEMPTS = 5;
const MOST_IN_A_FETCH = 40;

type Place = { readonly topic: string; readonly partition: number };
type Committed = { readonly offset: number; readonly metadata: string | null };

export const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`;

const unknownMember = (): Error => new Error('the coordinator does not know this member, or not in this generation');

/** The broker's side of a consumer group: who belongs to it, who reads what, how far it has come. */
export class Coordinator {
  readonly #members = new Map<string, Membership>();
  readonly #joining = new Map<string, (assigned: readonly Place[]) => void>();
  readonly #committed = new Map<string, Committed>();
  #generation = 0;
  #isStable = true;
  #deadline: (() => void) | undefined;

  constructor(
    private readonly broker: Broker,
    private readonly topics: readonly string[],
    /** How long members may take to join, as they themselves have said. */
    private readonly rebalanceMs: number,
    private readonly watch: {
      readonly onCommitted: (place: Place, committed: Committed, before: Committed) => void;
      /** A member's commit was carried out, and its answer is not yet on its way. */
      readonly onCommit: (member: string) => void;
      readonly onRebalance: (isBeginning: boolean) => void;
    },
  ) {}

  get generation(): number {
    return this.#generation;
  }

  committed(topic: string, partition: number): Committed {
    return this.#committed.get(keyOf(topic, partition)) ?? { offset: -1, metadata: null };
  }

  /** Told to every member that reads the topic. */
  onAppended({ topic, partition }: Place): void {
    if (this.topics.includes(topic)) for (const member of this.#members.values()) member.wake(topic, partition);
  }

  isMember(id: string, generation: number): boolean {
    return this.#members.has(id) && this.#generation === generation;
  }

  /** @param joined called when all have come, or have been given up */
  join(member: Membership, joined: (assigned: readonly Place[]) => void): void {
    this.#members.set(member.id, member);
    this.#joining.set(member.id, joined);
    if (this.#isStable) this.#begin();
    this.#completeIfAllHaveCome();
  }

  leave(id: string): void {
    if (!this.#members.delete(id)) return;
    this.#joining.delete(id);
    if (this.#isStable && this.#members.size > 0) this.#begin();
    this.#completeIfAllHaveCome();
  }

  commit(id: string, generation: number, commits: readonly (Place & PartitionCommit)[]): void {
    if (!this.isMember(id, generation)) throw unknownMember();
    for (const { topic, partition, offset, metadata } of commits) {
      const before = this.committed(topic, partition);
      const committed = { offset: Number(offset), metadata };
      this.#committed.set(keyOf(topic, partition), committed);
      this.watch.onCommitted({ topic, partition }, committed, before);
    }
    this.watch.onCommit(id);
  }

  #begin(): void {
    const { clock, chance, life } = this.broker;
    this.#isStable = false;
    this.watch.onRebalance(true);
    for (const member of this.#members.values()) {
      const heardMs = chance.of(`heartbeat ${member.id} ${this.#generation}`) * HEARTBEAT_MS;
      if (!this.#joining.has(member.id)) clock.after(member.life, heardMs, () => member.rebalance());
    }
    this.#deadline = clock.after(life, this.rebalanceMs, () => {
      for (const [id, member] of this.#members) {
        if (this.#joining.has(id)) continue;
        this.#members.delete(id);
        clock.after(member.life, HEARTBEAT_MS, () => member.wokenUp());
      }
      this.#completeIfAllHaveCome();
    });
  }

  #completeIfAllHaveCome(): void {
    if (this.#isStable || this.#joining.size < this.#members.size) return;
    this.#deadline?.();
    this.#isStable = true;
    this.#generation += 1;
    const members = [...this.#members.keys()].sort();
    const assigned = new Map<string, Place[]>(members.map((id) => [id, []]));
    const places = this.topics.flatMap((topic) => Array.from({ length: this.broker.partitionsOf(topic) }, (_, partition) => ({ topic, partition })));
    places.forEach((place, n) => assigned.get(members[n % members.length] ?? '')?.push(place));
    for (const [id, joined] of this.#joining) joined(assigned.get(id) ?? []);
    this.#joining.clear();
    this.watch.onRebalance(false);
  }
}

type KafkaClient = Parameters<GroupConsumption['start']>[0];
type Consumer = ReturnType<KafkaClient['consumer']>;

/**
 * The client's side of a consumer group, as far as the consumption uses kafkajs: joins with the consumption's hooks around it, fetches
 * what is not paused, hands batches over, commits. Its life is its process's.
 */
export class Membership {
  #number = 0;
  #id = '';
  #group: SimulatedGroup;
  #assigned: readonly Place[] = [];
  readonly #positions = new Map<string, number>();
  readonly #paused = new Set<string>();
  readonly #fetching = new Set<string>();
  #isJoining = false;
  #isClosed = false;
  #fetches = 0;

  constructor(
    private readonly broker: Broker,
    private readonly coordinator: Coordinator,
    readonly life: Life,
    private readonly consumption: GroupConsumption,
    private readonly onPaused: (paused: number) => void,
  ) {
    this.#group = new SimulatedGroup(this, broker, coordinator, life);
  }

  get id(): string {
    return this.#id;
  }

  get assigned(): readonly Place[] {
    return this.#assigned;
  }

  /** What the consumption takes for a Kafka client: it makes one consumer, of which it uses what is here. */
  get client(): KafkaClient {
    const consumer = {
      on: () => () => undefined,
      connect: async () => undefined,
      subscribe: async () => undefined,
      run: () => this.#join(),
      stop: async () => undefined,
      disconnect: () => this.#leave(),
    };
    // Of kafkajs' interface the consumption uses no more than this.
    return { consumer: () => consumer as unknown as Consumer } as unknown as KafkaClient;
  }

  /** The group is being put together anew, or has gone on without this member. */
  rebalance(): void {
    if (!this.#isJoining && !this.#isClosed) void this.#join();
  }

  /** Records have been appended. */
  wake(topic: string, partition: number): void {
    this.#fetch({ topic, partition }, this.broker.latencyMs());
  }

  /** The process is dead or stands still: the group goes on without it when its session is over. */
  expire(): void {
    const { life } = this;
    const { stalledUntilMs } = life;
    const id = this.#id;
    this.broker.clock.after(this.broker.life, SESSION_MS, () => {
      const isStalled = life.stalledUntilMs === stalledUntilMs && stalledUntilMs > this.broker.clock.nowMs;
      if (life.isOver || isStalled) this.coordinator.leave(id);
    });
  }

  /** A member that was given up while it stood still hears of it with its next heartbeat. */
  wokenUp(): void {
    if (this.#group.memberId === null || this.#isJoining || this.#isClosed || this.coordinator.isMember(this.#id, this.#group.generationId ?? -1)) return;
    this.#group.memberId = null;
    this.rebalance();
  }

  setPaused(partitions: readonly TopicPartitions[], isPaused: boolean): void {
    for (const { topic, partitions: numbers } of partitions) {
      for (const partition of numbers) {
        const key = keyOf(topic, partition);
        if (isPaused) this.#paused.add(key);
        else if (this.#paused.delete(key)) this.#fetch({ topic, partition }, this.broker.chance.of(`poll ${this.#id} ${this.#fetches}`) * POLL_MS);
      }
    }
    this.onPaused(this.#paused.size);
  }

  resolve(topic: string, partition: number, offset: number): void {
    this.#positions.set(keyOf(topic, partition), offset + 1);
  }

  newId(): string {
    this.#number += 1;
    this.#id = `${this.life.name} ${this.#number}`;
    return this.#id;
  }

  begin(assigned: readonly Place[]): void {
    this.#assigned = assigned;
    this.#positions.clear();
  }

  async #join(): Promise<void> {
    this.#isJoining = true;
    const joined = this.#joinHooked();
    this.consumption.onJoining(joined);
    try {
      await joined;
    } catch {
      // kafkajs starts its consumer anew, with a group that does not know its former member.
      this.broker.clock.after(this.life, REJOIN_MS, () => {
        this.#isJoining = false;
        this.#group = new SimulatedGroup(this, this.broker, this.coordinator, this.life);
        this.rebalance();
      });
      return;
    }
    this.#isJoining = false;
    for (const place of this.#assigned) this.#fetch(place, this.broker.latencyMs());
  }

  async #joinHooked(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.consumption.beforeJoin(this.#group);
      await this.#group.joinAndSync();
      try {
        return await this.consumption.afterJoin(this.#group);
      } catch (error) {
        if (attempt === JOIN_ATTEMPTS) throw error;
      }
    }
  }

  async #leave(): Promise<void> {
    this.#isClosed = true;
    await this.#group.leave().catch(() => undefined);
  }

  #fetch(place: Place, inMs: number): void {
    const key = keyOf(place.topic, place.partition);
    if (this.#isClosed || this.#isJoining || this.#paused.has(key) || this.#fetching.has(key)) return;
    const generation = this.#group.generationId;
    const position = this.#positionOf(place);
    if (position === undefined || position >= this.broker.log(place.topic, place.partition).length) return;
    this.#fetching.add(key);
    this.broker.clock.after(this.life, inMs, () => {
      this.#fetching.delete(key);
      if (this.broker.weather.isDown) {
        this.broker.clock.after(this.life, POLL_MS * 3, () => this.#fetch(place, 0));
        return;
      }
      // Came while the group was put together anew, or while the partition was paused: the client drops it.
      if (this.#isClosed || this.#isJoining || this.#paused.has(key)) return;
      if (generation === this.#group.generationId) this.#handOver(place);
      this.#fetch(place, this.broker.latencyMs());
    });
  }

  #positionOf({ topic, partition }: Place): number | undefined {
    if (!this.#assigned.some((place) => place.topic === topic && place.partition === partition)) return undefined;
    return this.#positions.get(keyOf(topic, partition)) ?? Math.max(0, this.coordinator.committed(topic, partition).offset);
  }

  #handOver(place: Place): void {
    const { topic, partition } = place;
    const position = this.#positionOf(place);
    if (position === undefined) return;
    this.#fetches += 1;
    const most = 1 + Math.floor(this.broker.chance.of(`fetch ${this.#id} ${this.#fetches}`) * MOST_IN_A_FETCH);
    const log = this.broker.log(topic, partition);
    const messages: readonly FetchedMessage[] = log.slice(position, position + most);
    const last = messages.at(-1);
    if (last === undefined) return;
    this.consumption.take({ topic, partition, messages, lastOffset: last.offset, highWatermark: String(log.length) });
  }
}

class SimulatedGroup implements ConsumerGroup {
  readonly groupId = 'group';
  memberId: string | null = null;
  generationId: number | null = null;
  readonly cluster: ConsumerGroup['cluster'];
  readonly coordinator: NonNullable<ConsumerGroup['coordinator']>;

  constructor(
    private readonly member: Membership,
    private readonly broker: Broker,
    private readonly group: Coordinator,
    private readonly life: Life,
  ) {
    const fetchTopicsOffset = (topics: Parameters<ConsumerGroup['cluster']['fetchTopicsOffset']>[0]) =>
      broker.ask(life, () =>
        topics.map(({ topic, partitions, fromBeginning }) => ({
          topic,
          partitions: partitions.map(({ partition }) => ({ partition, offset: fromBeginning ? '0' : String(broker.log(topic, partition).length) })),
        })),
      );
    const offsetFetch = ({ topics }: Parameters<NonNullable<ConsumerGroup['coordinator']>['offsetFetch']>[0]) =>
      broker.ask(life, () => ({
        responses: topics.map(({ topic, partitions }) => ({
          topic,
          partitions: partitions.map(({ partition }) => {
            const { offset, metadata } = group.committed(topic, partition);
            return { partition, offset: String(offset), metadata };
          }),
        })),
      }));
    const heartbeat = ({ memberId, groupGenerationId }: Parameters<NonNullable<ConsumerGroup['coordinator']>['heartbeat']>[0]) =>
      broker.ask(life, () => {
        if (!group.isMember(memberId, groupGenerationId)) throw unknownMember();
      });
    // A member that has joined asks the cluster and its coordinator no more than this.
    this.cluster = { fetchTopicsOffset } as unknown as ConsumerGroup['cluster'];
    this.coordinator = { offsetFetch, heartbeat } as unknown as NonNullable<ConsumerGroup['coordinator']>;
  }

  assigned(): readonly TopicPartitions[] {
    const byTopic = new Map<string, number[]>();
    for (const { topic, partition } of this.member.assigned) byTopic.set(topic, [...(byTopic.get(topic) ?? []), partition]);
    return [...byTopic].map(([topic, partitions]) => ({ topic, partitions }));
  }

  pause(partitions: readonly TopicPartitions[]): void {
    this.member.setPaused(partitions, true);
  }

  resume(partitions: readonly TopicPartitions[]): void {
    this.member.setPaused(partitions, false);
  }

  resolveOffset({ topic, partition, offset }: { readonly topic: string; readonly partition: number; readonly offset: string }): void {
    this.member.resolve(topic, partition, Number(offset));
  }

  async commitOffsets({ topics }: Parameters<ConsumerGroup['commitOffsets']>[0]): Promise<void> {
    const { memberId, generationId } = this;
    if (memberId === null || generationId === null) throw unknownMember();
    const commits = topics.flatMap(({ topic, partitions }) => partitions.map((commit) => ({ topic, ...commit })));
    await this.broker.ask(this.life, () => this.group.commit(memberId, generationId, commits));
  }

  joinAndSync(): Promise<void> {
    this.memberId ??= this.member.newId();
    const { clock, life } = this.broker;
    return new Promise((resolve) => {
      const ask = (): void => {
        clock.after(life, this.broker.latencyMs(), () => {
          if (this.life.isOver) return;
          // The client tries again for as long as it takes.
          if (this.broker.weather.isDown) return void clock.after(this.life, POLL_MS * 10, ask);
          this.group.join(this.member, (assigned) => {
            const { generation } = this.group;
            clock.after(this.life, this.broker.latencyMs(), () => {
              this.generationId = generation;
              this.member.begin(assigned);
              resolve();
            });
          });
        });
      };
      ask();
    });
  }

  async leave(): Promise<void> {
    const { memberId } = this;
    if (memberId !== null) await this.broker.ask(this.life, () => this.group.leave(memberId));
  }

  async recoverFromOffsetOutOfRange(): Promise<void> {
    throw new Error('nothing is ever deleted here');
  }
}
