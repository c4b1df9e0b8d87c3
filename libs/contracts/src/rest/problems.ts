import { z } from 'zod';

/** The closed list of problem codes (RFC 9457 problem details, member `code`). */
export const problemCodes = {
  malformed: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  already_exists: 409,
  conflict: 409,
  idempotency_conflict: 409,
  version_mismatch: 412,
  too_large: 413,
  unsupported_media_type: 415,
  invalid: 422,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
} as const;
export type ProblemCode = keyof typeof problemCodes;

export const fieldError = z.object({
  path: z.string().describe('The member that is wrong, as in `policy.timeout` or `event_types[0]`'),
  message: z.string(),
});

/** How a path in a problem is written: `policy.timeout`, `event_types[0]`, `headers["x y"]`. */
export const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    const name = String(key);
    if (!/^[\w$-]+$/.test(name)) return `${text}[${JSON.stringify(name)}]`;
    return text === '' ? name : `${text}.${name}`;
  }, '');

/** `application/problem+json` */
export const problemBody = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    code: z.enum(Object.keys(problemCodes) as [ProblemCode, ...ProblemCode[]]), // the keys are known to be these
    detail: z.string(),
    errors: z.array(fieldError).readonly().optional(),
    current_version: z.number().int().optional().describe('With `version_mismatch`: the version there is'),
  })
  .meta({ id: 'Problem' });
export type ProblemBody = Readonly<z.infer<typeof problemBody>>;
