import { randomBytes } from 'node:crypto';
import {
  newId,
  type CreateSubscriptionBody,
  type Page,
  type SubscriptionState,
  type SubscriptionView,
  type UpdateSubscriptionBody,
} from '@posthorn/contracts';
import type { Subscription, SubscriptionCommand } from '@posthorn/domain';
import { checkUrl, type EgressPolicy } from '@posthorn/egress';
import { Problem, type SecretBox } from '@posthorn/service-kit';
import type { Aggregates, Standing } from '../aggregates.js';
import { pageOf, type PageRequest } from '../page.js';
import type { Precondition } from '../preconditions.js';
import { refuseUnstorable } from '../storable-text.js';
import type { Tenants } from '../tenants/tenants.js';
import { changesOf, settingsOf } from './subscription-commands.js';
import { subscriptionAggregate, type SubscriptionFilter, type SubscriptionTable } from './subscription-table.js';
import { viewOfSubscription } from './subscription-view.js';

export type SubscriptionsParts = {
  readonly aggregates: Aggregates;
  readonly table: SubscriptionTable;
  readonly tenants: Tenants;
  readonly secrets: SecretBox;
  readonly egress: EgressPolicy;
};

export type Written = { readonly view: SubscriptionView; readonly standing: Standing<SubscriptionState> };

/** Which subscription, and what was asked of its version. */
export type Target = { readonly tenant: string; readonly id: string; readonly precondition?: Precondition };

const SUBSCRIPTION_ID = /^sub_[0-9a-f]{32}$/;
const SECRET_BYTES = 32;

const notFound = (): Problem => new Problem('not_found', 'This tenant has no such subscription.');
const now = (): string => new Date().toISOString();

/** What can be done with subscriptions, whatever door asks. */
export class Subscriptions {
  readonly #parts: SubscriptionsParts;

  constructor(parts: SubscriptionsParts) {
    this.#parts = parts;
  }

  /** The secret is told here, and by `secretOf`. It is encrypted before it becomes part of an event. */
  async create(tenant: string, body: CreateSubscriptionBody, actor: string): Promise<Written & { readonly secret: string }> {
    const { aggregates, tenants, secrets } = this.#parts;
    await tenants.get(tenant);
    this.#requireUrl(refuseUnstorable(body).url);
    const id = newId('sub');
    const secret = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
    const command: SubscriptionCommand = {
      kind: 'create',
      id,
      tenant,
      settings: settingsOf(body),
      enabled: body.enabled ?? true,
      signing_secret: secrets.encrypt(secret),
      at: now(),
    };
    return { ...written(await aggregates.change(subscriptionAggregate, id, command, { actor })), secret };
  }

  async update(target: Target, body: UpdateSubscriptionBody, actor: string): Promise<Written> {
    const { url, enabled } = refuseUnstorable(body);
    if (url !== undefined) this.#requireUrl(url);
    const switched = enabled === undefined ? {} : { enabled };
    return written(await this.#change(target, { kind: 'update', changes: changesOf(body), ...switched, at: now() }, actor));
  }

  async enable(target: Target, actor: string): Promise<Written> {
    return written(await this.#change(target, { kind: 'enable', at: now() }, actor));
  }

  async disable(target: Target, actor: string): Promise<Written> {
    return written(await this.#change(target, { kind: 'disable', reason: 'by_user', at: now() }, actor));
  }

  delete(target: Target, actor: string): Promise<Standing<Subscription>> {
    return this.#change(target, { kind: 'delete', at: now() }, actor);
  }

  async get(tenant: string, id: string): Promise<SubscriptionView> {
    const { state, version } = await this.#row(tenant, id);
    return viewOfSubscription(state, version);
  }

  async secretOf(tenant: string, id: string): Promise<string> {
    const { state } = await this.#row(tenant, id);
    const [newest] = state.signing_secrets;
    if (!newest) throw new TypeError(`subscription ${id} has no secret`);
    return this.#parts.secrets.decrypt(newest);
  }

  async list(tenant: string, page: PageRequest, filter: SubscriptionFilter): Promise<Page<SubscriptionView>> {
    const { table, tenants } = this.#parts;
    await tenants.get(tenant);
    const rows = await table.list(tenant, { ...page, size: page.size + 1 }, filter);
    return pageOf(rows, page.size, ({ state, version }) => viewOfSubscription(state, version));
  }

  async #change({ tenant, id, precondition }: Target, command: SubscriptionCommand, actor: string): Promise<Standing<Subscription>> {
    if (!SUBSCRIPTION_ID.test(id)) throw notFound();
    const admit = (state: Subscription): void => {
      if (state.kind !== 'subscription' || state.tenant !== tenant) throw notFound();
    };
    return this.#parts.aggregates.change(subscriptionAggregate, id, command, { actor, admit, precondition });
  }

  async #row(tenant: string, id: string) {
    const row = SUBSCRIPTION_ID.test(id) ? await this.#parts.table.find(tenant, id) : null;
    if (!row) throw notFound();
    return row;
  }

  #requireUrl(url: string): void {
    const verdict = checkUrl(url, this.#parts.egress);
    if (verdict.ok) return;
    const message = verdict.code === 'https_required' ? 'https is required' : `${verdict.code}: ${verdict.message}`;
    throw new Problem('invalid', `url: ${message}`, { errors: [{ path: 'url', message }] });
  }
}

const written = (standing: Standing<Subscription>): Written => {
  const { state } = standing;
  if (state.kind !== 'subscription') throw new TypeError(`${standing.id} is ${state.kind} after it was written`);
  return { view: viewOfSubscription(state, standing.version), standing: { ...standing, state } };
};
