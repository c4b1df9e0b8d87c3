import { newId, type CheckedEvent, type Envelope, type FilterCheckBody, type FilterCheckResult } from '@posthorn/contracts';
import { admitFilter, admitTransform, EventInput, type Refused } from '@posthorn/domain';

/** Tries a filter or a transform on an event, as the router and the sender would. Nothing is kept, and nothing sent. */
export class FilterCheck {
  readonly #requireTenant: (id: string) => Promise<unknown>;

  /** @param requireTenant rejects when there is none of this id */
  constructor(requireTenant: (id: string) => Promise<unknown>) {
    this.#requireTenant = requireTenant;
  }

  async check(tenant: string, { filter, transform, event }: FilterCheckBody): Promise<FilterCheckResult> {
    await this.#requireTenant(tenant);
    const input = new EventInput(envelopeOf(tenant, event), Buffer.from(JSON.stringify(event.data ?? null)));
    return transform === undefined ? judged(filter ?? '', input) : rendered(transform, input);
  }
}

const judged = (text: string, input: EventInput): FilterCheckResult => {
  const admitted = admitFilter(text);
  if (admitted.kind === 'refused') return refused(admitted);
  const { filter, cost } = admitted;
  const verdict = filter.judge(input);
  if (verdict.matches || verdict.reason === undefined) return { matches: verdict.matches, cost };
  return { error: { message: `It cannot be evaluated for this event, and so does not match: ${verdict.reason}.` }, cost };
};

const rendered = (text: string, input: EventInput): FilterCheckResult => {
  const admitted = admitTransform(text);
  if (admitted.kind === 'refused') return refused(admitted);
  const { transform, cost } = admitted;
  const result = transform.render(input);
  if (result.kind === 'failed') return { error: { message: `It cannot be evaluated for this event: ${result.reason}.` }, cost };
  const { json, headers } = result;
  return { result: JSON.parse(json) as unknown, ...(headers && { headers }), cost };
};

const refused = ({ message, position, cost }: Refused): FilterCheckResult => ({ error: { message, position }, ...(cost !== undefined && { cost }) });

/** What accepting the event would make of it. */
const envelopeOf = (tenant: string, event: CheckedEvent): Envelope => {
  const now = new Date().toISOString();
  const { id = newId('evt'), type, source = '/posthorn/filter-check', time = now, subject, key, content_type, headers, context } = event;
  return {
    specversion: '1.0',
    id,
    tenant,
    type,
    source,
    time,
    acceptedtime: now,
    ...(subject !== undefined && { subject }),
    ...(key !== undefined && { partitionkey: key }),
    ...(content_type !== undefined && { datacontenttype: content_type }),
    ...(headers !== undefined && { headers }),
    ...(context !== undefined && { context }),
  };
};
