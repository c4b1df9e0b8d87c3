import { delayTiers, frame, SCHEMA_HEADER, SCHEMA_VERSION, unframe, type Attempted, type Cancelled, type Envelope, type RequestedHead, type SubscriptionState } from '@posthorn/contracts';
import type { AttemptRequest, AttemptResult } from '@posthorn/egress';
import { Audit, TENANT } from './audit.js';
import { Database } from './backlog.js';
import { Broker, fair, type Stored } from './broker.js';
import { Chance } from './chance.js';
import { Clock, Life, type Ending } from './clock.js';
import { Coordinator } from './group.js';
import { Ledger, type Violation } from './ledger.js';
import { Process, type RegistryRecord, type World } from './process.js';
import { placeOf, type Change, type EventPlan, type Fault, type Moment, type ProcessPlan, type Scenario, type SubscriptionPlan, type UserPlan } from './scenario.js';
import { answerOf, attemptOf, subscriptionAt, urlOf } from './subscribers.js';

/** What a history came to. */
export type Result = {
  readonly ending: Ending;
  readonly violation: Violation | undefined;
  readonly events: number;
  readonly elapsedMs: number;
  readonly deliveries: number;
  readonly requests: number;
  readonly trace: readonly string[];
};

const DAY_MS = 86_400_000;
/** The default schedule takes three days and more, and a key may have a dozen that fail one after the other. */
const LONGEST_MS = 400 * DAY_MS;
const MAX_EVENTS = 300_000;
const TRACED = 60;
/** Until a process that has ended itself runs again. */
const RESTART_MS = 2_000;
const GROUP_DRAIN_MS = { sender: 16_000, delay: 0 };
/** As many as a process reads of the registry's topic takes so long. */
const REGISTRY_LAG_MS = 400;

/** Plays one scenario from its beginning until nothing is left to happen. Equal scenarios make equal histories. */
export const play = async (scenario: Scenario, { isTraced = false } = {}): Promise<Result> => new History(scenario, isTraced).play();

class History {
  readonly #clock = new Clock();
  readonly #chance: Chance;
  readonly #ledger: Ledger;
  readonly #broker: Broker;
  readonly #database: Database;
  readonly #world: World;
  readonly #life = new Life('world');
  readonly #audit = new Audit();
  readonly #registry: RegistryRecord[] = [];
  readonly #processes = new Map<string, Process>();
  readonly #runs = new Map<string, number>();
  /** What each process has done so far, by what faults can wait for. */
  readonly #done = new Map<string, number>();
  readonly #trace: string[] = [];

