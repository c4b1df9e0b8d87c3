/** A mistake that somebody could make: `find`, which stands in `file` once, replaced. */
export type Mutation = { readonly name: string; readonly file: string; readonly find: string; readonly replace: string };

const sender = 'apps/dispatcher/src/sender';
const kafka = 'libs/kafka/src';

/** Mistakes that the simulator must find, each alone. */
export const mutations: readonly Mutation[] = [
  {
    name: 'the record is done before its outcome and its retry are written',
    file: `${sender}/sender.ts`,
    find: 'await (isDelayed ?',
    replace: 'void (isDelayed ?',
  },
  {
    name: 'the record is done before Kafka has acknowledged its outcome',
    file: `${sender}/outcome-packer.ts`,
    find: 'waiting.push({ fact, written, failed });',
    replace: 'waiting.push({ fact, written, failed });\n      written();',
  },
  {
    name: 'the delay commits before it has produced',
    file: 'apps/dispatcher/src/delay/delay.ts',
    find: 'send(outgoing).then(() => {\n      record.done();',
    replace: 'record.done();\n    send(outgoing).then(() => {',
  },
  {
    name: 'a delivery is put off, and its record done, before it is in the wheel',
    file: `${sender}/sender.ts`,
    find: 'await this.#delay(request.postponedRecord(',
    replace: 'void this.#delay(request.postponedRecord(',
  },
  {
    name: 'an open breaker never becomes half open',
    file: `${sender}/breaker.ts`,
    find: "if (this.#state !== 'open' || nowMs < this.#reopensAtMs) return false;",
    replace: 'if (nowMs > 0) return false;',
  },
  {
    name: 'the breaker never opens',
    file: `${sender}/breaker.ts`,
    find: 'if (this.#consecutiveFailures < CONSECUTIVE_FAILURES && !this.#failsTooOften()) return false;',
    replace: 'if (nowMs > 0) return false;',
  },
  {
    name: 'what is put off forgets its due time',
    file: `${sender}/sender.ts`,
    find: 'request.postponedRecord(subscription, dueAtMs), dueAtMs,',
    replace: 'request.postponedRecord(subscription, this.#parts.nowMs()), this.#parts.nowMs(),',
  },
  {
    name: 'what has a place reserved takes another one',
    file: `${sender}/sender-core.ts`,
    find: 'return isReserved ? lane.refusesReserved(heldBytes, windowBytes) : lane.refuses(heldBytes, windowBytes, nowMs);',
    replace: 'return isReserved && windowBytes < 0 ? undefined : lane.refuses(heldBytes, windowBytes, nowMs);',
  },
  {
    name: 'what arrives for a blocked key is started',
    file: `${sender}/ordering/keyed-queues.ts`,
    find: 'if (!chain.isStored && chain.heads.length === 0) {',
    replace: 'if (chain.heads.length === 0) {',
  },
  {
    name: 'followers are started while the head is under way',
    file: `${sender}/ordering/keyed-queues.ts`,
    find: 'if (!chain.isStored && chain.heads.length === 0) {',
    replace: 'if (!chain.isStored) {',
  },
  {
    name: 'a head that is to come back later gives way to the next',
    file: `${sender}/ordering/keyed-queues.ts`,
    find: "else if (result?.kind === 'later') this.#park(chain, result.later);",
    replace: "else if (result?.kind === 'later') this.#nextInMemory(chain, nowMs);",
  },
  {
    name: 'a head in the backlog is not looked for when it becomes due before what was read',
    file: `${sender}/ordering/partition-order.ts`,
    find: 'if (dueAtMs <= this.#cursor.dueAtMs) this.#cursor = { dueAtMs, offset: -1, index: -1 };',
    replace: 'if (dueAtMs < 0) this.#cursor = { dueAtMs, offset: -1, index: -1 };',
  },
  {
    name: 'a head is started though its partition has gone on without it',
    file: `${sender}/sender.ts`,
    find: 'return request.revoked || (ordered !== undefined && !this.ordering.isHead(ordered));',
    replace: 'return request.revoked || (ordered !== undefined && this.#parts.maxInFlight < 0);',
  },
  {
    name: 'a partition that stays is taken for one that nobody else has had',
    file: `${sender}/ordering/ordering.ts`,
    find: 'order.isStillHeld().then((isHeld) => {',
    replace: 'Promise.resolve(true).then((isHeld) => {',
  },
  {
    name: "a retry keeps its attempt's number",
    file: `${sender}/delivery.ts`,
    find: "number: head.number + 1, trigger: 'retry'",
    replace: "number: head.number, trigger: 'retry'",
  },
  {
    name: 'the window takes a record in flight for one that is done',
    file: `${kafka}/partition-window.ts`,
    find: 'start = slot.offset + 1;',
    replace: 'start = slot.offset;',
  },
  {
    name: 'the window ends with the last completion, not before the first gap',
    file: `${kafka}/partition-window.ts`,
    find: 'while (this.#slots[this.#head]?.done) this.#head++;',
    replace: 'this.#head++;',
  },
  {
    name: 'who takes a partition over ignores what is done above the committed offset',
    file: `${kafka}/group-offsets.ts`,
    find: 'done: decodeDone(committed, metadata) }',
    replace: 'done: decodeDone(committed, metadata).slice(0, 0) }',
  },
  {
    name: 'who has just joined commits before it knows how far the others have come',
    file: `${kafka}/consumer.ts`,
    find: 'if (!this.#isUpToDate || !this.#group?.memberId) return;',
    replace: 'if (!this.#group?.memberId) return;',
  },
  {
    name: 'a record whose partition was taken away is completed all the same',
    file: `${kafka}/incoming.ts`,
    find: 'if (!this.#isRevoked) this.#finish(this);',
    replace: 'this.#finish(this);',
  },
  {
    name: 'the delay lets go a little early',
    file: 'apps/dispatcher/src/delay/delay.ts',
    find: '      dueMs <= nowMs\n',
    replace: '      dueMs - 1_000 <= nowMs\n',
  },
  {
    name: 'what waits goes into a tier that is too long',
    file: 'apps/dispatcher/src/delay/wheel.ts',
    find: 'delayTiers.findLast(({ ms }) => ms <= remainingMs)?.name',
    replace: 'delayTiers.find(({ ms }) => ms >= remainingMs)?.name',
  },
  {
    name: 'one more at a time than the subscription allows',
    file: `${sender}/lane.ts`,
    find: 'return this.#underWay < this.#terms.maxConcurrency && ',
    replace: 'return this.#underWay <= this.#terms.maxConcurrency && ',
  },
  {
    name: 'a burst of one more than the rate limit allows',
    file: `${sender}/rate.ts`,
    find: 'this.#toleranceMs = (burst - 1) * intervalMs;',
    replace: 'this.#toleranceMs = burst * intervalMs;',
  },
  {
    name: 'one more request under way than the sender may have',
    file: `${sender}/sender-core.ts`,
    find: 'return this.#inFlight < this.#parts.maxInFlight && ',
    replace: 'return this.#inFlight <= this.#parts.maxInFlight && ',
  },
  {
    name: 'Retry-After does not hold for the rest of the lane',
    file: `${sender}/lane.ts`,
    find: 'this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + Math.min(retryAfterMs, LONGEST_PAUSE_MS));',
    replace: 'this.#pausedUntilMs = Math.max(this.#pausedUntilMs, Math.min(nowMs, retryAfterMs, LONGEST_PAUSE_MS));',
  },
  {
    name: 'what its user has cancelled is attempted when its turn comes',
    file: `${sender}/sender.ts`,
    find: ' || !terms?.enabled || this.#isCancelled(delivery)) {',
    replace: ' || !terms?.enabled) {',
  },
  {
    name: 'what its user has cancelled is tried again when it fails',
    file: `${sender}/sender.ts`,
    find: "const isRetrying = step.status === 'retrying' && !this.#endsCancelled(delivery);",
    replace: "const isRetrying = step.status === 'retrying';",
  },
  {
    name: 'the record of what its user has cancelled is never done',
    file: `${sender}/sender.ts`,
    find: 'queueMicrotask(() => this.#done(delivery));',
    replace: '',
  },
  {
    name: 'a partition is read before it is known what was cancelled there',
    file: `${sender}/cancelling/cancellations.ts`,
    find: 'else waiting.push(run);',
    replace: 'else run();',
  },
  {
    name: 'all rounds of a delivery are cancelled with one',
    file: `${sender}/cancelling/cancelled-rounds.ts`,
    find: 'return round === 0 ? bytes : bytes + String(round);',
    replace: 'return round < 0 ? String(round) : bytes;',
  },
  {
    name: 'a head that was cancelled holds up its key until it would have been due',
    file: `${sender}/ordering/partition-order.ts`,
    find: 'if (this.#queues?.hasRows(subscription)) void this.#hasten((backlog, holding, nowMs) => backlog.hastenRounds(holding, [round], nowMs)).catch(this.#parts.fatal);',
    replace: 'void round;',
  },
  {
    name: 'a head that gets into the backlog while that is being read is passed over',
    file: `${sender}/ordering/partition-order.ts`,
    find: 'else if (this.#isReading) this.#cursor = { ...this.#cursor };',
    replace: '',
  },
  {
    name: 'attempts are remembered without their round',
    file: `${sender}/sender.ts`,
    find: '`${subscription}/${round}/${number}/${dayOf(event)}/${event.id}`',
    replace: '`${subscription}/${Math.min(round, 0)}/${number}/${event.id}`',
  },
  {
    name: 'a retry is one of the first round',
    file: `${sender}/delivery.ts`,
    find: 'return this.#delayed({ ...head, number: head.number + 1,',
    replace: 'return this.#delayed({ ...head, round: 0, number: head.number + 1,',
  },
  {
    name: 'nobody is told why a delivery is put off',
    file: `${sender}/sender.ts`,
    find: 'await Promise.all([sent, tell?.()])',
    replace: 'await Promise.all([sent, tell?.name])',
  },
  {
    name: 'a head whose key goes to the backlog while it waits in its lane is sent without its data',
    file: `${sender}/ordering/partition-order.ts`,
    find: 'request.keep();',
    replace: '',
  },
  {
    name: 'a cancelled delivery is tried again',
    file: `${sender}/sender.ts`,
    find: 'await this.#conclude(request, outcome, ordered !== undefined);\n    }',
    replace:
      'await this.#conclude(request, outcome, ordered !== undefined);\n' +
      '      await this.#delay(request.retryRecord(subscription, this.#parts.nowMs() + 5_000), this.#parts.nowMs() + 5_000, this.#parts.nowMs());\n    }',
  },
];

/** @throws {Error} when what is to be changed is not there, or more than once: then the list has to follow the sources */
export const applied = ({ name, find, replace }: Mutation, text: string): string => {
  if (text.split(find).length !== 2) throw new Error(`the mutation "${name}" finds its place ${text.split(find).length - 1} times`);
  return text.replace(find, () => replace);
};
