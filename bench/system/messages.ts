/** What the bench asks of its receiver and its load generator, each a process of its own. Sent over the channel that Node gives a forked process. */

/** How a subscriber takes its requests: it answers 204, it does so late, or never. */
export type Manner = { readonly kind: 'quick' } | { readonly kind: 'slow'; readonly delayMs: number } | { readonly kind: 'hanging' };

/** A subscription as the sink knows it: by the number that is its URL's path. */
export type Subscriber = { readonly number: number; readonly manner: Manner; readonly secret: string };

export type SinkAnswers = {
  listen: { readonly port: number };
  /** Adds subscribers, or replaces them. */
  subscribers: null;
  counts: { readonly requests: number; readonly deliveries: number };
  /** Everything about a load, and forgets it. */
  take: Taken;
};
export type SinkAsks =
  | { readonly kind: 'listen' }
  | { readonly kind: 'subscribers'; readonly subscribers: readonly Subscriber[] }
  | { readonly kind: 'counts' | 'take'; readonly run: number };

export type Taken = {
  readonly requests: number;
  readonly deliveries: number;
  readonly subscriptions: number;
  readonly latencyMicros: Uint32Array;
  /** Since the first arrival. */
  readonly atMillis: Uint32Array;
  /** Of all loads so far. */
  readonly signaturesVerified: number;
  readonly signaturesWrong: readonly string[];
};

export type Door = 'kafka' | 'rest';

/** Events of 1 KB, their types by turns; all at once, or at a rate. */
export type Load = { readonly run: number; readonly door: Door; readonly types: readonly string[]; readonly events: number; readonly perSecond?: number };

export type GeneratorAnswers = {
  /** Resolves when every event has been acknowledged, or refused. */
  produce: Produced;
};
export type GeneratorAsks = { readonly kind: 'produce' } & Load;

export type Produced = {
  readonly acknowledged: number;
  /** Up to ten reasons. */
  readonly refused: readonly string[];
  readonly seconds: number;
  /** How late each event was sent, at most a grain of which is not counted against Posthorn. */
  readonly lateMicros: Uint32Array;
};