  constructor(
    private readonly scenario: Scenario,
    private readonly isTraced: boolean,
  ) {
    this.#chance = new Chance(scenario.seed);
    this.#database = new Database(this.#clock, this.#chance, (client, statement) => this.#written(client, statement));
    this.#ledger = new Ledger(
      scenario,
      this.#clock,
      (round) => this.#database.waitsAs(round),
      () => this.#clock.stop(),
    );
    this.#broker = new Broker(this.#clock, this.#chance, scenario.partitions, (record) => this.#appended(record), ({ name }) => this.#did(plainName(name), 'append'));
    this.#world = {
      scenario,
      clock: this.#clock,
      chance: this.#chance,
      broker: this.#broker,
      database: this.#database,
      ledger: this.#ledger,
      groups: {
        sender: this.#group('sender', ['deliveries.requested']),
        delay: this.#group(
          'delay',
          delayTiers.map(({ name }) => `deliveries.delayed.${name}`),
        ),
      },
      registry: () => this.#registry,
      attempt: (life, request) => this.#attempt(life, request),
      partitionOf: (subscription, eventId) => placeOf(scenario, subscription, eventId),
      onLoss: ({ name }) => this.#strike({ kind: 'crash', process: name, moment: { atMs: 0 }, downMs: RESTART_MS }),
    };
  }

  async play(): Promise<Result> {
    const { scenario } = this;
    for (const plan of scenario.subscriptions) this.#register(plan, stateOf(plan));
    for (const plan of scenario.processes) this.#in(plan.startMs, () => this.#start(plan));
    for (const plan of scenario.subscriptions) for (const change of plan.changes) this.#in(change.atMs, () => this.#change(plan, change));
    for (const event of scenario.events) this.#in(event.atMs, () => this.#route(event));
    for (const plan of scenario.users) this.#in(plan.atMs, () => this.#ask(plan));
    for (const fault of scenario.faults) this.#planFault(fault);
    const ending = await this.#clock.run({
      untilMs: Clock.START_MS + LONGEST_MS,
      maxEvents: MAX_EVENTS,
      onError: (error) => this.#ledger.violate('goes on', error instanceof Error ? (error.stack ?? error.message) : String(error)),
    });
    if (ending === 'rest') {
      this.#ledger.atRest();
      for (const process of this.#processes.values()) process.checkAtRest();
    } else if (ending !== 'stopped') {
      this.#ledger.violate('comes to rest', ending === 'late' ? 'something is still to happen after a year' : `${MAX_EVENTS} events, and no end`);
    }
    const { events, elapsedMs } = this.#clock;
    const { violation, deliveries, requests } = this.#ledger;
    return { ending, violation, events, elapsedMs, deliveries, requests, trace: this.#trace };
  }

  // Processes

  #start(plan: ProcessPlan): void {
    const run = (this.#runs.get(plan.name) ?? 0) + 1;
    this.#runs.set(plan.name, run);
    const process = new Process(this.#world, plan, run);
    this.#processes.set(plan.name, process);
    this.#tell(() => `${process.life.name} starts: ${plan.roles.join(', ')}`);
    process.start();
  }

  #planFault(fault: Fault): void {
    if (fault.kind === 'kafka') return this.#planWeather(fault);
    if (fault.kind === 'database') return this.#planOutage(fault);
    const { moment } = fault;
    if ('atMs' in moment) this.#in(moment.atMs, () => this.#strike(fault));
  }

  /** A process has done something that a fault may have waited for. */
  #did(name: string, what: Exclude<Moment, { atMs: number }>['after']): void {
    const key = `${name} ${what}`;
    const count = (this.#done.get(key) ?? 0) + 1;
    this.#done.set(key, count);
    for (const fault of this.scenario.faults) {
      if (!('moment' in fault) || !('after' in fault.moment) || fault.process !== name) continue;
      if (fault.moment.after === what && fault.moment.count === count) this.#strike(fault);
    }
  }

  #strike(fault: Exclude<Fault, { kind: 'kafka' | 'database' }>): void {
    const plan = this.scenario.processes.find(({ name }) => name === fault.process);
    const process = this.#processes.get(fault.process);
    if (plan === undefined || process === undefined || process.life.isOver) return;
    const itIsOver = this.#ledger.troubled();
    const again = (): void => {
      itIsOver();
      this.#start(plan);
    };
    this.#tell(() => `${process.life.name}: ${fault.kind}`);
    switch (fault.kind) {
      case 'crash':
        process.crash();
        this.#after(fault.downMs, again);
        return;
      case 'restart':
        void process.close().then(() => this.#after(fault.downMs, again));
        return;
      case 'stall':
        process.stall(fault.forMs);
        this.#after(fault.forMs, itIsOver);
    }
  }

  #planWeather({ atMs, forMs, slowness = 1, lostAnswers = 0, failures = 0, ...fault }: Fault & { kind: 'kafka' }): void {
    const { weather } = this.#broker;
    const trouble = { isDown: fault.isDown === true, slowness, lostAnswers, failures };
    this.#in(atMs, () => {
      Object.assign(weather, trouble);
      const itIsOver = this.#ledger.troubled();
      this.#tell(() => `kafka: ${JSON.stringify(trouble)}`);
      this.#after(forMs, () => {
        Object.assign(weather, fair());
        itIsOver();
        this.#tell(() => 'kafka: as ever');
      });
    });
  }

  #planOutage({ atMs, forMs }: Fault & { kind: 'database' }): void {
    this.#in(atMs, () => {
      const itIsOver = this.#ledger.troubled();
      this.#database.isDown = true;
      this.#tell(() => 'database: down');
      this.#after(forMs, () => {
        this.#database.isDown = false;
        itIsOver();
        this.#tell(() => 'database: up');
      });
    });
  }

  #written({ name }: Life, statement: string): void {
    this.#tell(() => `${name} database: ${statement}`);
    if (statement === 'park') this.#did(plainName(name), 'parking');
  }

  #group(role: 'sender' | 'delay', topics: readonly string[]): Coordinator {
    let itIsOver: (() => void) | undefined;
    return new Coordinator(this.#broker, topics, GROUP_DRAIN_MS[role] + 30_000, {
      onCommitted: ({ topic, partition }, after, before) => {
        this.#ledger.committed(topic, partition, after, before);
        this.#tell(() => `committed ${topic}/${partition}: ${after.offset} ${after.metadata ?? ''}`);
      },
      onCommit: (member) => this.#did(plainName(member), 'commit'),
      onRebalance: (isBeginning) => {
        if (isBeginning) itIsOver = this.#ledger.troubled();
        else itIsOver?.();
        this.#tell(() => `the group of the ${role}s ${isBeginning ? 'is put together anew' : 'is complete'}`);
      },
    });
  }

  // The registry

  #register(plan: SubscriptionPlan, state: SubscriptionState | undefined): void {
    this.#registry.push({ position: this.#registry.length + 1, id: plan.id, state });
    for (const process of this.#processes.values()) {
      process.registryGrew(1 + this.#chance.of(`registry ${this.#registry.length} ${process.life.name}`) * REGISTRY_LAG_MS);
    }
  }

  #change(plan: SubscriptionPlan, { kind }: Pick<Change, 'kind'>): void {
    const now = this.#stateOf(plan.id);
    if (now === undefined) return;
    this.#tell(() => `registry: ${kind} ${plan.id}`);
    if (kind === 'disable' || kind === 'delete') this.#ledger.switchedOff(plan.id);
    if (kind === 'reconfigure') this.#ledger.reconfigured(plan.id);
    if (kind === 'delete') this.#register(plan, undefined);
    else if (kind === 'reconfigure') this.#register(plan, { ...now, policy: { ...now.policy, max_concurrency: plan.maxConcurrency * 2 } });
    else this.#register(plan, { ...now, enabled: kind === 'enable' });
  }

  #stateOf(id: string): SubscriptionState | undefined {
    const state = this.#registry.findLast((record) => record.id === id)?.state;
    return state?.kind === 'subscription' ? state : undefined;
  }

  // The router: what it does is simple here, and right

  #route(plan: EventPlan): void {
    const matched = plan.subscriptions.filter((id) => this.#stateOf(id)?.enabled === true);
    const byPartition = new Map<number, string[]>();
    for (const id of matched) {
      const partition = placeOf(this.scenario, id, plan.id);
      byPartition.set(partition, [...(byPartition.get(partition) ?? []), id]);
    }
    for (const [partition, subscriptions] of byPartition) {
      const head: RequestedHead = { event: this.#envelopeOf(plan), subscriptions, position: this.#registry.length, round: 0, number: 1, trigger: 'first' };
      const record = { topic: 'deliveries.requested', partition, value: frame(head, dataOf(plan.bytes, 0)), headers: { [SCHEMA_HEADER]: SCHEMA_VERSION } };
      this.#broker.append(record);
      if (plan.isRepeated === true) this.#after(this.#chance.between(`again ${plan.id}`, 1, 5_000), () => this.#broker.append(record));
    }
  }

  // Users, by the audit

  #ask(plan: UserPlan): void {
    const { kind, event, subscription } = plan;
    const partition = placeOf(this.scenario, subscription, event);
    if (kind === 'redeliver') this.#redeliver(plan, partition);
    else {
      const record = this.#audit.cancel(event, subscription, partition, new Date(this.#clock.wallMs).toISOString());
      if (record !== undefined) this.#broker.append(record);
    }
  }

  #redeliver({ event: id, subscription, isForced, isRepeated }: UserPlan, partition: number): void {
    const event = this.scenario.events.find((each) => each.id === id);
    const round = this.#audit.nextRound(id, subscription, isForced === true);
    if (round === undefined || event === undefined) return;
    if (isRepeated) this.#ledger.asksTwice(id, subscription, round);
    const head: RequestedHead = { event: this.#envelopeOf(event), subscriptions: [subscription], position: this.#registry.length, round, number: 1, trigger: 'redeliver' };
    const record = { topic: 'deliveries.requested', partition, value: frame(head, dataOf(event.bytes, round)), headers: { [SCHEMA_HEADER]: SCHEMA_VERSION } };
    this.#broker.append(record);
    if (isRepeated) this.#after(this.#chance.between(`again ${id} ${subscription} ${round}`, 1, 5_000), () => this.#broker.append(record));
  }

  #envelopeOf({ id, key }: EventPlan): Envelope {
    const time = new Date(this.#clock.wallMs).toISOString();
    return { specversion: '1.0', id, tenant: TENANT, type: 'invoice.paid', source: '/', time, acceptedtime: time, ...(key !== undefined && { partitionkey: key }) };
  }

  #appended(record: Stored): void {
    this.#ledger.appended(record);
    this.#tell(() => `${record.topic}/${record.partition} @${record.offset} ${summaryOf(record)}`);
    this.#tellAudit(record);
    if (record.topic === 'deliveries.cancelled') for (const process of this.#processes.values()) process.cancelledGrew();
    for (const group of Object.values(this.#world.groups)) group.onAppended(record);
    for (const process of this.#processes.values()) process.check();
  }

  #tellAudit({ topic, value }: Stored): void {
    if (value === null) return;
    if (topic === 'deliveries.attempted') this.#audit.attempted(JSON.parse(value.toString()) as Attempted);
    if (topic !== 'deliveries.requested') return;
    const { event, subscriptions, round } = unframe<RequestedHead>(value).head;
    for (const subscription of subscriptions) this.#audit.requested(event, subscription, round);
  }

  // Subscribers

  async #attempt(life: Life, request: AttemptRequest): Promise<AttemptResult> {
    const id = subscriptionAt(request.subscription.url);
    const plan = this.scenario.subscriptions.find((each) => each.id === id);
    if (plan === undefined) throw new Error(`nobody is at ${request.subscription.url}`);
    const startedMs = this.#clock.wallMs;
    const round = roundOf(request);
    const number = this.#ledger.requestStarts(life, id, request.eventId, round);
    const answer = answerOf(plan, this.#chance, `${id} ${number}`, this.#clock.nowMs);
    this.#tell(() => `${life.name} ${number}: ${request.eventId}→${id}${round === 0 ? '' : ` round ${round}`}`);
    const name = plainName(life.name);
    this.#did(name, 'request');
    // The subscriber answers, whoever is there to hear it.
    this.#after(answer.inMs, () => this.#answered(plan, number, answer));
    await this.#clock.sleep(life, answer.inMs);
    const result = attemptOf(request, answer, { startedMs, endedMs: this.#clock.wallMs, request: number });
    this.#did(name, 'answer');
    return result;
  }

  #answered(plan: SubscriptionPlan, number: string, { outcome }: ReturnType<typeof answerOf>): void {
    const status = outcome.response?.status;
    const retryAfter = outcome.response?.headers['retry-after'];
    const kind = status === 200 ? 'success' : status === 410 ? 'gone' : 'failure';
    this.#ledger.requestEnds(number, kind, retryAfter === undefined ? undefined : pauseMs(retryAfter, this.#clock.wallMs));
    this.#tell(() => `${number}: ${status ?? outcome.failure?.code}`);
    // The registry hears of it from the audit.
    if (kind === 'gone') this.#after(this.#chance.between(`gone ${number}`, 10, 5_000), () => this.#change(plan, { kind: 'disable' }));
  }

  // The rest

  #in(elapsedMs: number, run: () => void): void {
    this.#clock.after(this.#life, elapsedMs - this.#clock.elapsedMs, run);
  }

  #after(ms: number, run: () => void): void {
    this.#clock.after(this.#life, ms, run);
  }

  #tell(text: () => string): void {
    if (!this.isTraced) return;
    this.#trace.push(`${(this.#clock.elapsedMs / 1_000).toFixed(4).padStart(12)} s  ${text()}`);
    if (this.#trace.length > TRACED) this.#trace.shift();
  }
}

