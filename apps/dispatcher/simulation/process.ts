import { delayTiers, POSITION_HEADER, SCHEMA_HEADER, SCHEMA_VERSION, type AggregateState, type TopicName } from '@posthorn/contracts';
import type { AttemptRequest, AttemptResult } from '@posthorn/egress';
import { GroupConsumption, PackingProducer } from '@posthorn/kafka/simulation';
import { Delay } from '../src/delay/delay.js';
import { Wheel } from '../src/delay/wheel.js';
import { RegistryFeed } from '../src/registry/registry-feed.js';
import { Cancellations } from '../src/sender/cancelling/cancellations.js';
import { HoldingLost } from '../src/sender/ordering/backlog.js';
import { OutcomePacker } from '../src/sender/outcome-packer.js';
import { Sender } from '../src/sender/sender.js';
import { termsOf, type SendingTerms } from '../src/sender/subscriptions.js';
import type { Database } from './backlog.js';
import type { Broker } from './broker.js';
import { CancelledTopic } from './cancelled-topic.js';
import type { Chance } from './chance.js';
import { Life, type Clock } from './clock.js';
import { Membership, type Coordinator } from './group.js';
import type { Ledger } from './ledger.js';
import type { ProcessPlan, Scenario } from './scenario.js';
import { silent } from './silent.js';

/** A record of `registry.state`. */
export type RegistryRecord = { readonly position: number; readonly id: string; readonly state: AggregateState | undefined };

/** What a process stands on. */
export type World = {
  readonly scenario: Scenario;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly broker: Broker;
  readonly database: Database;
  readonly ledger: Ledger;
  readonly groups: Readonly<Record<'sender' | 'delay', Coordinator>>;
  readonly registry: () => readonly RegistryRecord[];
  /** A request to a subscriber. */
  readonly attempt: (life: Life, request: AttemptRequest) => Promise<AttemptResult>;
  readonly partitionOf: (subscription: string, eventId: string) => number;
  /** A process ends itself, because a partition that it thought its own has been another's. */
  readonly onLoss: (process: Process) => void;
};

const SENDER_DRAIN_MS = 16_000;
const DELAY_DRAIN_MS = 5_000;
const DELAY_WINDOW_BYTES = 16_384;

/** Topics have their own names: no prefix. */
export const topic = (name: TopicName): string => name;

/** One run of a process, from its start to its end: put together as `app.module.ts` and the roles do it. */
export class Process {
  readonly life: Life;
  readonly #world: World;
  readonly #plan: ProcessPlan;
  readonly #feed: RegistryFeed;
  readonly #subscriptions: SmallTable;
  readonly #consumptions: GroupConsumption[] = [];
  readonly #members: Membership[] = [];
  readonly #wheel: Wheel;
  #sender: Sender | undefined;
  #cancelled: CancelledTopic | undefined;
  #readRegistry = 0;
  #isClosing = false;

  constructor(world: World, plan: ProcessPlan, run: number) {
    this.#world = world;
    this.#plan = plan;
    this.life = new Life(`${plan.name}.${run}`);
    this.#subscriptions = new SmallTable(world.scenario.partitions);
    this.#wheel = new Wheel(topic, world.broker.partitionsOf(topic('deliveries.delayed.1s')));
    this.#feed = new RegistryFeed([this.#subscriptions], () => this.#readToEnd());
  }

  get name(): string {
    return this.#plan.name;
  }

