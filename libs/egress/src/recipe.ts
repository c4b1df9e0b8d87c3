import type { Envelope, SubscriptionState } from '@posthorn/contracts';
import { compileTransform, EventInput, GenerationCache } from '@posthorn/domain';
import { binaryPayload, contextPayload, rawPayload, standardPayload, structuredPayload, type Payload } from './payload.js';

/** A payload that cannot be made of this event, and why. */
export type PayloadFailed = { readonly failed: string };

/** How a subscription wants its payloads made. */
export type Recipe = {
  /** Equal for recipes that make the same payload of an event. */
  readonly key: string;
  readonly make: (event: Envelope, data: Buffer) => Payload | PayloadFailed;
};

const plain = {
  standard: { key: 'standard', make: standardPayload },
  cloudevents: { key: 'cloudevents', make: structuredPayload },
  cloudevents_binary: { key: 'cloudevents_binary', make: binaryPayload },
  raw: { key: 'raw', make: rawPayload },
} as const satisfies Record<string, Recipe>;

export const recipeOf = ({ format, transform, context }: SubscriptionState['payload']): Recipe => {
  switch (format) {
    case 'context':
      return { key: `context ${JSON.stringify(context ?? null)}`, make: (event, data) => contextPayload(event, data, context) };
    case 'transform':
      return { key: `transform ${transform ?? ''}`, make: (event, data) => transformed(transform ?? '', event, data) };
    default:
      return plain[format];
  }
};

/** Of the transforms of a generation, some hundred bytes each. */
const KEPT_WEIGHT = 1_000_000;

/** Compiled when first used: a sender knows more subscriptions than it sends to. */
const transforms = new GenerationCache(1_000, compileTransform, {
  of: (text, compiled) => (compiled.kind === 'compiled' ? compiled.transform.weight : text.length),
  most: KEPT_WEIGHT,
});

const transformed = (text: string, event: Envelope, data: Buffer): Payload | PayloadFailed => {
  const compiled = transforms.get(text);
  if (compiled.kind === 'refused') return { failed: `The transform cannot be compiled. ${compiled.message}` };
  const result = compiled.transform.render(new EventInput(event, data));
  if (result.kind === 'failed') return { failed: `The transform cannot be evaluated for this event: ${result.reason}.` };
  const { json, headers } = result;
  return { contentType: 'application/json', body: Buffer.from(json), ...(headers && { headers }) };
};