const pauseMs = (retryAfter: string, nowMs: number): number => (/^\d+$/.test(retryAfter) ? Number(retryAfter) * 1_000 : Math.max(0, Date.parse(retryAfter) - nowMs));

/** Of the process, without its run. */
const plainName = (life: string): string => life.slice(0, life.indexOf('.'));

/** The same data in each round, but for what tells a subscriber's request of one from that of another. */
const dataOf = (bytes: number, round: number): Buffer => Buffer.from(JSON.stringify(`${round} ${'x'.repeat(bytes)}`));

const roundOf = ({ payload }: AttemptRequest): number => {
  if ('failed' in payload) throw new Error(`a body could not be made: ${payload.failed}`);
  return Number.parseInt(payload.body.toString('utf8', 1, 8), 10);
};

const summaryOf = ({ topic, value }: Stored): string => {
  if (value === null) return '(deleted)';
  if (topic === 'operations') return value.toString();
  if (topic === 'deliveries.attempted') {
    const { outcomes, postponed = [] } = JSON.parse(value.toString()) as Attempted;
    return [
      ...outcomes.map((outcome) => `${attemptIn(outcome)} ${outcome.status}`),
      ...postponed.map((postponement) => `${attemptIn(postponement)} waits: ${postponement.cause}`),
    ].join(', ');
  }
  if (topic === 'deliveries.cancelled') {
    const { cancellations } = JSON.parse(value.toString()) as Cancelled;
    return cancellations.map(({ event_id, subscription_id, round }) => `${event_id}→${subscription_id} round ${round}`).join(', ');
  }
  const { event, subscriptions, round, number, due_at, reserved } = unframe<RequestedHead>(value).head;
  const due = due_at === undefined ? '' : ` due ${((Date.parse(due_at) - Clock.START_MS) / 1_000).toFixed(3)}`;
  return `${event.id}→${subscriptions.join()}${round === 0 ? '' : ` round ${round}`} #${number}${due}${reserved === true ? ' reserved' : ''}`;
};

const attemptIn = ({ event_id, subscription_id, round, number }: { readonly event_id: string; readonly subscription_id: string; readonly round: number; readonly number: number }): string =>
  `${event_id}→${subscription_id}${round === 0 ? '' : ` round ${round}`} #${number}`;

const stateOf = ({ id, maxConcurrency, rate, ordering, spread, timeoutMs, scheduleMs }: SubscriptionPlan): SubscriptionState => ({
  kind: 'subscription',
  id,
  tenant: 'default',
  name: id,
  type: 'rest',
  url: urlOf(id),
  event_types: ['*'],
  enabled: true,
  enabled_since: '2026-01-01T00:00:00.000Z',
  payload: { format: 'raw' },
  authentication: { type: 'none' },
  headers: {},
  policy: {
    timeout_ms: timeoutMs,
    max_concurrency: maxConcurrency,
    ordering,
    disable_after_ms: 0,
    ...(scheduleMs !== undefined && { retry_schedule_ms: [...scheduleMs] }),
    ...(rate !== undefined && { rate_limit: { ...rate } }),
    ...(spread > 1 && { spread }),
  },
  metadata: {},
  signing_secrets: [{ scheme: 'v1', key_id: 'a', ciphertext: '' }],
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
});
