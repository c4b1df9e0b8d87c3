import type { TopicName } from '@posthorn/contracts';
import type { Consumption, ConsumeOptions } from '@posthorn/kafka';
import type { Kit } from '@posthorn/service-kit';
import type { DispatcherConfig } from './config.js';
import type { Wheel } from './delay/wheel.js';
import type { RegistryFeed } from './registry/registry-feed.js';
import type { SubscriptionTable } from './router/subscription-table.js';
import type { Subscriptions } from './sender/subscriptions.js';

/** What every role is built from. */
export type RoleParts = {
  readonly config: DispatcherConfig;
  readonly kit: Kit;
  readonly feed: RegistryFeed;
  readonly table: SubscriptionTable;
  readonly subscriptions: Subscriptions;
  /** Where what is due later waits. */
  readonly wheel: Wheel;
  readonly topic: (name: TopicName) => string;
  /** Where the delivery of an event to a subscription goes. */
  readonly partitionOf: (subscription: string, eventId: string) => number;
  /** Of this role; undefined until it has been started. */
  readonly consumption: () => Consumption | undefined;
  /** Ends the process where going on would lose something; what is not done will be read again after the restart. */
  readonly fatal: (error: unknown) => void;
};

/** A role ready to consume. */
export type Role = {
  readonly consume: Omit<ConsumeOptions, 'groupId'>;
  /** After the last record. */
  readonly close?: () => Promise<void>;
};
