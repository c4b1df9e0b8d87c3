import {
  durationMs,
  newId,
  type CreatedSubscription,
  type CreateSubscriptionBody,
  type EnabledSubscription,
  type Missed,
  type Page,
  type RotateSecretBody,
  type SecretView,
  type SubscriptionState,
  type SubscriptionView,
  type UpdateSubscriptionBody,
} from '@posthorn/contracts';
import { policyFaults, type Subscription, type SubscriptionCommand } from '@posthorn/domain';
import type { EgressPolicy } from '@posthorn/egress';
import { Problem, type SecretBox } from '@posthorn/service-kit';
import { changeOf, type Aggregates, type Change } from '../aggregates.js';
import { refuseInvalid } from '../invalid.js';
import { byId, pageOf, type PageRequest } from '../page.js';
import type { Standing } from '../read-model.js';
import type { Requested } from '../requested.js';
import { refuseUnstorable } from '../storable-text.js';
import { tenantExists } from '../tenants/tenant-exists.js';
import type { Tenants } from '../tenants/tenants.js';
import type { Written } from '../written.js';
import { encryptedSecret, newSigningSecret, toldSecret, toldSecrets, type ToldSecret } from './signing-secrets.js';
import { changesOf, settingsOf } from './subscription-commands.js';
import { faultsOf } from './subscription-faults.js';
import { subscriptionAggregate, type SubscriptionFilter, type SubscriptionRow, type SubscriptionTable } from './subscription-table.js';
import { viewOfSubscription } from './subscription-view.js';

export type SubscriptionsParts = {
  readonly aggregates: Aggregates;
  readonly table: SubscriptionTable;
  readonly tenants: Tenants;
  readonly secrets: SecretBox;
  readonly egress: EgressPolicy;
  /** Knows what a disabled subscription was not told. Without it, nothing is said about that. */
  readonly missed?: { of(subscription: SubscriptionState): Promise<Missed | undefined> } | undefined;
};

/** Members of a path below `…/subscriptions`. */
export type Target = { readonly tenant: string; readonly id: string };

/** A subscription that is good to be made, and what its owner is told of its secret. */
export type Creation = { readonly change: Change<Subscription>; readonly told: ToldSecret };

const SUBSCRIPTION_ID = /^sub_[0-9a-f]{32}$/;
const DEFAULT_OVERLAP = '24h';

export const noSuchSubscription = (): Problem => new Problem('not_found', 'This tenant has no such subscription.');
const now = (): string => new Date().toISOString();

/** What can be done with subscriptions, whatever door asks. */
export class Subscriptions {
  readonly #parts: SubscriptionsParts;

  constructor(parts: SubscriptionsParts) {
    this.#parts = parts;
  }

  /** The secret is told here, and by `secretOf`. It is encrypted before it becomes part of an event. */
  async create(tenant: string, body: CreateSubscriptionBody, requested: Requested): Promise<Written<CreatedSubscription>> {
    const { aggregates, tenants } = this.#parts;
    await tenants.get(tenant);
    const { change, told } = this.creation(tenant, body);
    return aggregates.changeMany([change], requested, {
      guard: tenantExists(tenant),
      answer: ([standing]) => createdView(standing, told),
    });
  }

  /** @throws {Problem} `invalid` */
  creation(tenant: string, body: CreateSubscriptionBody): Creation {
    const { secrets, egress } = this.#parts;
    refuseInvalid(faultsOf(refuseUnstorable(body), egress));
    const settings = settingsOf(body, secrets);
    refuseInvalid(policyFaults(settings.policy));
    const { signature = 'v1', secret = newSigningSecret(signature) } = body;
    const command: SubscriptionCommand = {
      kind: 'create',
      id: newId('sub'),
      tenant,
      settings,
      enabled: body.enabled ?? true,
      signing_secret: encryptedSecret(secrets, signature, secret),
      at: now(),
    };
    return {
      change: changeOf(subscriptionAggregate, command.id, () => command, { fresh: true }),
      told: toldSecret(signature, secret),
    };
  }

  /** `policy` member by member; null removes, and `***` keeps the secret that is there. */
  update(target: Target, body: UpdateSubscriptionBody, requested: Requested): Promise<Written<SubscriptionView>> {
    const { secrets, egress } = this.#parts;
    refuseInvalid(faultsOf(refuseUnstorable(body), egress));
    const { enabled } = body;
    const command = (state: SubscriptionState): SubscriptionCommand => ({
      kind: 'update',
      changes: changesOf(body, state, secrets),
      enabled,
      at: now(),
    });
    return this.#change(target, command, requested, viewOf);
  }

