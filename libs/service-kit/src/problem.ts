import { HttpException } from '@nestjs/common';
import { pathText, problemCodes, type ProblemBody, type ProblemCode } from '@posthorn/contracts';
import { z } from 'zod';

export type FieldError = { readonly path: string; readonly message: string };

const TITLES: Readonly<Record<ProblemCode, string>> = {
  malformed: 'The request cannot be read',
  unauthenticated: 'A valid API key is needed',
  forbidden: 'The API key has no right to this',
  not_found: 'There is no such resource',
  method_not_allowed: 'The resource does not have this method',
  already_exists: 'The resource exists already',
  conflict: 'The resource is in another state',
  idempotency_conflict: 'The idempotency key was used for another request',
  version_mismatch: 'The resource was changed meanwhile',
  too_large: 'The request is too large',
  unsupported_media_type: 'The content type is not understood',
  invalid: 'The request is not valid',
  rate_limited: 'Too many requests',
  internal: 'Something went wrong here',
  unavailable: 'A dependency is away',
};

/** An expected refusal, thrown wherever it is found out; leaves as application/problem+json (RFC 9457). */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly errors: readonly FieldError[] | undefined;
  /** With `version_mismatch`: the version there is. */
  readonly currentVersion: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: ProblemCode,
    detail: string,
    options: {
      errors?: readonly FieldError[];
      currentVersion?: number;
      headers?: Readonly<Record<string, string>>;
      cause?: unknown;
    } = {},
  ) {
    super(detail, 'cause' in options ? { cause: options.cause } : undefined);
    this.errors = options.errors;
    this.currentVersion = options.currentVersion;
    this.headers = { ...(code === 'unavailable' && { 'retry-after': '1' }), ...options.headers };
  }

  get status(): number {
    return problemCodes[this.code];
  }

  get body(): ProblemBody {
    return {
      type: `urn:posthorn:problem:${this.code}`,
      title: TITLES[this.code],
      status: this.status,
      code: this.code,
      detail: this.message,
      ...(this.errors && { errors: this.errors }),
      ...(this.currentVersion !== undefined && { current_version: this.currentVersion }),
    };
  }
}

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

type Issue = z.core.$ZodIssue;

/** Of several shapes that a value could have had, the one it comes closest to is the one its author meant. */
const nearest = (branches: readonly (readonly Issue[])[]): readonly Issue[] =>
  branches.reduce<readonly Issue[]>(
    (best, branch) => (best.length === 0 || (branch.length > 0 && depthOf(branch) > depthOf(best)) ? branch : best),
    [],
  );

const depthOf = (issues: readonly Issue[]): number => Math.max(...issues.map(({ path }) => path.length));

/** What is wrong with a value, place by place. */
export const fieldErrors = (issues: readonly Issue[], base: readonly PropertyKey[] = []): FieldError[] =>
  issues.flatMap((issue): FieldError[] => {
    const path = [...base, ...issue.path];
    switch (issue.code) {
      case 'unrecognized_keys':
        return issue.keys.map((key) => ({ path: pathText([...path, key]), message: 'is not known here' }));
      case 'invalid_union':
        return issue.errors.some((branch) => branch.length > 0)
          ? fieldErrors(nearest(issue.errors), path)
          : [{ path: pathText(path), message: issue.message }];
      case 'invalid_key':
      case 'invalid_element':
        return fieldErrors(issue.issues, path);
      default:
        return [{ path: pathText(path), message: issue.message }];
    }
  });

export const problemOfZod = (error: z.core.$ZodError): Problem => {
  const errors = fieldErrors(error.issues);
  const [first, ...others] = errors;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return new Problem('invalid', first === undefined ? 'not valid' : `${first.path || 'the request'}: ${first.message}${more}`, {
    errors,
    cause: error,
  });
};

/** @throws {Problem} `invalid`, naming every field that is wrong */
export const parseOrRefuse = <S extends z.ZodType>(schema: S, value: unknown): z.output<S> => {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw problemOfZod(parsed.error);
};

const CODE_OF_STATUS: Readonly<Record<number, ProblemCode>> = {
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  409: 'conflict',
  412: 'version_mismatch',
  413: 'too_large',
  415: 'unsupported_media_type',
  422: 'invalid',
  429: 'rate_limited',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable',
};

const codeOfStatus = (status: number): ProblemCode => CODE_OF_STATUS[status] ?? (status < 500 ? 'malformed' : 'internal');

/** Fastify's errors and those of its plugins say by a status whom they blame; below 500 their text is meant for the client. */
const isClientError = (error: unknown): error is Error & { statusCode: number } =>
  error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500;

/** By name, not by class: a service without Kafka does not load its client for the sake of this line. */
const isKafkaAway = (error: unknown): boolean =>
  error instanceof Error && error.name === 'KafkaError' && 'code' in error && error.code === 'unavailable';

/** What a client is told of an error; nothing of one that was not expected. */
export const problemOf = (error: unknown): Problem => {
  if (error instanceof Problem) return error;
  if (error instanceof z.core.$ZodError) return problemOfZod(error);
  if (error instanceof HttpException) {
    const code = codeOfStatus(error.getStatus());
    if (code !== 'internal') return new Problem(code, error.message, { cause: error });
  }
  if (isClientError(error)) return new Problem(codeOfStatus(error.statusCode), error.message, { cause: error });
  if (isKafkaAway(error)) return new Problem('unavailable', 'Kafka does not answer.', { cause: error });
  return new Problem('internal', 'The error was logged.', { cause: error });
};