  start(): void {
    this.registryGrew(0);
    if (this.#plan.roles.includes('sender')) this.#startSender();
    if (this.#plan.roles.includes('delay')) this.#startDelay();
  }

  /** `registry.state` has more records. @param inMs how long it takes until they are read */
  registryGrew(inMs: number): void {
    if (inMs === 0) this.#readOn();
    else this.#world.clock.after(this.life, inMs, () => this.#readOn());
  }

  /** `deliveries.cancelled` has more records. */
  cancelledGrew(): void {
    this.#cancelled?.grew();
  }

  /** It is dead from now on: whatever it had begun, it never hears of again. */
  crash(): void {
    this.life.isOver = true;
    for (const member of this.#members) member.expire();
  }

  /** It stands still, and does not notice. */
  stall(forMs: number): void {
    const { clock, chance } = this.#world;
    this.life.stalledUntilMs = clock.nowMs + forMs;
    for (const member of this.#members) {
      member.expire();
      clock.after(this.life, forMs + chance.of(`awake ${this.life.name} ${clock.nowMs}`) * 2_000, () => member.wokenUp());
    }
  }

  /** As on SIGTERM. Where Kafka has not heard that it leaves, its session ends later. */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    await Promise.all(this.#consumptions.map((consumption) => consumption.close()));
    this.crash();
  }

  /** Bytes and lanes that it holds, to be compared with what it may. */
  check(): void {
    const { ledger, scenario } = this.#world;
    const most = scenario.windowBytes * scenario.partitions + scenario.partitions * MOST_OF_A_FETCH_BYTES;
    for (const { inFlight, inFlightBytes } of this.#consumptions) {
      if (inFlight < 0 || inFlightBytes < 0) ledger.violate('memory', `${this.life.name} counts ${inFlight} records in flight, of ${inFlightBytes} bytes`);
      if (inFlightBytes > most) ledger.violate('memory', `${this.life.name} holds ${inFlightBytes} bytes of records, ${most} at most`);
    }
  }

  /** Nothing is left to be done: nothing may be left. */
  checkAtRest(): void {
    const { ledger } = this.#world;
    for (const { inFlight } of this.#consumptions) if (inFlight > 0) ledger.violate('comes to rest', `${this.life.name} still has ${inFlight} records in flight`);
    if (this.#sender !== undefined && this.#sender.core.inFlight > 0) {
      ledger.violate('comes to rest', `${this.life.name} counts ${this.#sender.core.inFlight} attempts under way`);
    }
  }

  #startSender(): void {
    const { life } = this;
    const { scenario, clock, chance, broker, database, ledger, attempt } = this.#world;
    const outcomes = this.#producer('outcomes');
    const retries = this.#producer('retries');
    const soon = (run: () => void): void => void clock.after(life, 0, run);
    const setTimer = (ms: number, run: () => void): (() => void) => clock.after(life, Math.max(1, ms), run);
    const packer = new OutcomePacker({ topic: topic('deliveries.attempted'), send: (record) => outcomes.send(record), soon, setTimer });
    const cancellations = new Cancellations({
      readToEnd: () => cancelled.readToEnd(),
      keepMs: Infinity,
      nowMs: () => clock.wallMs,
      setTimer,
      onForgotten: () => undefined,
      fatal: (error) => this.#fatal(error),
    });
    const cancelled = new CancelledTopic(broker, life, (record) => {
      cancellations.onRecord({ value: record.value, headers: { [SCHEMA_HEADER]: Buffer.from(SCHEMA_VERSION) } });
      ledger.seen(life, record);
    });
    this.#cancelled = cancelled;
    cancelled.grew();
    const sender = new Sender({
      cancellations,
      subscriptions: this.#subscriptions,
      feed: this.#feed,
      attempt: (request) => attempt(life, request),
      send: (record) => retries.send(record),
      writeOutcome: packer.write.bind(packer),
      writePostponement: packer.writePostponement.bind(packer),
      topic,
      wheel: this.#wheel,
      backlog: database.connect(life),
      backlogLimit: scenario.backlogLimit,
      committed: (partition) => consumption.committed(topic('deliveries.requested'), partition),
      isCommitted: (partition, offset) => consumption.isCommitted(topic('deliveries.requested'), partition, offset),
      isMember: () => consumption.isMember(),
      recordsInFlight: () => consumption.inFlight,
      maxInFlight: scenario.maxInFlight,
      windowBytes: scenario.windowBytes,
      observe: { outcome: () => undefined, postponed: () => undefined, cancelled: () => undefined, breaker: () => undefined, started: () => undefined },
      fatal: (error) => this.#fatal(error),
      nowMs: () => clock.wallMs,
      random: chance.stream(`sender ${life.name}`).next,
      soon,
      setTimer,
    });
    this.#sender = sender;
    cancellations.listen((subscription, round) => sender.ordering.cancelled(subscription, round));
    const consumption = this.#consume('sender', {
      topics: [topic('deliveries.requested')],
      onRecord: sender.onRecord,
      onAssigned: (_topic, partition, committed) => {
        ledger.reassigned(life, partition);
        cancellations.assigned(partition);
        sender.ordering.assigned(partition, committed);
      },
      onRevoked: (_topic, partition) => {
        ledger.revoked(life, partition);
        sender.ordering.revoked(partition);
        cancellations.revoked(partition);
      },
      hold: sender.hold,
      drainMs: SENDER_DRAIN_MS,
      windowBytes: scenario.windowBytes,
    });
  }

  #startDelay(): void {
    const { clock, partitionOf } = this.#world;
    const producer = this.#producer('delay');
    const delay = new Delay({
      topic,
      wheel: this.#wheel,
      lookMs: Infinity,
      partitionOf,
      send: (record) => producer.send(record),
      fatal: (error) => this.#fatal(error),
      nowMs: () => clock.wallMs,
      setTimer: (ms, run) => clock.after(this.life, Math.max(1, ms), run),
    });
    this.#consume('delay', {
      topics: delayTiers.map(({ name }) => topic(`deliveries.delayed.${name}`)),
      onRecord: delay.onRecord,
      onAssigned: delay.onAssigned,
      onRevoked: delay.onRevoked,
      hold: delay.hold,
      drainMs: DELAY_DRAIN_MS,
      windowBytes: DELAY_WINDOW_BYTES,
    });
  }

  #producer(name: string): PackingProducer {
    const { broker, clock } = this.#world;
    return new PackingProducer(broker.transport(this.life, name), silent, {}, clock.timeOf(this.life));
  }

  #consume(role: 'sender' | 'delay', options: Omit<ConstructorParameters<typeof GroupConsumption>[0], 'groupId'>): GroupConsumption {
    const { broker, clock, groups, ledger } = this.#world;
    const consumption = new GroupConsumption({ groupId: role, stallMs: Infinity, ...options }, silent, (fields, reason) => this.#fatal({ reason, ...fields }), clock.timeOf(this.life));
    const member = new Membership(broker, groups[role], this.life, consumption, () => role === 'sender' && ledger.paused(this.life));
    this.#consumptions.push(consumption);
    this.#members.push(member);
    consumption.start(member.client).catch((error: unknown) => this.#fatal(error));
    return consumption;
  }

  /** Whoever has stood still for long, and lost a partition meanwhile, may only start anew; nobody else may give up. */
  #fatal(error: unknown): void {
    if (this.life.isOver) return;
    if (isLoss(error)) this.#world.onLoss(this);
    else this.#world.ledger.violate('goes on', `${this.life.name} gives up: ${reasonOf(error)}`);
  }

  #readOn(): void {
    const records = this.#world.registry();
    for (const { position, id, state } of records.slice(this.#readRegistry)) {
      this.#feed.apply({
        key: Buffer.from(id),
        value: state === undefined ? null : Buffer.from(JSON.stringify({ position, version: position, state })),
        headers: { [POSITION_HEADER]: Buffer.from(String(position)) },
      });
    }
    this.#readRegistry = records.length;
  }

  async #readToEnd(): Promise<void> {
    await this.#world.clock.sleep(this.life, 5);
    this.#readOn();
  }
}

/** As `Subscriptions`, which lays out its memory for a million of them each time it is made. */
class SmallTable {
  readonly #terms = new Map<string, SendingTerms>();

  constructor(private readonly partitions: number) {}

  get(id: string): SendingTerms | undefined {
    return this.#terms.get(id);
  }

  changed(state: AggregateState): void {
    if (state.kind === 'subscription') this.#terms.set(state.id, termsOf(state, 1, () => 'secret', this.partitions));
  }

  removed(id: string): void {
    this.#terms.delete(id);
  }
}

const MOST_OF_A_FETCH_BYTES = 40 * 3_000;

const isLoss = (error: unknown): boolean => error instanceof HoldingLost || (error instanceof Error && error.message.includes("another sender's meanwhile"));

const reasonOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error));
