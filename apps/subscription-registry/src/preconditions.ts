import { Problem } from '@posthorn/service-kit';

export const etagOf = (version: number): string => `"${version}"`;

/** What an `If-Match` header demands of the version at hand; undefined demands nothing. */
export type Precondition = ((version: number) => boolean) | undefined;

const ENTITY_TAGS = /^\s*(?:W\/)?"[\x21\x23-\x7e]*"(?:\s*,\s*(?:W\/)?"[\x21\x23-\x7e]*")*\s*$/;

/**
 * RFC 9110, 13.1.1. The comparison is strong: a weak tag matches nothing. `*` asks for existence, which every write here does.
 * @throws {Problem} `malformed` when it is not a list of entity tags
 */
export const parseIfMatch = (header: string | undefined): Precondition => {
  if (header === undefined || header.trim() === '*') return undefined;
  if (!ENTITY_TAGS.test(header)) throw new Problem('malformed', 'If-Match is not an entity tag such as "3".');
  const tags = new Set(header.split(',').map((tag) => tag.trim()));
  return (version) => tags.has(etagOf(version));
};