  /** Says also what it was not told while it was disabled. */
  async enable(target: Target, requested: Requested): Promise<Written<EnabledSubscription>> {
    const { state } = await this.find(target);
    const missed = state.enabled ? undefined : await this.#parts.missed?.of(state);
    return this.#change(target, () => ({ kind: 'enable', at: now() }), requested, (standing) => ({
      ...viewOf(standing),
      ...(missed && { missed }),
    }));
  }

  disable(target: Target, requested: Requested): Promise<Written<SubscriptionView>> {
    return this.#change(target, () => ({ kind: 'disable', reason: 'by_user', at: now() }), requested, viewOf);
  }

  /** The secret before goes on signing, beside the new one, until the overlap is over. */
  rotateSecret(target: Target, body: RotateSecretBody, requested: Requested): Promise<Written<SecretView>> {
    const { secrets } = this.#parts;
    const overlapMs = durationMs(body.overlap ?? DEFAULT_OVERLAP);
    const command = ({ signing_secrets: [newest] }: SubscriptionState): SubscriptionCommand => {
      const { signature = body.secret === undefined ? (newest?.scheme ?? 'v1') : 'v1', secret = newSigningSecret(signature) } = body;
      return {
        kind: 'rotate_secret',
        secret: encryptedSecret(secrets, signature, secret),
        ...(overlapMs > 0 && { overlap_until: new Date(Date.now() + overlapMs).toISOString() }),
        at: now(),
      };
    };
    return this.#change(target, command, requested, (standing) => toldSecrets(secrets, existing(standing), Date.now()));
  }

  delete(target: Target, requested: Requested): Promise<Written<undefined>> {
    return this.#change(target, () => ({ kind: 'delete', at: now() }), requested, () => undefined);
  }

  async get(target: Target): Promise<SubscriptionView> {
    const { state, version } = await this.find(target);
    return viewOfSubscription(state, version);
  }

  async secretOf(target: Target): Promise<SecretView> {
    const { state } = await this.find(target);
    return toldSecrets(this.#parts.secrets, state, Date.now());
  }

  async list(tenant: string, page: PageRequest, filter: SubscriptionFilter): Promise<Page<SubscriptionView>> {
    const { table, tenants } = this.#parts;
    await tenants.get(tenant);
    refuseUnstorable({ q: filter.nameContains });
    const rows = await table.list(tenant, { ...page, size: page.size + 1 }, filter);
    return pageOf(rows, page.size, ({ state, version }) => viewOfSubscription(state, version), byId);
  }

  /** @throws {Problem} `not_found`, also when it is another tenant's */
  async find({ tenant, id }: Target): Promise<SubscriptionRow> {
    const row = SUBSCRIPTION_ID.test(id) ? await this.#parts.table.find(tenant, id) : null;
    if (!row) throw noSuchSubscription();
    return row;
  }

  async #change<Body>(
    { tenant, id }: Target,
    command: (state: SubscriptionState) => SubscriptionCommand,
    requested: Requested,
    answer: (standing: Standing<Subscription>) => Body,
  ): Promise<Written<Body>> {
    if (!SUBSCRIPTION_ID.test(id)) throw noSuchSubscription();
    const owned = (state: Subscription): SubscriptionState => {
      if (state.kind !== 'subscription' || state.tenant !== tenant) throw noSuchSubscription();
      return state;
    };
    return this.#parts.aggregates.change(subscriptionAggregate, id, (state) => command(owned(state)), requested, {
      admit: (state) => void owned(state),
      answer,
    });
  }
}

const existing = ({ id, state }: Standing<Subscription>): SubscriptionState => {
  if (state.kind !== 'subscription') throw new TypeError(`${id} is ${state.kind} after it was written`);
  return state;
};

const viewOf = (standing: Standing<Subscription>): SubscriptionView => viewOfSubscription(existing(standing), standing.version);

/** As it is answered when it has just been made. */
export const createdView = (standing: Standing<Subscription> | undefined, { secret, public_key }: ToldSecret): CreatedSubscription => {
  if (!standing) throw new TypeError('a creation without a subscription');
  return { ...viewOf(standing), ...(secret !== undefined && { secret }), ...(public_key !== undefined && { public_key }) };
};
