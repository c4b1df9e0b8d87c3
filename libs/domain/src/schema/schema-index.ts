import type { JsonSchema } from '@posthorn/contracts';
import { decodedFragment, subschemasOf, type Place } from './keywords.js';

export type Indexed = { readonly schema: JsonSchema; readonly place: Place };

/** Every schema in a schema, itself first, and what a reference in it names. */
export class SchemaIndex {
  readonly entries: readonly Indexed[];
  readonly #byReference = new Map<string, Indexed>();

  constructor(root: JsonSchema) {
    const entries: Indexed[] = [{ schema: root, place: [] }];
    // Grows while it is walked: breadth first, however deep.
    for (const { schema, place } of entries) {
      for (const inner of subschemasOf(schema)) entries.push({ schema: inner.schema, place: [...place, ...inner.place] });
    }
    this.entries = entries;
    for (const entry of entries) {
      const pointer = entry.place.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
      this.#byReference.set(`#${pointer}`, entry);
      if (typeof entry.schema === 'boolean') continue;
      for (const anchor of [entry.schema['$anchor'], entry.schema['$dynamicAnchor']]) {
        if (typeof anchor === 'string') this.#byReference.set(`#${anchor}`, entry);
      }
    }
  }

  /** Undefined when it names nothing in here, or something that is not a schema. */
  target(reference: string): Indexed | undefined {
    return this.#byReference.get(decodedFragment(reference));
  }
}

/** What a schema refers to; `$dynamicRef` means `$ref` where, as here, a schema is one resource. */
export const referencesOf = (schema: JsonSchema): readonly { readonly keyword: string; readonly reference: string }[] =>
  typeof schema === 'boolean'
    ? []
    : ['$ref', '$dynamicRef'].flatMap((keyword) => {
        const reference = schema[keyword];
        return typeof reference === 'string' ? [{ keyword, reference }] : [];
      });
